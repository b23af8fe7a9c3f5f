//! Proofs of possession in requests, and nonces in responses (RFC 9449 §4.1, §8).

use std::convert::Infallible;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use ratchet_core::dpop::{Possession, Scheme};
use ratchet_service::{
    access::{AccessTokenVerifier, PresentedProof, ProofHeader},
    clock,
};

use crate::Problem;

/// The request header with the proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The response header with the nonce for the next proof.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How every challenge for a bearer token begins.
const BEARER: &str = "Bearer ";

/// What a request with a refresh token or a password says about possession of a key.
#[derive(Debug, Clone, Copy)]
pub struct Proof(pub Possession);

impl<S: Send + Sync> FromRequestParts<S> for Proof
where
    AccessTokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let verifier = AccessTokenVerifier::from_ref(state);
        Ok(Self(verifier.possession(&presented(parts), None, clock::now()).await?))
    }
}

/// The proof of a request, before it is verified.
pub(crate) fn presented(parts: &Parts) -> PresentedProof {
    let mut values = parts.headers.get_all(DPOP).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => ProofHeader::Absent,
        (Some(value), None) => value
            .to_str()
            .map_or(ProofHeader::Unreadable, |text| ProofHeader::Proof(text.to_owned())),
        (Some(_), Some(_)) => ProofHeader::Unreadable,
    };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    PresentedProof { header, method, path }
}

/// Adds a nonce for the next proof to the response if the request has a proof or presents its
/// access token with the scheme `DPoP`. In the latter case, a 401 has a challenge of that scheme.
pub fn around(router: Router, verifier: AccessTokenVerifier) -> Router {
    router.layer(middleware::from_fn_with_state(verifier, answer))
}

async fn answer(
    State(verifier): State<AccessTokenVerifier>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let has_proof = request.headers().contains_key(DPOP);
    let is_bound = presents_bound_token(request.headers());
    let mut response = next.run(request).await;
    if is_bound && response.status() == StatusCode::UNAUTHORIZED {
        rename_challenge(response.headers_mut());
    }
    if has_proof || is_bound {
        // If there is none, the client gets one when its next request is refused.
        let nonce = verifier.nonce(clock::now()).await.ok();
        let nonce = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok());
        response.headers_mut().extend(nonce.map(|nonce| (DPOP_NONCE, nonce)));
    }
    Ok(response)
}

fn presents_bound_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    matches!(value.and_then(Scheme::of_header), Some((Scheme::Dpop, _)))
}

/// Turns a bearer challenge into one of the scheme `DPoP` (RFC 9449 §7.1).
fn rename_challenge(headers: &mut HeaderMap) {
    let challenge = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let rest = challenge.and_then(|challenge| challenge.strip_prefix(BEARER));
    let renamed = rest.map(|rest| format!("DPoP {rest}, {ALGORITHMS}"));
    if let Some(value) = renamed.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
}

/// The parameter of a challenge that names the algorithms for proofs (RFC 9449 §7.1).
pub(crate) const ALGORITHMS: &str = r#"algs="ES256 EdDSA RS256""#;

#[cfg(test)]
mod tests {
    use ratchet_core::{dpop::algorithms, jws::SignatureAlgorithm};

    use super::*;

    fn parts(values: &[&'static str]) -> Parts {
        let request = http::Request::post("/refresh?x=1");
        let request = values.iter().fold(request, |request, value| request.header(DPOP, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_has_one_proof_for_its_method_and_path() {
        let PresentedProof { header, method, path } = presented(&parts(&["a.b.c"]));
        assert_eq!(header, ProofHeader::Proof("a.b.c".to_owned()));
        assert_eq!((method.as_str(), path.as_str()), ("POST", "/refresh"));
        assert_eq!(presented(&parts(&[])).header, ProofHeader::Absent);
        for values in [&["a.b.c", "a.b.c"][..], &["\u{e9}"]] {
            assert_eq!(presented(&parts(values)).header, ProofHeader::Unreadable, "{values:?}");
        }
    }

    #[test]
    fn challenges_name_every_algorithm_of_proofs() {
        let names: Vec<_> = algorithms().map(SignatureAlgorithm::name).collect();
        assert_eq!(ALGORITHMS, format!(r#"algs="{}""#, names.join(" ")));
    }

    #[test]
    fn a_challenge_is_renamed_for_who_uses_the_scheme() {
        let mut headers = HeaderMap::new();
        let challenge = r#"Bearer realm="ratchet", error="invalid_token""#;
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        let renamed = format!(r#"DPoP realm="ratchet", error="invalid_token", {ALGORITHMS}"#);
        for _ in 0..2 {
            rename_challenge(&mut headers);
            assert_eq!(headers[header::WWW_AUTHENTICATE], renamed);
        }
    }
}
