//! Refresh tokens of browser applications: in a cookie that no script can read.
//!
//! A client chooses this at sign-in by [`Mode::Cookie`]. From then on the browser carries the
//! refresh token, and `/refresh` and `/logout` take it from the cookie when the body has none.
//!
//! # Security
//! What a browser sends on its own account, another site can make it send. So a request that counts
//! on the cookie must name a configured `Origin` and carry the header [`CONFIRMATION`], which no
//! other site can send without asking first (CORS) and no form can send at all; `SameSite=Strict`
//! is the third fence. The prefix `__Host-` keeps sibling hosts from planting a cookie
//! (draft-ietf-httpbis-rfc6265bis §4.1.3).

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use ratchet_core::config::Config;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{App, Problem, problem::InvalidAttempt, tokens::TokenPair};

/// The header that a request with the cookie must have; any value will do.
pub const CONFIRMATION: HeaderName = HeaderName::from_static("x-ratchet");

/// How a client keeps its refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "contract", derive(schemars::JsonSchema))]
pub enum Mode {
    /// Itself: the token is in the body of the answer.
    #[default]
    Token,
    /// The browser does, in the cookie.
    Cookie,
}

/// What a browser said beside the body.
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
    /// Only ever sent to this very host, and only over TLS.
    Host,
    /// Without TLS, for development: when the issuer is a plain http URL on loopback, which the
    /// template does not let a deployment have.
    Plain,
}

/// The refresh token in the `Cookie` header.
#[derive(PartialEq, Eq)]
enum Cookie {
    Absent,
    One(Zeroizing<String>),
    /// Which of them is ours can not be told.
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

impl FromRequestParts<Arc<App>> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &app.config))
    }
}

impl Browser {
    fn of(headers: &HeaderMap, config: &Config) -> Self {
        let kind = Kind::of(&config.access_token.issuer);
        Self {
            kind,
            confirmed: headers.contains_key(CONFIRMATION),
            from_own_origin: is_own_origin(headers, &config.cors_origins, kind),
            cookie: Cookie::find(headers, kind.name()),
        }
    }

    /// Whether this request may have, or bring, the cookie.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`].
    pub const fn permit(&self) -> Result<(), Problem> {
        if self.confirmed && self.from_own_origin { Ok(()) } else { Err(Problem::ForbiddenOrigin) }
    }

    /// Whether a request without a refresh token in its body counts on the cookie.
    #[must_use]
    pub fn counts_on_cookie(&self) -> bool {
        self.confirmed || self.cookie != Cookie::Absent
    }

    /// The refresh token in the cookie.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`], or an invalid attempt if there is not exactly one.
    pub fn refresh_token(&self) -> Result<&str, Problem> {
        self.permit()?;
        match &self.cookie {
            Cookie::One(token) => Ok(token),
            Cookie::Absent => Err(Problem::InvalidAttempt(InvalidAttempt::Missing)),
            Cookie::Several => Err(Problem::InvalidAttempt(InvalidAttempt::Malformed)),
        }
    }

    /// The answer to a refresh that counted on the cookie: the next token goes into it, and a
    /// refusal that ends the session takes it away. A fault leaves it where it is.
    #[must_use]
    pub fn answer(&self, result: Result<TokenPair, Problem>) -> Response {
        match result {
            Ok(pair) => self.keep(&pair),
            Err(problem) if problem.ends_session() => self.forget(problem),
            Err(problem) => problem.into_response(),
        }
    }

    /// A token pair whose refresh token is in the cookie only.
    #[must_use]
    pub fn keep(&self, pair: &TokenPair) -> Response {
        let cookie = self.kind.cookie(pair.refresh_token(), pair.refresh_token_expires_in());
        with_cookie(pair.without_refresh_token(), &cookie)
    }

    /// `answer`, with the cookie taken away.
    #[must_use]
    pub fn forget(&self, answer: impl IntoResponse) -> Response {
        with_cookie(answer.into_response(), &self.kind.cookie("", 0))
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
    /// Looks for a cookie by its name. The gateway joins cookies into one header; HTTP/2 clients
    /// may send several (RFC 9113 §8.2.3).
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

/// Whether the request names exactly one `Origin` and that is a configured one. Without TLS anybody
/// on the way could be the page, so plain http origins count in development only.
fn is_own_origin(headers: &HeaderMap, origins: &[String], kind: Kind) -> bool {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (values.next(), values.next()) else { return false };
    let Ok(origin) = origin.to_str() else { return false };
    let over_tls = origin.starts_with("https://");
    let in_development = kind == Kind::Plain && is_plain_loopback(origin);
    (over_tls || in_development) && origins.iter().any(|own| own == origin)
}

/// Whether a URL is plain http on this very machine.
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
