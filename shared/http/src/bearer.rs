//! Access tokens in requests (RFC 6750 §2.1): in the header, nowhere else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use ratchet_core::access_token::{Claims, Verified};

use crate::{App, Problem, app::VerifyError, clock};

/// A request with a genuine, unexpired access token.
#[derive(Debug)]
pub struct Bearer(pub Claims);

impl FromRequestParts<Arc<App>> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = token(&parts.headers)?;
        match app.verify(token, clock::now()).await {
            Ok(Verified::Live(claims)) => Ok(Self(claims)),
            Ok(Verified::Expired(_)) => Err(Problem::ExpiredAccessToken),
            Err(VerifyError::Invalid(_)) => Err(Problem::InvalidAccessToken),
            Err(VerifyError::NoKeyRing(error)) => Err(error.into()),
        }
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
    fn the_scheme_is_compared_without_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(token(&headers(&[value])), Ok("abc"), "{value}");
        }
    }

    #[test]
    fn no_bearer_token_and_two_of_them_are_refused() {
        for values in [&[][..], &["Basic YTpi"], &["Bearer"]] {
            assert_eq!(token(&headers(values)), Err(Problem::MissingAccessToken), "{values:?}");
        }
        assert_eq!(token(&headers(&["Bearer a", "Bearer b"])), Err(Problem::InvalidAccessToken));
    }
}
