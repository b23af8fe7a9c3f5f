//! A service whose one route wants an access token of Ratchet.
//!
//! ```sh
//! ISSUER=https://auth.example.com AUDIENCE=ratchet PORT=8080 cargo run -p ratchet-verify --example protected_service
//! ```

use std::{env, error::Error, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use ratchet_verify::{Verifier, VerifyError};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::new(&env::var("ISSUER")?, &env::var("AUDIENCE")?)?;
    let router = Router::new().route("/whoami", get(whoami)).with_state(Arc::new(verifier));
    let port = env::var("PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn whoami(
    State(verifier): State<Arc<Verifier>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let claims = verifier.verify(token).await.map_err(|error| match error {
        VerifyError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        VerifyError::Expired | VerifyError::Ended | VerifyError::Invalid(_) => {
            StatusCode::UNAUTHORIZED
        }
    })?;
    Ok(Json(json!({"sub": claims.sub, "sid": claims.sid, "roles": claims.roles})))
}
