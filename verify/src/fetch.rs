//! Fetching the issuer's keys: one URL, over TLS, bounded in time and size.

use std::time::Duration;

use ratchet::key_ring::PublicKeys;
use reqwest::{Client, Response, Url, header, redirect};

/// The longest that fetching may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest set of keys that is read, in bytes.
const MAX_LEN: usize = 65_536;

/// How long keys are kept if the issuer does not say.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// The issuer is no URL that keys can be fetched from.
#[derive(Debug, thiserror::Error)]
#[error(
    "the issuer has to be an https URL without query and fragment, such as https://auth.example.com"
)]
pub struct InvalidIssuer;

/// The keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The issuer could not be reached, or did not answer in time.
    #[error("the issuer can not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The issuer answered something else than its keys.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// The answer was no JWK Set, or longer than one may be.
    #[error("the issuer's answer is no JWK Set")]
    Malformed,
    /// The last try was a moment ago and failed.
    #[error("fetching the keys failed a moment ago")]
    TriedAMomentAgo,
}

pub(crate) struct Fetched {
    pub(crate) keys: PublicKeys,
    pub(crate) max_age: Duration,
}

#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    url: Url,
}

impl Fetcher {
    pub(crate) fn new(issuer: &str) -> Result<Self, InvalidIssuer> {
        let url = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| InvalidIssuer)?;
        let plain = issuer.contains(['?', '#']) || !url.username().is_empty();
        if plain || !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err(InvalidIssuer);
        }
        // No redirect: the keys are where the issuer is, and nowhere else.
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        Ok(Self { client: client.build().map_err(|_| InvalidIssuer)?, url })
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, FetchError> {
        let request = self.client.get(self.url.clone());
        let mut response = request.send().await.map_err(FetchError::Unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let max_age = max_age(&response);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::Unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_LEN {
                return Err(FetchError::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        let keys = PublicKeys::parse(&body).ok_or(FetchError::Malformed)?;
        Ok(Fetched { keys, max_age })
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
            assert!(Fetcher::new(issuer).is_ok(), "{issuer}");
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
            assert!(Fetcher::new(issuer).is_err(), "{issuer}");
        }
    }
}
