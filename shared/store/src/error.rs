use std::error::Error;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// An operation that neither happened as asked nor found its condition unmet.
///
/// `Display` leaves the source out; the border logs the chain once.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The service could not be reached, took too long, turned the call away or answered what
    /// cannot be read. The write may have happened; asking again is safe.
    #[error("{operation} is not available")]
    Unavailable {
        /// The operation's name in the service's API.
        operation: &'static str,
        /// What the SDK saw.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The service understood the call and found it wrong: a defect here or in the deployment.
    #[error("{operation} was rejected")]
    Rejected {
        /// The operation's name in the service's API.
        operation: &'static str,
        /// What the SDK saw.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An item is not as this version writes or reads it.
    #[error("a stored item is malformed: {0}")]
    MalformedItem(&'static str),
    /// An item was written by a later release: this one was put back after it. The item is left
    /// as it is; the later release reads it.
    #[error(
        "a stored item has version {found}, and this release reads up to {}",
        crate::item::VERSION
    )]
    NewerItem {
        /// The version that the item has.
        found: u64,
    },
}

/// Error codes by which DynamoDB and Secrets Manager say that the call itself is wrong.
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
            // Whatever else it is (throttling, a conflict, 5xx, a time-out, expired or missing
            // permissions, a code nobody has heard of), the client's token may be perfectly good.
            Self::Unavailable { operation, source: error.into() }
        }
    }
}
