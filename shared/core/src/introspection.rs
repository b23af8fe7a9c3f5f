//! What introspection says about a token (RFC 7662 §2.2).
//!
//! A token is active if it could be used at this moment: an access token if its session is live and
//! its user may continue it, a refresh token if refreshing with it would succeed without a late
//! recovery. Introspection only reads: it neither rotates or recovers a token nor ends a session.

use crate::{
    access_token::{AccessTokenPolicy, Claims, Confirmation},
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, SessionPolicy, decide},
    session::Session,
    time::{UnixMillis, UnixSeconds},
    user::User,
};

/// What introspection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// Not a live token of ours. The response does not say why.
    Inactive,
    /// A live access token.
    AccessToken(Box<Claims>),
    /// A live refresh token.
    RefreshToken(RefreshTokenFacts),
}

/// What the response says about a live refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshTokenFacts {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The user name.
    pub username: String,
    /// When the user was authenticated last.
    pub auth_time: UnixSeconds,
    /// When the session ends if nobody refreshes it.
    pub expires_at: UnixSeconds,
    /// The key that the session is bound to, if it is.
    pub cnf: Option<Confirmation>,
}

/// The session, if it is live and its user may continue it.
fn live<'a>(
    session: Option<&'a Session>,
    user: Option<&'a User>,
    now: UnixMillis,
) -> Option<(&'a Session, &'a User)> {
    let session = session.filter(|session| session.ended(now).is_none())?;
    let user = user.filter(|user| user.allows(session))?;
    Some((session, user))
}

/// Decides about a genuine, unexpired access token, given its session and its user.
///
/// The claims are those of the token, with three updates: the name and the custom claims are the
/// current ones, and roles that the user has lost are left out. Roles that the user has gained are
/// not added, because the token was not issued for them. `exp` is capped at the end of the token's
/// life under the current policy and at the absolute end of the session.
#[must_use]
pub fn of_access_token(
    claims: Claims,
    session: Option<&Session>,
    user: Option<&User>,
    policy: &AccessTokenPolicy,
    now: UnixMillis,
) -> Introspection {
    let Some((session, user)) = live(session, user, now) else { return Introspection::Inactive };
    let exp = policy.expires_at(&claims).min(session.absolute_expires_at);
    let mut claims = claims;
    claims.roles.retain(|role| user.roles.contains(role));
    let (name, custom) = (user.name.clone(), user.claims.clone());
    Introspection::AccessToken(Box::new(Claims { exp, name, custom, ..claims }))
}

/// Decides about a genuine refresh token, given its session and its user.
///
/// The live token is active, and so is one within the retry window, because both can be used. A late
/// token is not: whether it can be used depends on who presents it, and on how often that has
/// happened. Nor is an older one, although the owner of a bound session could still use it, because
/// the client that introspects it has not proved possession of the key.
#[must_use]
pub fn of_refresh_token(
    token: &RefreshToken,
    session: Option<&Session>,
    user: Option<&User>,
    policy: &SessionPolicy,
    now: UnixMillis,
) -> Introspection {
    let Some((session, user)) = live(session, user, now) else { return Introspection::Inactive };
    // The configured lifetime may be shorter than it was at the sign-in.
    let absolute_expires_at = policy.absolute_expires_at(token.session_id);
    if absolute_expires_at <= now.seconds() {
        return Introspection::Inactive;
    }
    // By age alone, as if the session were not bound. The user agent does not matter: it decides
    // about late tokens only, and those are inactive anyway.
    let unbound = Session { jkt: None, ..session.clone() };
    match decide(&Presented::from(token), "", Some(&unbound), now, policy) {
        Decision::Rotate | Decision::AnswerLive | Decision::AnswerSuccessor => {
            Introspection::RefreshToken(RefreshTokenFacts {
                user_id: session.user_id,
                session_id: session.session_id,
                username: user.name.clone(),
                auth_time: session.authentication().at.seconds(),
                expires_at: session
                    .expires_at
                    .min(session.absolute_expires_at)
                    .min(absolute_expires_at),
                cnf: session.jkt.map(|jkt| Confirmation { jkt }),
            })
        }
        Decision::RecoverLate
        | Decision::AnswerRecovered
        | Decision::AnswerOwner
        | Decision::Refuse(_)
        | Decision::Theft(_) => Introspection::Inactive,
    }
}

#[cfg(test)]
mod tests;
