//! A service whose routes want an access token of Ratchet, as a bearer token or with a DPoP proof.
//! One of them also wants a recent second factor or passkey.
//!
//! ```sh
//! ISSUER=https://auth.example.com AUDIENCE=ratchet PORT=8080 URL=http://127.0.0.1:8080 \
//!   cargo run -p ratchet-verify --example protected_service
//! ```

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use ratchet_verify::{Claims, Request, Requirement, Scheme, Verifier, VerifyError};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::new(&env::var("ISSUER")?, &env::var("AUDIENCE")?)?;
    let port = env::var("PORT")?.parse()?;
    // Where clients reach this service: a proof names the URL of its request.
    let url = env::var("URL").unwrap_or_else(|_| format!("http://127.0.0.1:{port}"));
    let recent = Requirement::default().max_age(Duration::from_secs(300)).amr("otp hwk")?;
    let service = Arc::new(Service { verifier, url, recent });
    let router = Router::new().route("/whoami", get(whoami)).route("/export", get(export));
    let router = router.with_state(service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

struct Service {
    verifier: Verifier,
    url: String,
    /// What `/export` requires of the user's authentication.
    recent: Requirement,
}

async fn whoami(
    State(service): State<Arc<Service>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let claims = service.claims(&method, &uri, &headers).await?;
    Ok(Json(json!({"sub": claims.sub, "sid": claims.sid, "roles": claims.roles})))
}

async fn export(
    State(service): State<Arc<Service>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let claims = service.claims(&method, &uri, &headers).await?;
    if service.verifier.require(&claims, &service.recent).is_err() {
        let scheme = if claims.jkt().is_some() { Scheme::Dpop } else { Scheme::Bearer };
        let challenge = [(header::WWW_AUTHENTICATE, service.recent.challenge(scheme))];
        return Ok((StatusCode::UNAUTHORIZED, challenge).into_response());
    }
    Ok(Json(json!({"sub": claims.sub})).into_response())
}

impl Service {
    /// The claims of a request's access token.
    async fn claims(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Claims, StatusCode> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let authorization = headers.get(header::AUTHORIZATION).and_then(text);
        let proofs: Vec<_> = headers.get_all("dpop").iter().filter_map(text).collect();
        let request = Request {
            authorization: &authorization.ok_or(StatusCode::UNAUTHORIZED)?,
            proofs: &proofs.iter().map(String::as_str).collect::<Vec<_>>(),
            method: method.as_str(),
            url: &format!("{}{}", self.url, uri.path()),
        };
        self.verifier.verify_request(&request).await.map_err(|error| match error {
            VerifyError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            VerifyError::Expired
            | VerifyError::Ended
            | VerifyError::Unproven(_)
            | VerifyError::Invalid(_) => StatusCode::UNAUTHORIZED,
        })
    }
}
