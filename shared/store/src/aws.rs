//! The AWS clients of a function.
//!
//! Region, credentials and endpoints come from `aws-config`: from the environment in Lambda, from a
//! developer's own profile elsewhere. Timeouts and retries are set here: a response must take
//! less than 3 s, and the SDK's defaults allow minutes.

use std::time::Duration;

use aws_config::{SdkConfig, environment::EnvironmentVariableCredentialsProvider};
use aws_sdk_dynamodb::{
    config::{
        BehaviorVersion, ProvideCredentials as _, RuntimeComponents, SharedInterceptor,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction, RetryConfig},
        timeout::TimeoutConfig,
    },
    error::{BoxError, ProvideErrorMetadata},
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError,
    },
};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpClient as _, SharedHttpClient, http_client_fn};

use crate::observer::{CallObserver, Observer};

/// Region, credentials and endpoints for the clients of this process.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    sdk: SdkConfig,
    observer: Option<Observer>,
}

/// The environment lacks settings that are needed to call AWS.
#[derive(Debug, thiserror::Error)]
pub enum AwsSettingsError {
    /// No region is configured.
    #[error(
        "no AWS region is configured: set AWS_REGION, or AWS_PROFILE to a profile with a region"
    )]
    NoRegion,
    /// No credentials were found.
    #[error(
        "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )]
    NoCredentials(#[source] BoxError),
}

impl AwsSettings {
    /// Loads the settings as every AWS SDK does, environment first. `AWS_ENDPOINT_URL_DYNAMODB`,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER` and `AWS_ENDPOINT_URL` redirect the clients.
    ///
    /// # Errors
    /// [`AwsSettingsError`].
    pub async fn load() -> Result<Self, AwsSettingsError> {
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https_client());
        // The environment is the first source of the default chain, which builds clients for all
        // others even if it does not need them: a waste at every cold start.
        let environment = EnvironmentVariableCredentialsProvider::new();
        if environment.provide_credentials().await.is_ok() {
            loader = loader.credentials_provider(environment);
        }
        let sdk = loader.load().await;
        if sdk.region().is_none() {
            return Err(AwsSettingsError::NoRegion);
        }
        // Otherwise it would only fail at the first call, and look like a temporary fault.
        if let Some(provider) = sdk.credentials_provider() {
            let found = provider.provide_credentials().await;
            found.map_err(|error| AwsSettingsError::NoCredentials(error.into()))?;
        }
        Ok(Self::new(sdk))
    }

    /// The given settings.
    #[must_use]
    pub const fn new(sdk: SdkConfig) -> Self {
        Self { sdk, observer: None }
    }

    /// The same settings, with an observer of every call.
    #[must_use]
    pub fn observed_by(self, observer: Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The SDK's own form of the settings, for clients that are not built here.
    #[must_use]
    pub const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    pub(crate) const fn observer(&self) -> Option<Observer> {
        self.observer
    }

    /// A DynamoDB client. Each operation ends within 2.3 s: three attempts of at most 700 ms.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::config::Builder::from(&self.sdk)
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
        if let Some(observer) = self.observer {
            let observer = CallObserver { service: "DynamoDB", observer };
            config.push_interceptor(SharedInterceptor::new(observer));
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A Secrets Manager client for loading the key ring. Each operation ends within 8 s, because
    /// the first one runs during initialisation, for which Lambda allows 10 s.
    #[must_use]
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let mut config = aws_sdk_secretsmanager::config::Builder::from(&self.sdk)
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
        if let Some(observer) = self.observer {
            let observer = CallObserver { service: "SecretsManager", observer };
            config.push_interceptor(SharedInterceptor::new(observer));
        }
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }
}

/// The SDK's default HTTPS client. The default would be made for each service, and build its TLS
/// configuration once more than it needs, only to read the certificates early.
fn https_client() -> SharedHttpClient {
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.proxy_config(ProxyConfig::from_env()).build()
    });
    http_client_fn(move |settings, components| client.http_connector(settings, components))
}

/// Retries a plain write that conflicted with a transaction on the same item. The SDK does not do
/// so by itself.
#[derive(Debug)]
struct TransactionConflicts;

impl ClassifyRetry for TransactionConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let conflict = context.output_or_error().and_then(Result::err).is_some_and(|error| {
            error.as_operation_error().is_some_and(|error| {
                // The code is only available from the concrete error type: one per plain write
                // here.
                let codes = [
                    error.downcast_ref::<UpdateItemError>().and_then(ProvideErrorMetadata::code),
                    error.downcast_ref::<PutItemError>().and_then(ProvideErrorMetadata::code),
                    error.downcast_ref::<DeleteItemError>().and_then(ProvideErrorMetadata::code),
                ];
                codes.contains(&Some("TransactionConflictException"))
            })
        });
        if conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}
