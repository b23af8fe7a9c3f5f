//! Refresh tokens of browser applications: in cookies that no script can read.
//!
//! A client chooses this at sign-in with [`Mode::Cookie`]. From then on the browser carries the
//! refresh token, and `/refresh` and `/logout` take it from the cookie if the body has none.
//!
//! Each session has a cookie of its own: its name contains the session's id. A response sets the
//! cookie of its own session, and deletes only cookies that came with its request and whose sessions
//! have ended. So a response that arrives late, from before another sign-in, leaves the cookie of
//! that sign-in alone. It may bring an ended session's cookie back; a later request deletes it.
//!
//! A browser has one session. If a request has the tokens of several, the newest live session is
//! used and the others are ended, so that no late response can bring one of them back. A session that
//! is bound to a key which the browser lost cannot be ended this way; only its cookie is deleted.
//!
//! # Security
//! Other sites can make a browser send its cookies. A request that relies on the cookie must
//! therefore name a configured `Origin` and have the header [`CONFIRMATION`], which other sites
//! can only send after a CORS preflight and forms cannot send at all. `SameSite=Strict` is a
//! third protection. The prefix `__Host-` keeps sibling hosts from planting a cookie
//! (draft-ietf-httpbis-rfc6265bis §4.1.3).

mod kind;
mod presented;

use std::{convert::Infallible, future::Future, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use ratchet_core::{cors, dpop::ProofError, error_chain::ErrorChain, ids::SessionId};
use ratchet_service::{end_sessions::LogOutError, tokens::TokenPair};
use serde::Deserialize;
use zeroize::Zeroizing;

use self::{
    kind::{Kind, is_plain_loopback},
    presented::PresentedToken,
};
use crate::{Problem, problem::InvalidAttempt, tokens::without_refresh_token};

/// The header that a request with the cookie must have, with any value.
pub const CONFIRMATION: HeaderName = HeaderName::from_static("x-ratchet");

/// How many genuine tokens of a request are used. This limits the writes per request. A browser has
/// one session, and rarely two. Tokens that are not genuine cost nothing.
const MAX: usize = 8;

/// Who keeps the refresh token: the client (`token`), which finds it in the body of the response, or
/// the browser, in a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "contract", derive(utoipa::ToSchema))]
pub enum Mode {
    /// The client: the token is in the body of the response.
    #[default]
    Token,
    /// The browser, in the cookie.
    Cookie,
}

/// Which cookies are used, and which web applications may use them.
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
    /// The newest first.
    tokens: Vec<PresentedToken>,
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
            tokens: PresentedToken::read_all(headers, self.kind),
        }
    }

    /// Whether the request names exactly one `Origin`, and a configured one. Plain http origins
    /// count in development only: without TLS, anybody on the network could inject the page.
    fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (values.next(), values.next()) else { return false };
        let Ok(origin) = origin.to_str() else { return false };
        let over_tls = origin.starts_with("https://");
        let in_development = self.kind == Kind::Plain && is_plain_loopback(origin);
        (over_tls || in_development) && cors::is_allowed(&self.origins, origin)
    }
}

impl Browser {
    /// Checks that this request may get a cookie, or use one.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`].
    pub const fn permit(&self) -> Result<(), Problem> {
        if self.confirmed && self.from_own_origin { Ok(()) } else { Err(Problem::ForbiddenOrigin) }
    }

    /// Whether a request without a refresh token in its body relies on a cookie.
    #[must_use]
    pub fn relies_on_cookie(&self) -> bool {
        self.confirmed || !self.tokens.is_empty()
    }

    /// The response to a sign-in: the new session's cookie. `end` ends the session of a token and
    /// returns whether the token is genuine; the sessions that the browser had are ended.
    pub async fn signed_in<E: Future<Output = Result<bool, LogOutError>>>(
        &self,
        pair: &TokenPair,
        end: impl Fn(Zeroizing<String>) -> E,
    ) -> Response {
        let ended = self.end_all_but(pair.session_id, &end).await;
        self.respond(without_refresh_token(pair), Some(pair), &ended)
    }

