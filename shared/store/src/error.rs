use std::error::Error;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// Why an operation failed. A condition that does not hold is a result, not an error.
///
/// `Display` leaves out the source. The caller at the border logs the whole chain once.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The service could not be reached, took too long, rejected the call for now or sent an
    /// unreadable response. The write may have happened; repeating it is safe.
    #[error("{operation} is not available")]
    Unavailable {
        /// The operation's name in the service's API.
        operation: &'static str,
        /// What the SDK saw.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service rejected the call as invalid: a defect here or in the deployment.
    #[error("{operation} was rejected")]
    Rejected {
        /// The operation's name in the service's API.
        operation: &'static str,
        /// What the SDK saw.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An item does not have the form that this release reads.
    #[error("a stored item is malformed: {0}")]
    MalformedItem(&'static str),
    /// An item was written by a later release, before a rollback to this one. It is left unchanged
    /// for the later release.
    #[error(
        "a stored item has version {found}, and this release reads up to {}",
        crate::item::VERSION
    )]
    NewerItem {
        /// The version that the item has.
        found: u64,
    },
}

/// Error codes of DynamoDB and Secrets Manager for invalid calls.
const REJECTIONS: [&str; 5] = [
    "ValidationException",
    "SerializationException",
    "ResourceNotFoundException",
    "InvalidParameterException",
    "InvalidRequestException",
];

impl StoreError {
    pub(crate) fn new<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        if matches!(error, SdkError::ConstructionFailure(_))
            || code.is_some_and(|code| REJECTIONS.contains(&code))
        {
            Self::Rejected { operation, source: error.into() }
        } else {
            // After any other error (throttling, a conflict, 5xx, a time-out, expired or missing
            // permissions, an unknown code) the client's token may be perfectly valid.
            Self::Unavailable { operation, source: error.into() }
        }
    }
}
