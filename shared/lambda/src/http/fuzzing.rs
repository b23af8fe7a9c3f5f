//! What the fuzzer reaches: events, as the runtime passes them on.

use axum::Router;

use super::Server;

/// Serves an event with a router. Returns the response to the gateway, as JSON.
///
/// # Errors
/// What would fail the invocation.
pub async fn answer(router: Router, event: &str) -> Result<String, crate::Failure> {
    let response = Server::new(router, None).serve(event, "fuzzing").await?;
    Ok(serde_json::to_string(&response)?)
}