    /// The response to a refresh that relies on the cookie. `refresh` exchanges a token; `end` is that
    /// of [`signed_in`](Self::signed_in).
    ///
    /// The newest session that is live is refreshed. A 401 deletes the cookies of sessions that have
    /// ended. A fault leaves all cookies unchanged.
    pub async fn refresh<
        R: Future<Output = Result<TokenPair, Problem>>,
        E: Future<Output = Result<bool, LogOutError>>,
    >(
        &self,
        refresh: impl Fn(Zeroizing<String>) -> R,
        end: impl Fn(Zeroizing<String>) -> E,
    ) -> Response {
        const MALFORMED: Problem = Problem::InvalidAttempt(InvalidAttempt::Malformed);
        if let Err(problem) = self.permit() {
            return problem.into_response();
        }
        let mut first_refusal = None;
        let mut ended = Vec::new();
        for token in self.first_of_each_session() {
            if ended.len() >= MAX {
                break;
            }
            match refresh(token.text.clone()).await {
                Ok(pair) => {
                    ended.extend(self.end_all_but(pair.session_id, &end).await);
                    return self.respond(without_refresh_token(&pair), Some(&pair), &ended);
                }
                // Another session of this browser may be bound to the key that it has now.
                Err(
                    problem @ Problem::RefusedProof(ProofError::Missing | ProofError::WrongKey),
                ) => {
                    first_refusal.get_or_insert(problem);
                }
                Err(problem) if problem.ends_session() => {
                    // A cookie whose token is not genuine belongs to another application.
                    if problem != MALFORMED {
                        ended.push(token.session_id);
                    }
                    first_refusal.get_or_insert(problem);
                }
                Err(problem) => return problem.into_response(),
            }
        }
        let missing = Problem::InvalidAttempt(InvalidAttempt::Missing);
        self.respond(first_refusal.unwrap_or(missing).into_response(), None, &ended)
    }

    /// The response to a log-out that relies on the cookie. Ends all sessions whose tokens it has.
    ///
    /// # Errors
    /// [`Problem::ForbiddenOrigin`], or what `end` returns, which leaves all cookies unchanged.
    pub async fn log_out<E: Future<Output = Result<bool, LogOutError>>>(
        &self,
        end: impl Fn(Zeroizing<String>) -> E,
    ) -> Result<Response, Problem> {
        self.permit()?;
        let mut ended = Vec::new();
        for token in self.first_of_each_session() {
            if ended.len() >= MAX {
                break;
            }
            if is_over(end(token.text.clone()).await)? {
                ended.push(token.session_id);
            }
        }
        Ok(self.respond(StatusCode::NO_CONTENT.into_response(), None, &ended))
    }

    /// The newest token of each session, the newest session first.
    fn first_of_each_session(&self) -> impl Iterator<Item = &PresentedToken> {
        let mut last = None;
        self.tokens
            .iter()
            .filter(move |token| last.replace(token.session_id) != Some(token.session_id))
    }

    /// Ends all sessions whose tokens the request has, except `live`. Returns those whose cookies
    /// are now useless.
    ///
    /// A fault is only logged: the next request of this browser tries again.
    async fn end_all_but<E: Future<Output = Result<bool, LogOutError>>>(
        &self,
        live: SessionId,
        end: &impl Fn(Zeroizing<String>) -> E,
    ) -> Vec<SessionId> {
        let mut ended = Vec::new();
        for token in self.first_of_each_session().filter(|token| token.session_id != live) {
            if ended.len() >= MAX {
                break;
            }
            match is_over(end(token.text.clone()).await) {
                Ok(true) => ended.push(token.session_id),
                Ok(false) | Err(LogOutError::Unproven(_)) => {}
                Err(error) => {
                    let error = tracing::field::display(ErrorChain(&error));
                    let session_id = tracing::field::display(token.session_id);
                    tracing::warn!(error, session_id, "a browser's former session was not ended");
                    break;
                }
            }
        }
        ended
    }

    /// Adds cookies to `response`: sets that of the `live` session. Of the request's cookies,
    /// deletes those of `ended` sessions and outdated ones of the live session.
    fn respond(
        &self,
        response: Response,
        live: Option<&TokenPair>,
        ended: &[SessionId],
    ) -> Response {
        let live = live.map(|pair| (pair, self.kind.name(pair.session_id)));
        let live_name = live.as_ref().map(|(_, name)| name);
        let is_over = |token: &&PresentedToken| {
            ended.contains(&token.session_id)
                || live.as_ref().is_some_and(|(pair, _)| pair.session_id == token.session_id)
        };
        let over = self.tokens.iter().filter(is_over).map(|token| &token.name);
        let response = over
            .filter(|name| Some(*name) != live_name)
            .fold(response, |response, name| with_cookie(response, &self.kind.cookie(name, "", 0)));
        match &live {
            None => response,
            Some((pair, name)) => {
                let (token, seconds) = (pair.refresh_token.expose(), pair.refresh_token_expires_in);
                with_cookie(response, &self.kind.cookie(name, token, seconds))
            }
        }
    }
}

/// Whether the cookie of a session is of no use any more: the session has ended, or it is bound to a
/// key that this browser does not have.
fn is_over(ended: Result<bool, LogOutError>) -> Result<bool, LogOutError> {
    match ended {
        Err(LogOutError::Unproven(ProofError::Missing | ProofError::WrongKey)) => Ok(true),
        result => result,
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

#[cfg(test)]
mod tests;
