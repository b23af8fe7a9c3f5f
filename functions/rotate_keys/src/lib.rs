//! The four steps by which Secrets Manager rotates the key ring.
//!
//! A step may run twice, concurrently, or after one that was killed, so it does only what has not
//! been done yet. It finds that out from the secret's versions alone.

use aws_lambda_events::event::secretsmanager::SecretsManagerSecretRotationEvent;
use ratchet_core::{
    config::Config,
    key_ring::{
        KeyRing, KeyRingError, RingDocument, RotationPolicy, Unfit,
        rotation::{RotationError, Start},
    },
    time::UnixSeconds,
};
use ratchet_service::clock;
use ratchet_store::{
    LoadError, StoreError,
    aws::AwsSettings,
    key_ring::versions::{KeyRingVersions, PENDING, Promotion, Version},
};

/// Why a step failed. Secrets Manager tries again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The secret is not the key ring.
    #[error("this function rotates the key ring and no other secret")]
    OtherSecret,
    /// Not a step of a rotation.
    #[error("there is no such step of a rotation")]
    UnknownStep,
    /// A later step came before the first one.
    #[error("there is no pending version: createSecret comes first")]
    NothingPending,
    /// The key ring was changed meanwhile. The pending version is withdrawn.
    #[error("the key ring was changed during its rotation; the next rotation begins anew")]
    Superseded,
    /// The pending version waited so long that its key would sign before others have it. It is
    /// withdrawn.
    #[error("the rotation took too long; the next rotation begins anew")]
    Late,
    /// The pending version would refuse tokens, or sign what it does not verify.
    #[error("the pending key ring cannot replace the current one: {0}")]
    Unfit(#[from] Unfit),
    /// The pending version is not a key ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// No new ring.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The current ring is not available.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A call to Secrets Manager failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rotates one key ring.
#[derive(Debug)]
pub struct KeyRingRotation {
    versions: KeyRingVersions,
    secret_id: String,
    policy: RotationPolicy,
}

impl KeyRingRotation {
    /// The rotation of the configured key ring.
    #[must_use]
    pub fn new(config: &Config, aws: &AwsSettings) -> Self {
        Self {
            versions: KeyRingVersions::new(aws.secrets_manager(), &config.key_ring_secret),
            secret_id: config.key_ring_secret.clone(),
            policy: RotationPolicy::of(config),
        }
    }

    /// Does one step.
    ///
    /// # Errors
    /// [`StepError`].
    pub async fn step(&self, event: &SecretsManagerSecretRotationEvent) -> Result<(), StepError> {
        if event.secret_id != self.secret_id {
            return Err(StepError::OtherSecret);
        }
        let (now, token) = (clock::now().seconds(), event.client_request_token.as_str());
        let current = self.versions.current().await?;
        if current.id == token {
            return Ok(());
        }
        match event.step.as_str() {
            "createSecret" => self.create(token, &current, now).await,
            // No other service has to learn the new keys.
            "setSecret" => self.pending(token).await.map(|_| ()),
            "testSecret" => self.test(&current, &self.pending(token).await?, now),
            "finishSecret" => self.finish(token, &current, now).await,
            _ => Err(StepError::UnknownStep),
        }
    }

    /// Makes the new version and keeps it as the pending one.
    async fn create(
        &self,
        token: &str,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        if let Some(pending) = self.versions.find(token).await? {
            return self.check_pending(&pending, current, now).await;
        }
        let mut ring = self.document(current)?;
        let policy = ring.adopt_policy(&self.policy);
        let mut rotated = ring.rotated(&policy, Start::WhenSeen, now)?;
        rotated.set_based_on(&current.id);
        self.versions.stage(token, PENDING, &rotated.to_json()).await?;
        Ok(())
    }

    /// Checks the pending version.
    fn test(
        &self,
        current: &Version,
        pending: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        let algorithm = self.policy.algorithm;
        let current = KeyRing::read(&current.ring, algorithm)?;
        self.document(pending)?.check()?;
        KeyRing::parse_for(&pending.ring, algorithm, now)?.can_replace(&current, now)?;
        Ok(())
    }

    /// Makes the pending version the current one.
    async fn finish(
        &self,
        token: &str,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        let pending = self.pending(token).await?;
        self.check_pending(&pending, current, now).await?;
        self.test(current, &pending, now)?;
        match self.versions.promote(token, &current.id).await? {
            Promotion::Done => {
                tracing::info!("the key ring was rotated");
                // RotateSecret allows the label on the current version, but nothing is pending now.
                Ok(self.versions.unstage(token, PENDING).await?)
            }
            Promotion::Superseded => self.withdraw(token, StepError::Superseded).await,
        }
    }

    async fn pending(&self, token: &str) -> Result<Version, StepError> {
        self.versions.find(token).await?.ok_or(StepError::NothingPending)
    }

    fn document(&self, version: &Version) -> Result<RingDocument, KeyRingError> {
        RingDocument::parse(&version.ring, self.policy.algorithm)
    }

    /// Withdraws a pending version that was made from another version than the current one, so that a
    /// change by an operator is not undone; and one that would be published too late.
    async fn check_pending(
        &self,
        pending: &Version,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        let (ring, mut current_ring) = (self.document(pending)?, self.document(current)?);
        if ring.based_on() != Some(current.id.as_str()) {
            return self.withdraw(&pending.id, StepError::Superseded).await;
        }
        let policy = current_ring.adopt_policy(&self.policy);
        if ring.is_late(&current_ring, &policy, now) {
            return self.withdraw(&pending.id, StepError::Late).await;
        }
        Ok(())
    }

    async fn withdraw(&self, token: &str, reason: StepError) -> Result<(), StepError> {
        self.versions.unstage(token, PENDING).await?;
        Err(reason)
    }
}
