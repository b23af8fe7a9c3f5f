//! Names and attributes of the cookies.

use ratchet_core::ids::SessionId;
use zeroize::Zeroizing;

/// The attributes of the cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sent to this host only, and over TLS only.
    Host,
    /// Without TLS, for development: the issuer is a plain http URL on loopback. The template does
    /// not accept such an issuer for a deployment.
    Plain,
}

impl Kind {
    pub(super) fn of(issuer: &str) -> Self {
        if is_plain_loopback(issuer) { Self::Plain } else { Self::Host }
    }

    /// The name of the cookie of a session.
    pub(super) fn name(self, session: SessionId) -> String {
        format!("{}-{session}", self.former_name())
    }

    /// The name that the cookie had when there was one for all sessions.
    const fn former_name(self) -> &'static str {
        match self {
            Self::Host => "__Host-refresh",
            Self::Plain => "refresh",
        }
    }

    /// Whether a cookie of this name may have a token of this session.
    pub(super) fn is_name_of(self, name: &str, session: SessionId) -> bool {
        match name.strip_prefix(self.former_name()) {
            None => false,
            Some("") => true,
            Some(rest) => rest.strip_prefix('-').is_some_and(|id| id.parse() == Ok(session)),
        }
    }

    /// The value of `Set-Cookie`. A life of no seconds deletes the cookie.
    pub(super) fn cookie(self, name: &str, token: &str, seconds: u64) -> Zeroizing<String> {
        let secure = match self {
            Self::Host => " Secure;",
            Self::Plain => "",
        };
        Zeroizing::new(format!(
            "{name}={token}; HttpOnly;{secure} SameSite=Strict; Path=/; Max-Age={seconds}"
        ))
    }
}

/// Whether a URL is plain http on this machine.
pub(super) fn is_plain_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
