//! Functions behind the HTTP API.

mod event;
#[cfg(fuzzing)]
pub mod fuzzing;
mod response;

use std::{net::IpAddr, process::ExitCode};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_runtime::{LambdaEvent, service_fn, tower::Service as _};
use ratchet_core::trusted_proxies::TrustedProxies;
use ratchet_http::{Invocation, edge, problem::ProblemCode};
use ratchet_service::{clock, metrics};
use ratchet_store::Stores;
use serde_json::value::RawValue;

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
    let prepare = async |stores: &Stores<'_>| {
        let proxies = stores.config().trusted_proxies.clone();
        Ok(Server::new(prepare(stores).await?, proxies))
    };
    let server = &start::prepare(prepare).await?;
    // As text, because the runtime fails an invocation whose event it cannot read as another type.
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        server.serve(payload.get(), &context.request_id).await
    });
    lambda_runtime::run(service).await.map_err(StartError::Runtime)
}

/// Serves events of the HTTP API.
#[derive(Debug)]
struct Server {
    router: Router,
    proxies: Option<TrustedProxies>,
}

impl Server {
    fn new(router: Router, proxies: Option<TrustedProxies>) -> Self {
        Self { router: router.layer(middleware::from_fn(note_route)), proxies }
    }

    /// Serves one invocation, with one log line: no path (it may contain an id), no query, no header,
    /// no body.
    async fn serve(
        &self,
        event: &str,
        request_id: &str,
    ) -> Result<ApiGatewayV2httpResponse, Failure> {
        let begun = clock::now();
        let invocation = async {
            let (method, response) = match event::read(event) {
                Ok((mut request, peer)) => {
                    let method = request.method().to_string();
                    let source_ip = self.client_address(request.headers(), peer);
                    let request_id = request_id.to_owned();
                    request.extensions_mut().insert(Invocation { request_id, source_ip });
                    let Ok(response) = self.router.clone().call(request).await;
                    (method, response)
                }
                Err(problem) => (String::new(), edge::with_headers(problem.into_response())),
            };
            let milliseconds = clock::now().get().saturating_sub(begun.get());
            record(request_id, &method, &response, milliseconds);
            response::read(response).await
        };
        Ok(emf::measured(request_id, invocation).await?)
    }

    /// The client's address: the `peer` that connects to the gateway or, behind a trusted proxy,
    /// the address in its header.
    fn client_address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let Some(proxies) = &self.proxies else { return peer };
        let values = headers.get_all(proxies.header()).iter();
        // Clients may put any bytes before what the proxy appends.
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        proxies.client(values.iter().map(AsRef::as_ref), peer)
    }
}

/// Writes the log line of a request, and counts it.
fn record(request_id: &str, method: &str, response: &Response, milliseconds: u64) {
    let (status, extensions) = (response.status(), response.extensions());
    let code = extensions.get::<ProblemCode>().map(|code| code.0);
    tracing::info!(
        request_id,
        method,
        route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str),
        status = status.as_u16(),
        code,
        milliseconds,
        "request"
    );
    emf::record_invocation(milliseconds, status.is_server_error());
    if let Some(code) = code.filter(|_| status.is_client_error()) {
        metrics::count_refusal(code);
    }
}

/// Notes in the response which route answered it.
async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

#[cfg(test)]
mod tests;
