//! Fetching what the issuer publishes: one URL each, over TLS, bounded in time and size.

use std::time::Duration;

use ratchet_core::revocations::{ListError, MAX_LIST_LEN};
use ratchet_refreshed::NotLoaded;
use reqwest::{
    Client, StatusCode, Url,
    header::{self, HeaderMap, HeaderName},
    redirect,
};

/// The longest that fetching may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes.
const MAX_LEN: usize = MAX_LIST_LEN;

/// How long an answer is kept if the issuer does not say.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// Limits on how long an answer is kept, whatever the issuer and caches say.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// The issuer is not a URL that documents can be fetched from.
#[derive(Debug, thiserror::Error)]
#[error(
    "the issuer has to be an https URL without query and fragment, such as https://auth.example.com"
)]
pub struct InvalidIssuer;

/// Keys, or the list of ended sessions, could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The issuer could not be reached, or did not answer in time.
    #[error("the issuer cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The issuer answered with an error or a redirect.
    #[error("the issuer answered with status {0}")]
    Status(u16),
    /// The response is not a JWK Set, or too long.
    #[error("the issuer's response is not a JWK Set, or too long")]
    Malformed,
    /// The response is not a valid list of ended sessions.
    #[error("the issuer's response is not a valid list of ended sessions")]
    List(#[source] ListError),
    /// The last try was a moment ago and failed.
    #[error("fetching it failed a moment ago")]
    TriedAMomentAgo,
}

impl From<NotLoaded<Self>> for FetchError {
    fn from(failure: NotLoaded<Self>) -> Self {
        match failure {
            NotLoaded::Failed(error) => error,
            NotLoaded::TookTooLong | NotLoaded::TriedAMomentAgo | NotLoaded::GivenUp => {
                Self::TriedAMomentAgo
            }
        }
    }
}

/// A response.
pub(crate) struct Fetched {
    /// The document; `None` if it is the same as before (RFC 9110 §15.4.5).
    pub(crate) news: Option<Vec<u8>>,
    /// Its tag, for the next request.
    pub(crate) etag: Option<header::HeaderValue>,
    /// How long it is good, counted from the request.
    pub(crate) good_for: Duration,
}

/// Fetches one document of the issuer.
#[derive(Debug, Clone)]
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
        // No redirect: the issuer's documents are at the issuer's URL, and nowhere else.
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        Ok(Self { client: client.build().map_err(|_| InvalidIssuer)?, url })
    }

    /// The document, unless it is still the one that `known` tags. `past_caches` asks caches on the
    /// way to validate what they have (RFC 9111 §5.2.1.4).
    pub(crate) async fn fetch(
        &self,
        known: Option<&header::HeaderValue>,
        past_caches: bool,
    ) -> Result<Fetched, FetchError> {
        let request = self.client.get(self.url.clone());
        let request = match known {
            Some(etag) => request.header(header::IF_NONE_MATCH, etag),
            None => request,
        };
        let request =
            if past_caches { request.header(header::CACHE_CONTROL, "no-cache") } else { request };
        let mut response = request.send().await.map_err(FetchError::Unreachable)?;
        let good_for = good_for(response.headers());
        let etag = response.headers().get(header::ETAG).cloned();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => {
                return Ok(Fetched { news: None, etag: known.cloned(), good_for });
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
        Ok(Fetched { news: Some(body), etag, good_for })
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

/// How long a response is fresh, counted from its request: what is left of `max-age` (RFC 9111
/// §5.2.2.1) after the time that it spent in caches, `Age` (§4.2.3).
fn good_for(headers: &HeaderMap) -> Duration {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let max_age = text(header::CACHE_CONTROL)
        .unwrap_or_default()
        .split(',')
        .find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())
        .map_or(DEFAULT_MAX_AGE, Duration::from_secs);
    let age = text(header::AGE).and_then(|age| age.trim().parse().ok()).unwrap_or_default();
    let (least, most) = GOOD_FOR;
    max_age.saturating_sub(Duration::from_secs(age)).clamp(least, most)
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
    #[test]
    fn an_answer_is_good_for_what_is_left_of_its_time_after_caches_on_the_way() {
        let good = |cache_control: &str, age: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
            if !age.is_empty() {
                headers.insert(header::AGE, age.parse().unwrap());
            }
            good_for(&headers).as_secs()
        };
        assert_eq!(good("public, max-age=600", ""), 600);
        assert_eq!(good("public, max-age=600", "590"), 10);
        assert_eq!(good("public, max-age=600", "600"), 1);
        assert_eq!(good("public, max-age=600", "18446744073709551615"), 1);
        assert_eq!(good("public, max-age=600", "soon"), 600);
        assert_eq!(good("public", "100"), 200);
        assert_eq!(good("max-age=0", ""), 1);
        assert_eq!(good("max-age=18446744073709551615", ""), 86_400);
    }
}
