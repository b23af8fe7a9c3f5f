//! The refresh tokens among the cookies of a request.

use std::{cmp::Reverse, fmt};

use http::{HeaderMap, header};
use ratchet_core::{ids::SessionId, refresh_token::UnverifiedRefreshToken};
use zeroize::Zeroizing;

use super::kind::Kind;

/// A refresh token in a cookie. Nothing of it has been verified.
pub(super) struct PresentedToken {
    pub(super) name: String,
    pub(super) text: Zeroizing<String>,
    pub(super) session_id: SessionId,
    generation: u32,
}

impl PresentedToken {
    /// The tokens of a request: those of the newest session first, and of each session the newest
    /// first.
    ///
    /// The gateway joins cookies into one header; HTTP/2 clients may send several (RFC 9113 §8.2.3).
    /// Cookies of other applications can have any name and any bytes.
    pub(super) fn read_all(headers: &HeaderMap, kind: Kind) -> Vec<Self> {
        let headers = headers.get_all(header::COOKIE).iter();
        let cookies = headers.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        let mut tokens: Vec<_> =
            cookies.filter_map(|cookie| Self::read(cookie.trim_ascii(), kind)).collect();
        tokens.sort_by_key(|token| Reverse((token.session_id, token.generation)));
        tokens
    }

    fn read(cookie: &[u8], kind: Kind) -> Option<Self> {
        let (name, text) = str::from_utf8(cookie).ok()?.split_once('=')?;
        let UnverifiedRefreshToken { session_id, generation } = UnverifiedRefreshToken::read(text)?;
        kind.is_name_of(name, session_id).then(|| Self {
            name: name.to_owned(),
            text: Zeroizing::new(text.to_owned()),
            session_id,
            generation,
        })
    }
}

/// Without the token.
impl fmt::Debug for PresentedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedToken({})", self.name)
    }
}
