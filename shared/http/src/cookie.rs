//! Refresh tokens of browser applications: in a cookie that no script can read.
//!
//! A client chooses this at sign-in with [`Mode::Cookie`]. From then on the browser carries the
//! refresh token, and `/refresh` and `/logout` take it from the cookie if the body has none.
//!
//! # Security
//! Other sites can make a browser send its cookies. A request that relies on the cookie must
//! therefore name a configured `Origin` and have the header [`CONFIRMATION`], which other sites
//! can only send after a CORS preflight and forms cannot send at all. `SameSite=Strict` is the
//! third fence. The prefix `__Host-` keeps sibling hosts from planting a cookie
//! (draft-ietf-httpbis-rfc6265bis §4.1.3).

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use ratchet_core::origin;
use ratchet_service::tokens::TokenPair;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Problem, problem::InvalidAttempt, tokens::without_refresh_token};

/// The header that a request with the cookie must have, with any value.
pub const CONFIRMATION: HeaderName = HeaderName::from_static("x-ratchet");

/// Who keeps the refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub enum Mode {
    /// The client: the token is in the body of the response.
    #[default]
    Token,
    /// The browser, in the cookie.
    Cookie,
}

/// Which cookie is used, and which web applications may use it.
#[derive(Debug, Clone)]
pub struct CookiePolicy {
    kind: Kind,
    origins: Arc<[String]>,
}

/// What a request says about the cookie.
#[derive(Debug)]
pub struct Browser {
    kind: Kind,
    confirmed: bool,
    from_own_origin: bool,
    cookie: Cookie,
}

/// The attributes of the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sent to this host only, and over TLS only.
    Host,
    /// Without TLS, for development: the issuer is a plain http URL on loopback. The template does
    /// not accept such an issuer for a deployment.
    Plain,
}

/// The refresh token in the `Cookie` header.
#[derive(PartialEq, Eq)]
enum Cookie {
    Absent,
    One(Zeroizing<String>),
    /// There is no telling which one is ours.
    Several,
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::One(_) => "One(…)",
            Self::Several => "Several",
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Browser
where
    CookiePolicy: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(CookiePolicy::from_ref(state).browser(&parts.headers))
    }
}

impl CookiePolicy {
    /// The policy of a service with this issuer URL and these web origins.
    #[must_use]
    pub fn new(issuer: &str, origins: &[String]) -> Self {
        Self { kind: Kind::of(issuer), origins: origins.into() }
    }

    fn browser(&self, headers: &HeaderMap) -> Browser {
        Browser {
            kind: self.kind,
            confirmed: headers.contains_key(CONFIRMATION),
            from_own_origin: self.is_own_origin(headers),
            cookie: Cookie::find(headers, self.kind.name()),
        }
    }

    /// Whether the request names exactly one `Origin`, and a configured one. Plain http origins
    /// count in development only: without TLS anybody on the way could be the page.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (values.next(), values.next()) else { return false };
        let Ok(origin) = origin.to_str() else { return false };
        let over_tls = origin.starts_with("https://");
        let in_development = self.kind == Kind::Plain && is_plain_loopback(origin);
        (over_tls || in_development) && origin::is_allowed(&self.origins, origin)
    }
}

impl Browser {
    /// Checks that this request may get the cookie, or use it.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`].
    pub const fn permit(&self) -> Result<(), Problem> {
        if self.confirmed && self.from_own_origin { Ok(()) } else { Err(Problem::ForbiddenOrigin) }
    }

    /// Whether a request without a refresh token in its body relies on the cookie.
    #[must_use]
    pub fn relies_on_cookie(&self) -> bool {
        self.confirmed || self.cookie != Cookie::Absent
    }

    /// The refresh token in the cookie.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`], or [`Problem::InvalidAttempt`] if there is not exactly one.
    pub fn refresh_token(&self) -> Result<&str, Problem> {
        self.permit()?;
        match &self.cookie {
            Cookie::One(token) => Ok(token),
            Cookie::Absent => Err(Problem::InvalidAttempt(InvalidAttempt::Missing)),
            Cookie::Several => Err(Problem::InvalidAttempt(InvalidAttempt::Malformed)),
        }
    }

    /// The response to a refresh that relied on the cookie: sets it to the next token, or deletes
    /// it if the session has ended. A fault leaves it unchanged.
    #[must_use]
    pub fn refreshed(&self, result: Result<TokenPair, Problem>) -> Response {
        match result {
            Ok(pair) => self.set_cookie(&pair),
            Err(problem) if problem.ends_session() => self.delete_cookie(problem),
            Err(problem) => problem.into_response(),
        }
    }

    /// A token pair whose refresh token is in the cookie only.
    #[must_use]
    pub fn set_cookie(&self, pair: &TokenPair) -> Response {
        let cookie = self.kind.cookie(pair.refresh_token.expose(), pair.refresh_token_expires_in);
        with_cookie(without_refresh_token(pair), &cookie)
    }

    /// `response`, which also deletes the cookie.
    #[must_use]
    pub fn delete_cookie(&self, response: impl IntoResponse) -> Response {
        with_cookie(response.into_response(), &self.kind.cookie("", 0))
    }
}

impl Kind {
    fn of(issuer: &str) -> Self {
        if is_plain_loopback(issuer) { Self::Plain } else { Self::Host }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "__Host-refresh",
            Self::Plain => "refresh",
        }
    }

    /// The value of `Set-Cookie`.
    fn cookie(self, token: &str, seconds: u64) -> Zeroizing<String> {
        let secure = match self {
            Self::Host => " Secure;",
            Self::Plain => "",
        };
        let name = self.name();
        Zeroizing::new(format!(
            "{name}={token}; HttpOnly;{secure} SameSite=Strict; Path=/; Max-Age={seconds}"
        ))
    }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let Ok(mut value) = HeaderValue::from_str(cookie) else {
        return Problem::Internal.into_response();
    };
    value.set_sensitive(true);
    response.headers_mut().append(header::SET_COOKIE, value);
    response
}

impl Cookie {
    /// Finds a cookie by its name. The gateway joins cookies into one header; HTTP/2 clients may send
    /// several (RFC 9113 §8.2.3).
    fn find(headers: &HeaderMap, name: &str) -> Self {
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter_map(|(found, value)| (found == name).then_some(value));
        match (values.next(), values.next()) {
            (None, _) | (Some(""), None) => Self::Absent,
            (Some(value), None) => Self::One(Zeroizing::new(value.to_owned())),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// Whether a URL is plain http on this machine.
fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests;
