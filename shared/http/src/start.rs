//! Start-up: everything that can be done before the first request is done before it.

use std::{env, error::Error, process::ExitCode, sync::Arc};

use axum::Router;
use ratchet_core::{config::LogLevel, entropy::random, error_chain::ErrorChain, ids::UserId};
use ratchet_store::LoadError;

use crate::{App, app::EnvironmentError, clock, edge, measure, telemetry, trace};

/// A function can not start, and should not be tried again before somebody has looked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment does not say what is needed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The key ring is missing or can not be used.
    #[error(transparent)]
    KeyRing(LoadError),
    /// The random source does not work.
    #[error(transparent)]
    Random(#[from] ratchet_core::entropy::RandomUnavailable),
    /// The function's own part of the start failed.
    #[error(transparent)]
    Function(Box<dyn Error + Send + Sync>),
    /// The Lambda runtime ended.
    #[error("the Lambda runtime ended")]
    Runtime(#[source] lambda_http::Error),
}

/// Runs a function until its environment ends. `routes` gets what it needs to prepare.
pub async fn run<F>(routes: F) -> ExitCode
where
    F: FnOnce(&App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>>,
{
    exit_code(try_run(routes, warm).await)
}

/// Runs a function that may read the key ring and no table.
pub async fn run_without_tables<F>(routes: F) -> ExitCode
where
    F: FnOnce(&App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>>,
{
    exit_code(try_run(routes, load_key_ring).await)
}

pub(crate) fn exit_code(outcome: Result<(), StartError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before the configuration is read there is no logging; an environment error says
            // everything in its own text.
            telemetry::init(LogLevel::Info);
            let error = tracing::field::display(ErrorChain(&error));
            tracing::error!(target: "ratchet", error, "the function can not start");
            ExitCode::FAILURE
        }
    }
}

async fn try_run<F>(
    routes: F,
    prepare: impl AsyncFnOnce(&App) -> Result<(), StartError>,
) -> Result<(), StartError>
where
    F: FnOnce(&App) -> Result<Router<Arc<App>>, Box<dyn Error + Send + Sync>>,
{
    let app = App::new(|name| env::var(name).ok())?;
    telemetry::init(app.config.log_level);
    observe();
    let routes = routes(&app).map_err(StartError::Function)?;
    measure::within("", Box::pin(prepare(&app))).await?;
    serve(edge::around(routes, Arc::new(app))).await.map_err(StartError::Runtime)
}

/// Begins to measure and to trace.
pub(crate) fn observe() {
    measure::collect(env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default());
    trace::find_daemon(env::var("AWS_XRAY_DAEMON_ADDRESS").ok().as_deref());
}

#[cfg(not(feature = "concurrent"))]
async fn serve(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(router).await
}

/// Serves as many invocations at once as `AWS_LAMBDA_MAX_CONCURRENCY` says, one without it.
#[cfg(feature = "concurrent")]
async fn serve(router: Router) -> Result<(), lambda_http::Error> {
    use axum::response::Response;
    use http_body_util::{BodyExt as _, Full};
    use tower::{ServiceExt as _, service_fn};

    // Threads share the answer, which a body that may be a stream does not let them do.
    let whole = service_fn(move |request: lambda_http::Request| {
        let router = router.clone();
        async move {
            let (head, body) = router.oneshot(request).await?.into_parts();
            let body = Full::new(body.collect().await?.to_bytes());
            Ok::<_, lambda_http::Error>(Response::from_parts(head, body))
        }
    });
    lambda_http::run_concurrent(whole).await
}

/// Loads the key ring and asks DynamoDB twice, at the same time: all are mostly TLS handshakes, and the
/// first request should not wait for them. Twice, because requests make two calls at the same time,
/// and a connection takes one after the other.
async fn warm(app: &App) -> Result<(), StartError> {
    let nobody = UserId::generate(clock::now(), &random()?);
    let (ring, first, second) =
        tokio::join!(load_key_ring(app), app.users.find(nobody), app.users.find(nobody));
    if let Err(error) = first.and(second) {
        let error = tracing::field::display(ErrorChain(&error));
        tracing::warn!(error, "DynamoDB could not be reached at start");
    }
    ring
}

async fn load_key_ring(app: &App) -> Result<(), StartError> {
    match app.key_ring.current(clock::now()).await {
        Ok(_) => Ok(()),
        // A fault of the moment: requests try again and say 503 until it is over.
        Err(error @ LoadError::Unavailable(_)) => {
            let error = tracing::field::display(ErrorChain(&error));
            tracing::warn!(error, "the key ring could not be loaded at start");
            Ok(())
        }
        Err(error) => Err(StartError::KeyRing(error)),
    }
}
