//! Access tokens in requests (RFC 6750 §2.1): in the header and nowhere else.

use axum::extract::{FromRef, FromRequestParts};
use http::{HeaderMap, header, request::Parts};
use ratchet_core::access_token::Claims;
use ratchet_service::{access::AccessTokenVerifier, clock};

use crate::Problem;

/// The claims of a genuine, unexpired access token.
#[derive(Debug)]
pub struct Bearer(pub Claims);

impl<S: Send + Sync> FromRequestParts<S> for Bearer
where
    AccessTokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = token(&parts.headers)?;
        Ok(Self(AccessTokenVerifier::from_ref(state).verify(token, clock::now()).await?))
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Problem::MissingAccessToken)?;
    if values.next().is_some() {
        return Err(Problem::InvalidAccessToken);
    }
    let value = value.to_str().map_err(|_| Problem::InvalidAccessToken)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::MissingAccessToken),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (header::AUTHORIZATION, value)).collect()
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(token(&headers(&[value])), Ok("abc"), "{value}");
        }
    }

    #[test]
    fn a_request_needs_exactly_one_bearer_token() {
        for values in [&[][..], &["Basic YTpi"], &["Bearer"]] {
            assert_eq!(token(&headers(values)), Err(Problem::MissingAccessToken), "{values:?}");
        }
        assert_eq!(token(&headers(&["Bearer a", "Bearer b"])), Err(Problem::InvalidAccessToken));
    }
}
