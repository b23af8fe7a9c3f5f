//! The AWS clients of a function.
//!
//! A Lambda function gets its region and its credentials as environment variables, and nothing
//! else ever provides them; so the provider chain of `aws-config`, which also knows profiles, SSO
//! and instance metadata, stays out of the binaries (it would add about a megabyte).

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedInterceptor,
    retry::{ClassifyRetry, RetryAction, RetryConfig},
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;

use crate::observer::{Observer, Observing};

/// Where and as whom to call AWS.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    region: Region,
    credentials: Credentials,
    dynamodb_endpoint: Option<String>,
    secrets_endpoint: Option<String>,
    observer: Option<Observer>,
}

/// A variable of Lambda's own environment is missing.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} is not set: outside Lambda, set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)]
pub struct MissingVariable(&'static str);

impl AwsSettings {
    /// Reads Lambda's environment through `variable`. `AWS_ENDPOINT_URL_DYNAMODB`,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER` and `AWS_ENDPOINT_URL` mean what they mean to every AWS SDK.
    ///
    /// # Errors
    /// [`MissingVariable`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, MissingVariable> {
        let required = |name| variable(name).ok_or(MissingVariable(name));
        let endpoint = |name| variable(name).or_else(|| variable("AWS_ENDPOINT_URL"));
        Ok(Self {
            region: Region::new(required("AWS_REGION")?),
            credentials: Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                variable("AWS_SESSION_TOKEN"),
                None,
                "lambda environment",
            ),
            dynamodb_endpoint: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
            secrets_endpoint: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            observer: None,
        })
    }

    /// The same, with somebody who is told of every call of the clients.
    #[must_use]
    pub fn observed_by(self, observer: Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// A DynamoDB client whose every operation is over within 2.3 s: three tries of at most 700 ms.
    /// A whole answer has 3 s; the SDK's defaults would take minutes.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(self.region.clone())
            .credentials_provider(self.credentials.clone())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(3)
                    .with_initial_backoff(Duration::from_millis(25))
                    .with_max_backoff(Duration::from_millis(200)),
            )
            .retry_classifier(TransactionConflicts)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_millis(500))
                    .operation_attempt_timeout(Duration::from_millis(700))
                    .operation_timeout(Duration::from_millis(2_300))
                    .build(),
            );
        config.set_endpoint_url(self.dynamodb_endpoint.clone());
        if let Some(observer) = self.observer {
            config.push_interceptor(SharedInterceptor::new(Observing {
                service: "DynamoDB",
                observer,
            }));
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A Secrets Manager client for loading the key ring: at start, within the 10 s that Lambda
    /// gives to initialisation.
    #[must_use]
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let mut config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(self.region.clone())
            .credentials_provider(self.credentials.clone())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(3)
                    .with_initial_backoff(Duration::from_millis(50))
                    .with_max_backoff(Duration::from_millis(500)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_millis(2_500))
                    .operation_timeout(Duration::from_millis(8_000))
                    .build(),
            );
        config.set_endpoint_url(self.secrets_endpoint.clone());
        if let Some(observer) = self.observer {
            config.push_interceptor(SharedInterceptor::new(Observing {
                service: "SecretsManager",
                observer,
            }));
        }
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }
}

/// A transaction that touches the same item turns a plain write away for a moment. The SDK does
/// not retry that by itself.
#[derive(Debug)]
struct TransactionConflicts;

impl ClassifyRetry for TransactionConflicts {
    fn classify_retry(
        &self,
        context: &aws_sdk_dynamodb::config::interceptors::InterceptorContext,
    ) -> RetryAction {
        let conflict = context.output_or_error().and_then(Result::err).is_some_and(|error| {
            error.as_operation_error().is_some_and(|error| {
                // Every operation's error type knows its code; the two that we write with are asked.
                [
                    error
                        .downcast_ref::<aws_sdk_dynamodb::operation::update_item::UpdateItemError>()
                        .and_then(ProvideErrorMetadata::code),
                    error
                        .downcast_ref::<aws_sdk_dynamodb::operation::put_item::PutItemError>()
                        .and_then(ProvideErrorMetadata::code),
                    error
                        .downcast_ref::<aws_sdk_dynamodb::operation::delete_item::DeleteItemError>()
                        .and_then(ProvideErrorMetadata::code),
                ]
                .contains(&Some("TransactionConflictException"))
            })
        });
        if conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}
