//! Functions behind the HTTP API.

use std::{net::IpAddr, process::ExitCode};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::Extensions;
use lambda_http::{Context, request::RequestContext};
use ratchet_http::{Invocation, problem::ProblemCode};
use ratchet_service::{clock, metrics};
use ratchet_store::Stores;

use crate::{
    Failure, emf,
    start::{self, StartError, exit_code},
};

/// Runs a function until its execution environment ends. `prepare` returns its router.
pub async fn run(prepare: impl AsyncFnOnce(&Stores<'_>) -> Result<Router, Failure>) -> ExitCode {
    exit_code(try_run(prepare).await)
}

async fn try_run(
    prepare: impl AsyncFnOnce(&Stores<'_>) -> Result<Router, Failure>,
) -> Result<(), StartError> {
    let router = start::prepare(prepare).await?;
    lambda_http::run(router.layer(middleware::from_fn(invoke))).await.map_err(StartError::Runtime)
}

/// Serves one invocation, with one log line: no path (it may contain an id), no query, no header, no
/// body.
async fn invoke(mut request: Request, next: Next) -> Response {
    let begun = clock::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let invocation = invocation(request.extensions());
    let request_id = invocation.request_id.clone();
    request.extensions_mut().insert(invocation);
    emf::measured(&request_id, async {
        let response = next.run(request).await;
        let status = response.status();
        let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
        let milliseconds = clock::now().get().saturating_sub(begun.get());
        tracing::info!(
            request_id,
            method = method.as_str(),
            route = route.as_ref().map_or("", MatchedPath::as_str),
            status = status.as_u16(),
            code,
            milliseconds,
            "request"
        );
        emf::record_invocation(milliseconds, status.is_server_error());
        if let Some(code) = code.filter(|_| status.is_client_error()) {
            metrics::count_refusal(code);
        }
        response
    })
    .await
}

/// What the runtime and the gateway say about a request.
fn invocation(extensions: &Extensions) -> Invocation {
    let context = extensions.get::<Context>();
    let source_ip = match extensions.get() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok())
        }
        _ => None,
    };
    let request_id = context.map(|context| context.request_id.clone()).unwrap_or_default();
    Invocation { request_id, source_ip }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use lambda_http::{RequestExt as _, request::from_str, tower::ServiceExt as _};
    use ratchet_http::caller::Caller;

    use super::*;

    /// A request as the gateway sends it (payload format 2.0).
    fn event(context: &str) -> String {
        format!(
            r#"{{"version": "2.0", "routeKey": "ANY /refresh", "rawPath": "/refresh",
            "rawQueryString": "", "cookies": ["theme=dark", "__Host-refresh=rt1_x"],
            "headers": {{"host": "api.example", "user-agent": "curl/8",
            "x-forwarded-for": "198.51.100.1"}},
            "requestContext": {{"http": {{"method": "POST", "path": "/refresh"{context}}},
            "requestId": "x", "routeKey": "ANY /refresh", "stage": "$default", "timeEpoch": 0}},
            "isBase64Encoded": false, "body": "{{}}"}}"#
        )
    }

    async fn ask(event: &str) -> String {
        let handler =
            async |caller: Caller, invocation: axum::Extension<Invocation>, request: Request| {
                let cookie = request.headers()["cookie"].to_str().unwrap().to_owned();
                format!("{:?} {} {cookie}", caller.source_ip, invocation.request_id)
            };
        let router =
            Router::new().route("/refresh", post(handler)).layer(middleware::from_fn(invoke));
        let mut context = Context::default();
        context.request_id = "7".to_owned();
        let request = from_str(event).unwrap().with_lambda_context(context);
        let response = router.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_gateways_source_address_cookies_and_request_id_arrive() {
        let event = event(r#", "sourceIp": "203.0.113.77", "userAgent": "curl/8""#);
        let seen = ask(&event).await;
        assert_eq!(seen, "Some(203.0.113.77) 7 theme=dark; __Host-refresh=rt1_x");
    }

    #[tokio::test]
    async fn without_a_source_address_there_is_none() {
        for context in ["", r#", "sourceIp": "unknown""#] {
            assert!(ask(&event(context)).await.starts_with("None "), "{context}");
        }
    }
}
