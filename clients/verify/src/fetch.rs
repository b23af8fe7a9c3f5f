//! Fetching what the issuer publishes: one URL each, over TLS, bounded in time and size.

use std::time::Duration;

use ratchet_core::revocations::{ListError, MAX_LIST_LEN};
use reqwest::{Client, Response, StatusCode, Url, header, redirect};

/// The longest that fetching may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes.
const MAX_LEN: usize = MAX_LIST_LEN;

/// How long an answer is kept if the issuer does not say.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// The issuer is no URL that anything can be fetched from.
#[derive(Debug, thiserror::Error)]
#[error(
    "the issuer has to be an https URL without query and fragment, such as https://auth.example.com"
)]
pub struct InvalidIssuer;

/// Keys, or the list of ended sessions, could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The issuer could not be reached, or did not answer in time.
    #[error("the issuer can not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The issuer answered something else than what it was asked for.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// The answer was no JWK Set, or longer than anything may be.
    #[error("the issuer's answer is no JWK Set, or too long")]
    Malformed,
    /// The answer was no list of ended sessions that is to be gone by.
    #[error("the issuer's list of ended sessions can not be used")]
    List(#[source] ListError),
    /// The last try was a moment ago and failed.
    #[error("fetching it failed a moment ago")]
    TriedAMomentAgo,
}

/// An answer.
pub(crate) struct Fetched {
    /// What there is; nothing if it is the same as before (RFC 9110 §15.4.5).
    pub(crate) news: Option<Vec<u8>>,
    /// The name of what there is, for the next time.
    pub(crate) etag: Option<header::HeaderValue>,
    pub(crate) max_age: Duration,
}

/// Fetches one document of the issuer.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    url: Url,
}

impl Fetcher {
    /// One for the document at `path` below the issuer's URL.
    pub(crate) fn new(issuer: &str, path: &str) -> Result<Self, InvalidIssuer> {
        let url = format!("{}{path}", issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| InvalidIssuer)?;
        let plain = issuer.contains(['?', '#']) || !url.username().is_empty();
        if plain || !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err(InvalidIssuer);
        }
        // No redirect: what the issuer says is where the issuer is, and nowhere else.
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        Ok(Self { client: client.build().map_err(|_| InvalidIssuer)?, url })
    }

    /// The document, unless it is still the one that `known` names.
    pub(crate) async fn fetch(
        &self,
        known: Option<&header::HeaderValue>,
    ) -> Result<Fetched, FetchError> {
        let request = self.client.get(self.url.clone());
        let request = match known {
            Some(etag) => request.header(header::IF_NONE_MATCH, etag),
            None => request,
        };
        let mut response = request.send().await.map_err(FetchError::Unreachable)?;
        let max_age = max_age(&response);
        let etag = response.headers().get(header::ETAG).cloned();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => {
                return Ok(Fetched { news: None, etag: known.cloned(), max_age });
            }
            other => return Err(FetchError::Status(other.as_u16())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::Unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_LEN {
                return Err(FetchError::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { news: Some(body), etag, max_age })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(response: &Response) -> Duration {
    let value = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    value
        .unwrap_or_default()
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())
        .map_or(DEFAULT_MAX_AGE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWKS: &str = "/.well-known/jwks.json";

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for issuer in [
            "https://auth.example.com",
            "https://auth.example.com/",
            "https://auth.example.com/stage",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://localhost:9000",
        ] {
            assert!(Fetcher::new(issuer, JWKS).is_ok(), "{issuer}");
        }
        for issuer in [
            "http://auth.example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "auth.example.com",
            "https://auth.example.com?a=b",
            "https://auth.example.com#a",
            "https://user@auth.example.com",
            "",
        ] {
            assert!(Fetcher::new(issuer, JWKS).is_err(), "{issuer}");
        }
    }
}
