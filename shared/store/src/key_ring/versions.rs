//! The versions of the key ring's secret: reading, staging and promoting them.
//!
//! The current version is never overwritten. A new one is staged beside it and replaces only the
//! version that it was made from. If two are made from the same version, the first one wins.

use aws_sdk_secretsmanager::{
    Client,
    operation::{
        get_secret_value::GetSecretValueError, put_secret_value::PutSecretValueError,
        update_secret_version_stage::UpdateSecretVersionStageError,
    },
};
use zeroize::Zeroizing;

use super::{CURRENT, LoadError};
use crate::StoreError;

/// The stage of a version that a rotation has made and not yet finished.
pub const PENDING: &str = "AWSPENDING";

/// The stage of a version that an operator has made and that is not current yet.
const BY_HAND: &str = "RATCHET_BY_HAND";

/// The key ring's secret, for programs that may write it.
#[derive(Debug)]
pub struct KeyRingVersions {
    client: Client,
    secret_id: String,
}

/// One version of the secret.
pub struct Version {
    /// Its id.
    pub id: String,
    /// The ring.
    pub ring: Zeroizing<String>,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The result of an attempt to make a version the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// It is the current one.
    Done,
    /// Another version was made current meanwhile; nothing was changed.
    Superseded,
}

impl KeyRingVersions {
    /// The versions of the secret `secret_id`.
    #[must_use]
    pub fn new(client: Client, secret_id: impl Into<String>) -> Self {
        Self { client, secret_id: secret_id.into() }
    }

    /// The current version.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn current(&self) -> Result<Version, LoadError> {
        let get = self.client.get_secret_value().secret_id(&self.secret_id);
        let output = get
            .version_stage(CURRENT)
            .send()
            .await
            .map_err(|error| StoreError::new("GetSecretValue", error))?;
        match (output.version_id, output.secret_string) {
            (Some(id), Some(ring)) => Ok(Version { id, ring: Zeroizing::new(ring) }),
            _ => Err(LoadError::Missing(self.secret_id.clone())),
        }
    }

    /// The version `id`, if it exists and has a value.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, id: &str) -> Result<Option<Version>, StoreError> {
        let get = self.client.get_secret_value().secret_id(&self.secret_id).version_id(id);
        match get.send().await {
            Ok(output) => Ok(output
                .secret_string
                .map(|ring| Version { id: id.to_owned(), ring: Zeroizing::new(ring) })),
            Err(error) => match error.as_service_error() {
                Some(
                    GetSecretValueError::ResourceNotFoundException(_)
                    | GetSecretValueError::InvalidRequestException(_),
                ) => Ok(None),
                _ => Err(StoreError::new("GetSecretValue", error)),
            },
        }
    }

    /// Stores `ring` as the version `id` with the label `stage`. If the version exists already, it
    /// stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stage(&self, id: &str, stage: &str, ring: &str) -> Result<(), StoreError> {
        let put = self.client.put_secret_value().secret_id(&self.secret_id);
        let put = put.client_request_token(id).secret_string(ring).version_stages(stage);
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutSecretValueError::ResourceExistsException(_)) => Ok(()),
                _ => Err(StoreError::new("PutSecretValue", error)),
            },
        }
    }

    /// Makes the version `id` the current one in place of `from`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn promote(&self, id: &str, from: &str) -> Result<Promotion, StoreError> {
        let update = self.client.update_secret_version_stage().secret_id(&self.secret_id);
        let update = update.version_stage(CURRENT).move_to_version_id(id);
        match update.remove_from_version_id(from).send().await {
            Ok(_) => Ok(Promotion::Done),
            // The answer to an earlier attempt may have been lost.
            Err(_) if self.current().await.is_ok_and(|current| current.id == id) => {
                Ok(Promotion::Done)
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateSecretVersionStageError::InvalidParameterException(_)) => {
                    Ok(Promotion::Superseded)
                }
                _ => Err(StoreError::new("UpdateSecretVersionStage", error)),
            },
        }
    }

    /// Makes `ring` the current version at once, in place of `from`; `id` is the new version's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace(&self, id: &str, ring: &str, from: &str) -> Result<Promotion, StoreError> {
        self.stage(id, BY_HAND, ring).await?;
        let promotion = self.promote(id, from).await?;
        // If this fails, the next replacement moves the leftover label.
        let unstaged = self.unstage(id, BY_HAND).await;
        if promotion == Promotion::Superseded {
            unstaged?;
        }
        Ok(promotion)
    }

    /// Asks Secrets Manager to rotate the secret as its schedule would.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_for_rotation(&self) -> Result<(), StoreError> {
        match self.client.rotate_secret().secret_id(&self.secret_id).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::new("RotateSecret", error)),
        }
    }

    /// Removes a label from the version `id`. Secrets Manager deletes versions without labels.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unstage(&self, id: &str, stage: &str) -> Result<(), StoreError> {
        let update = self.client.update_secret_version_stage().secret_id(&self.secret_id);
        let update = update.version_stage(stage).remove_from_version_id(id);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // It was not there.
                Some(UpdateSecretVersionStageError::InvalidParameterException(_)) => Ok(()),
                _ => Err(StoreError::new("UpdateSecretVersionStage", error)),
            },
        }
    }
}
