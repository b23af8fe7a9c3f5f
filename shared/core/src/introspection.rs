//! What introspection says about a token (RFC 7662 §2.2).
//!
//! A token is active if it could be used at this moment: an access token while its session and its
//! user allow it, a refresh token if refreshing with it would lead to the live one without a late
//! recovery. Introspection decides about what was read and changes nothing: no rotation, no
//! recovery, no theft.

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
    /// Not a live token of ours. Nobody learns why.
    Inactive,
    /// A live access token.
    AccessToken(Box<Claims>),
    /// A live refresh token.
    RefreshToken(RefreshTokenFacts),
}

/// What there is to say about a live refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshTokenFacts {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The user name.
    pub username: String,
    /// When the password was proved.
    pub auth_time: UnixSeconds,
    /// When the session ends if nobody refreshes it.
    pub expires_at: UnixSeconds,
    /// The key that the session is bound to, if it is.
    pub cnf: Option<Confirmation>,
}

/// The session, if it lives and its user may continue it.
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
/// The claims are those of the token, but for what has changed since it was issued: the name is the
/// current one, and roles that the user has lost are left out. Roles that the user has got since are
/// not added, because the token was not issued for them. `exp` is never later than the token is
/// accepted, or than the session can last.
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
    let name = user.name.clone();
    Introspection::AccessToken(Box::new(Claims { exp, name, ..claims }))
}

/// Decides about a genuine refresh token, given its session and its user.
///
/// The live token is active, and so is one within the retry window, because both can be used. A late
/// one is not: it depends on who presents it, and on how often that has happened. Nor is an older
/// one, although the owner of a session that is bound to a key could still use it: whoever asks here
/// proves no possession.
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
    if policy.absolute_expires_at(token.session_id) <= now.seconds() {
        return Introspection::Inactive;
    }
    // By age alone, as if no key were needed. Only late tokens are judged by the user agent, and none
    // of them is active.
    let unbound = Session { jkt: None, ..session.clone() };
    match decide(&Presented::from(token), "", Some(&unbound), now, policy) {
        Decision::Rotate | Decision::AnswerLive | Decision::AnswerSuccessor => {
            Introspection::RefreshToken(RefreshTokenFacts {
                user_id: session.user_id,
                session_id: session.session_id,
                username: user.name.clone(),
                auth_time: session.auth_time.seconds(),
                expires_at: session.expires_at.min(session.absolute_expires_at),
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
