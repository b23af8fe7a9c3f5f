//! The four steps by which Secrets Manager rotates the key ring.
//!
//! Every step may come twice, at the same time, or after one that was killed: what it finds done it
//! leaves alone. What each would do is decided by what the secret's versions say, never by what a
//! step before has told.

use std::collections::BTreeSet;

use ratchet_core::{
    config::Config,
    jws::UnverifiedToken,
    key_ring::{
        KeyRing, KeyRingError, RingDocument,
        rotation::{RotationError, RotationPolicy, Start},
    },
    time::UnixSeconds,
};
use ratchet_service::clock;
use ratchet_store::{
    LoadError, StoreError,
    aws::AwsSettings,
    key_ring::versions::{KeyRingVersions, PENDING, Promotion, Version},
};
use serde::Deserialize;

/// What Secrets Manager sends.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// Which step is due.
    #[serde(rename = "Step")]
    pub step: Step,
    /// The ARN of the secret that is to be rotated.
    #[serde(rename = "SecretId")]
    pub secret_id: String,
    /// The id of the new version.
    #[serde(rename = "ClientRequestToken")]
    pub token: String,
}

/// The steps of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Step {
    /// Make the new version and keep it as the pending one.
    #[serde(rename = "createSecret")]
    Create,
    /// Tell it to whoever else has to know: nobody.
    #[serde(rename = "setSecret")]
    Set,
    /// See whether the pending version does what it has to.
    #[serde(rename = "testSecret")]
    Test,
    /// Make it the current one.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// A step that was not done. Secrets Manager tries again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Another secret than the key ring.
    #[error("this function rotates the key ring and no other secret")]
    OtherSecret,
    /// A later step before the first one.
    #[error("there is no pending version: createSecret comes first")]
    NothingPending,
    /// The key ring was changed meanwhile. The pending version is withdrawn.
    #[error("the key ring was changed during its rotation; the next rotation begins anew")]
    Superseded,
    /// The pending version would refuse tokens, or sign what it does not verify.
    #[error("the pending key ring does not do what it has to: {0}")]
    Untrustworthy(&'static str),
    /// The pending version is no key ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
    /// No new ring.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The current ring can not be had.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Secrets Manager did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rotates one key ring.
#[derive(Debug)]
pub struct Rotation {
    versions: KeyRingVersions,
    secret_id: String,
    policy: RotationPolicy,
}

impl Rotation {
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
    pub async fn step(&self, event: &Event) -> Result<(), StepError> {
        if event.secret_id != self.secret_id {
            return Err(StepError::OtherSecret);
        }
        let now = clock::now().seconds();
        let current = self.versions.current().await?;
        if current.id == event.token {
            return Ok(());
        }
        match event.step {
            Step::Create => self.create(&event.token, &current, now).await,
            Step::Set => self.pending(&event.token).await.map(|_| ()),
            Step::Test => test(&current, &self.pending(&event.token).await?, now),
            Step::Finish => self.finish(&event.token, &current, now).await,
        }
    }

    async fn create(
        &self,
        token: &str,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        if let Some(pending) = self.versions.find(token).await? {
            return self.still_valid(&pending, current, now).await;
        }
        let ring = RingDocument::parse(&current.ring, now)?;
        let mut rotated = ring.rotated(&self.policy, Start::WhenSeen, now)?;
        rotated.set_based_on(&current.id);
        self.versions.stage(token, PENDING, &rotated.to_json()).await?;
        Ok(())
    }

    async fn finish(
        &self,
        token: &str,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        let pending = self.pending(token).await?;
        self.still_valid(&pending, current, now).await?;
        test(current, &pending, now)?;
        match self.versions.promote(token, &current.id).await? {
            Promotion::Done => {
                tracing::info!("the key ring was rotated");
                // The label may stay where it is (RotateSecret allows it on the current version),
                // but nothing is pending any more.
                Ok(self.versions.unstage(token, PENDING).await?)
            }
            Promotion::Superseded => self.withdraw(token).await,
        }
    }

    async fn pending(&self, token: &str) -> Result<Version, StepError> {
        self.versions.find(token).await?.ok_or(StepError::NothingPending)
    }

    /// Whether the pending version was made from the current one. A ring that was changed by an
    /// operator meanwhile must not be undone; what was made from the one before is withdrawn.
    async fn still_valid(
        &self,
        pending: &Version,
        current: &Version,
        now: UnixSeconds,
    ) -> Result<(), StepError> {
        let ring = RingDocument::parse(&pending.ring, now)?;
        if ring.based_on() == Some(current.id.as_str()) {
            Ok(())
        } else {
            self.withdraw(&pending.id).await
        }
    }

    async fn withdraw(&self, token: &str) -> Result<(), StepError> {
        self.versions.unstage(token, PENDING).await?;
        Err(StepError::Superseded)
    }
}

/// What the current ring verifies, the pending one must verify; and what it signs, too.
fn test(current: &Version, pending: &Version, now: UnixSeconds) -> Result<(), StepError> {
    let current = KeyRing::parse(&current.ring, now)?;
    let pending = KeyRing::parse(&pending.ring, now)?;
    let kids = |ring: &KeyRing| -> BTreeSet<String> {
        ring.signing_keys(now).map(|key| key.kid().to_owned()).collect()
    };
    if !kids(&current).is_subset(&kids(&pending)) {
        return Err(StepError::Untrustworthy("a key is missing whose tokens may be about"));
    }
    if current.tag_keys(now).count() > pending.tag_keys(now).count() {
        return Err(StepError::Untrustworthy("a tag key is missing whose tokens may be about"));
    }
    for key in pending.signing_keys(now) {
        let verified = key.sign("test", b"{}").ok().is_some_and(|signed| {
            UnverifiedToken::parse(&signed)
                .and_then(|token| token.verify(key.verification_key()))
                .is_ok()
        });
        if !verified {
            return Err(StepError::Untrustworthy("a key does not verify what it signs"));
        }
    }
    Ok(())
}
