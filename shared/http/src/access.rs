//! Access tokens in requests (RFC 6750 §2.1, RFC 9449 §7.1): in the header and nowhere else.

use axum::extract::{FromRef, FromRequestParts};
use http::{HeaderMap, header, request::Parts};
use ratchet_core::{access_token::Claims, dpop::Scheme};
use ratchet_service::{access::AccessTokenVerifier, clock};

use crate::{Problem, dpop};

/// The claims of a genuine, unexpired access token. If it is bound to a key, the request has proved
/// possession of the key.
#[derive(Debug)]
pub struct Access(pub Claims);

impl<S: Send + Sync> FromRequestParts<S> for Access
where
    AccessTokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (scheme, token) = token(&parts.headers)?;
        let verifier = AccessTokenVerifier::from_ref(state);
        let proof = dpop::presented(parts);
        Ok(Self(verifier.authorize(scheme, token, &proof, clock::now()).await?))
    }
}

fn token(headers: &HeaderMap) -> Result<(Scheme, &str), Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Problem::MissingAccessToken)?;
    if values.next().is_some() {
        return Err(Problem::InvalidAccessToken);
    }
    let value = value.to_str().map_err(|_| Problem::InvalidAccessToken)?;
    Scheme::of_header(value).ok_or(Problem::MissingAccessToken)
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
            assert_eq!(token(&headers(&[value])), Ok((Scheme::Bearer, "abc")), "{value}");
        }
        for value in ["DPoP abc", "dpop abc", "DPOP  abc"] {
            assert_eq!(token(&headers(&[value])), Ok((Scheme::Dpop, "abc")), "{value}");
        }
    }

    #[test]
    fn a_request_needs_exactly_one_access_token() {
        for values in [&[][..], &["Basic YTpi"], &["Bearer"]] {
            assert_eq!(token(&headers(values)), Err(Problem::MissingAccessToken), "{values:?}");
        }
        for values in [["Bearer a", "Bearer b"], ["DPoP a", "Bearer a"]] {
            assert_eq!(token(&headers(&values)), Err(Problem::InvalidAccessToken), "{values:?}");
        }
    }
}
