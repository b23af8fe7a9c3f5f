//! Headers that several routes read.

use utoipa::IntoParams;

/// What a request with the cookie needs.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct CookieConfirmation {
    /// In cookie mode only: any value, beside a configured `Origin`.
    #[param(rename = "X-Ratchet", required = false)]
    confirmation: String,
}

/// What a client sends that has a copy already.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct IfNoneMatch {
    /// The `ETag` of the client's copy.
    #[param(rename = "If-None-Match", required = false)]
    etag: String,
}

/// The proof of possession of a key.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct ProofOfPossession {
    /// A DPoP proof (RFC 9449 §4.2) with the nonce of an earlier response.
    #[param(rename = "DPoP", required = false)]
    proof: String,
}
