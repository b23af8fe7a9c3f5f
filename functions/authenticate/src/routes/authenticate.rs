//! `POST /authenticate`.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use ratchet_core::{
    device_token::{DeviceId, DeviceToken},
    entropy::random,
    error_chain::ErrorChain,
    ids::{SessionId, UserId},
    key_ring::KeyRing,
    password::{HashError, Password, PasswordHasher, Verdict},
    refresh_token::RefreshToken,
    secret::TokenSecret,
    session::{REGISTER_SLOTS, RevocationReason, Revoked, Session, to_evict},
    time::UnixMillis,
    user::{NameKey, User, UserStatus},
};
use ratchet_http::{
    App, Problem,
    body::{Describe, Json},
    caller::Caller,
    clock,
    cookie::{Browser, Mode},
    events::{SecurityEvent, record},
    hashing::Hashing,
    tokens::TokenPair,
};
use ratchet_store::Credentials;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::guard::Admission;

/// What can not be in a password, as far as a pattern can say it.
#[cfg(feature = "contract")]
const PASSWORD: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// What the client sends.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "contract",
    derive(schemars::JsonSchema),
    schemars(rename = "AuthenticateRequest")
)]
pub(crate) struct Request {
    /// The user name, in any case and width of letters.
    #[serde(alias = "Name")]
    name: String,
    /// Without control characters.
    #[serde(alias = "Password")]
    #[cfg_attr(
        feature = "contract",
        schemars(with = "String", length(min = 1, max = 256), regex(pattern = PASSWORD))
    )]
    password: Zeroizing<String>,
    /// What the user calls this device, for the list of sessions.
    #[cfg_attr(feature = "contract", schemars(length(max = 40)))]
    device: Option<String>,
    /// What an earlier answer gave to this device.
    device_token: Option<String>,
    /// Who keeps the refresh token.
    #[serde(default)]
    mode: Mode,
}

impl Describe for Request {
    const EXPECTED: &'static str = r#"{"name": "…", "password": "…"}, the password of 1 to 256 characters without control characters, and if you like a "device" of at most 40 bytes, a "device_token" and a "mode", "token" or "cookie""#;
}

impl Request {
    /// The password, if the rest is acceptable too.
    fn check(&self) -> Result<Password, Problem> {
        let malformed = Problem::MalformedRequest { expected: Self::EXPECTED };
        if self.device.as_ref().is_some_and(|device| device.len() > Session::DEVICE_BYTES) {
            return Err(malformed);
        }
        Password::parse(&self.password).map_err(|_| malformed)
    }

    /// The device token, if it is genuine and given for this name.
    fn device_token(&self, ring: &KeyRing, now: UnixMillis) -> Option<DeviceToken> {
        let (text, now) = (self.device_token.as_deref()?, now.seconds());
        DeviceToken::parse(text, &self.name, ring.device_tag_keys(), now)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Signs a user in.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    Extension(hashing): Extension<Hashing>,
    caller: Caller,
    browser: Browser,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    // Before the password is looked at: another site could sign its visitors in as somebody.
    if request.mode == Mode::Cookie {
        browser.permit()?;
    }
    let now = clock::now();
    let password = request.check()?;
    // What is needed to answer is at hand before anything is kept.
    let ring = app.key_ring(now).await?;
    let tag_key = ring.tagger(now.seconds()).ok_or(Problem::Unavailable)?;
    let device = request.device_token(&ring, now);
    let attempt = Attempt { name: &request.name, password, device, source: caller.source_ip, now };
    let (user, admission) = prove(&app, &hashing, attempt).await?;
    let device_token = renewed(device, &user, now)?.encode(&request.name, tag_key);
    let session = start_session(&app, &ring, &user, caller, request.device, now);
    let (pair, ()) = tokio::join!(session, admission.succeeded(&app));
    let pair = pair?.with_device_token(device_token);
    Ok(match request.mode {
        Mode::Token => pair.into_response(),
        Mode::Cookie => browser.keep(&pair),
    })
}

/// The device token that the answer carries: of the same device, or of a new one.
fn renewed(
    device: Option<DeviceToken>,
    user: &User,
    now: UnixMillis,
) -> Result<DeviceToken, Problem> {
    let device_id = match device {
        Some(device) if device.knows(user) => device.device_id,
        _ => DeviceId::from_bytes(random()?),
    };
    let (issued_at, cut_seen) = (now.seconds(), user.cut_seen());
    Ok(DeviceToken { user_id: user.id, device_id, issued_at, cut_seen })
}

/// What is to be proved.
struct Attempt<'a> {
    name: &'a str,
    password: Password,
    device: Option<DeviceToken>,
    source: Option<IpAddr>,
    now: UnixMillis,
}

/// Finds the user whose name and password these are, if another attempt may be made.
async fn prove(
    app: &App,
    hashing: &Hashing,
    attempt: Attempt<'_>,
) -> Result<(User, Admission), Problem> {
    let Attempt { name, password, device, source, now } = attempt;
    // Counting takes as many round trips as finding does, so it takes no time of its own.
    let (mut admission, credentials) =
        tokio::try_join!(Admission::take(app, name, device, source, now), find(app, name, now))?;
    let user = credentials.as_ref().map(|credentials| &credentials.user);
    if device.is_some_and(|device| !user.is_some_and(|user| device.knows(user))) {
        admission = admission.take_as_stranger(app, name, now).await?;
    } else if let Some(refusal) = admission.refusal {
        return Err(refusal);
    }
    let (credentials, check) = check(credentials, hashing, password).await?;
    let failed = |user: Option<&User>, reason| {
        record(SecurityEvent::LoginFailed { reason }, user.map(|user| user.id), None);
    };
    let Some(Credentials { user, password_hash }) = credentials else {
        failed(None, "unknown_user");
        return Err(Problem::InvalidCredentials);
    };
    match check.verdict {
        Verdict::Wrong => {
            failed(Some(&user), "wrong_password");
            return Err(Problem::InvalidCredentials);
        }
        Verdict::Right | Verdict::RightButCheap => {}
    }
    if user.status == UserStatus::Disabled {
        failed(Some(&user), "disabled");
        return Err(Problem::InvalidCredentials);
    }
    if app.config.require_confirmed_email && !user.email_confirmed {
        failed(Some(&user), "email_not_confirmed");
        admission.succeeded(app).await;
        return Err(Problem::EmailNotConfirmed);
    }
    if let Some(dearer) = check.rehashed {
        // Whoever loses this write tries again at the next sign-in; this one goes on.
        if let Err(error) = app.users.rehash(user.id, &password_hash, &dearer).await {
            let error = tracing::field::display(ErrorChain(&error));
            tracing::warn!(error, "a password could not be hashed anew");
        }
    }
    Ok((user, admission))
}

async fn find(app: &App, name: &str, now: UnixMillis) -> Result<Option<Credentials>, Problem> {
    match NameKey::parse(name) {
        Ok(name) => Ok(app.users.find_credentials(&name, now).await?),
        // A name that nobody can have is one that nobody has.
        Err(_) => Ok(None),
    }
}

struct Check {
    verdict: Verdict,
    rehashed: Option<ratchet_core::password::PhcHash>,
}

/// Verifies the password, with the same work whether or not there is such a user.
async fn check(
    credentials: Option<Credentials>,
    hashing: &Hashing,
    password: Password,
) -> Result<(Option<Credentials>, Check), Problem> {
    let work = move |hasher: &PasswordHasher| {
        let check = match &credentials {
            None => hasher.verify_nobody(&password).map(|()| Check::wrong()),
            Some(credentials) => match hasher.verify(&password, &credentials.password_hash) {
                Err(error @ HashError::Unusable) => {
                    let error = tracing::field::display(ErrorChain(&error));
                    tracing::error!(error, user_id = %credentials.user.id, "a stored hash is refused");
                    hasher.verify_nobody(&password).map(|()| Check::wrong())
                }
                Err(error) => Err(error),
                Ok(verdict @ Verdict::RightButCheap) if credentials.may_sign_in() => {
                    hasher.hash(&password).map(|hash| Check { verdict, rehashed: Some(hash) })
                }
                Ok(verdict) => Ok(Check { verdict, rehashed: None }),
            },
        };
        check.map(|check| (credentials, check))
    };
    Ok(hashing.run(work).await??)
}

impl Check {
    const fn wrong() -> Self {
        Self { verdict: Verdict::Wrong, rehashed: None }
    }
}

/// Makes a session, keeps it, and answers with its first token pair.
async fn start_session(
    app: &App,
    ring: &KeyRing,
    user: &User,
    caller: Caller,
    device: Option<String>,
    now: UnixMillis,
) -> Result<TokenPair, Problem> {
    let session_id = SessionId::generate(now, &random()?);
    let token = RefreshToken {
        user_id: user.id,
        session_id,
        generation: 0,
        secret: TokenSecret::new(random()?),
    };
    let session = Session {
        user_id: user.id,
        session_id,
        generation: 0,
        token_hash: token.secret.hash(),
        superseded: [None; REGISTER_SLOTS],
        auth_time: now,
        cut_seen: user.cut_seen(),
        absolute_expires_at: app.config.session.absolute_expires_at(session_id),
        expires_at: app.config.session.expires_at(session_id, now),
        origin: caller.origin,
        source_ip: caller.source_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        device,
        revoked: None,
    };
    // Access tokens are dated by when they are issued, not by when the request came in.
    let issued_at = clock::now();
    let pair = TokenPair::issue(user, &session, &token, &app.config.access_token, ring, issued_at)?;
    let (created, others) = tokio::join!(app.sessions.create(&session), app.sessions.list(user.id));
    created?;
    let others = others?;
    for (id, error) in &others.unreadable {
        let error = tracing::field::display(ErrorChain(error));
        tracing::error!(error, user_id = %user.id, session_id = %id, "a session can not be read");
    }
    evict(app, user.id, others.sessions, session_id, now).await?;
    record(SecurityEvent::SessionCreated, Some(user.id), Some(session_id));
    Ok(pair)
}

/// Makes room for a new session among those of its user.
async fn evict(
    app: &App,
    user_id: UserId,
    mut others: Vec<Session>,
    new: SessionId,
    now: UnixMillis,
) -> Result<(), Problem> {
    let published_for = app.config.published_for();
    if let Some(published_for) = published_for {
        // An end has to be told for a while; then it makes room as ever.
        let told = |revoked: Revoked| now < revoked.at.plus(published_for);
        others.retain(|session| !session.revoked.is_some_and(told));
    }
    for evicted in to_evict(&others, new, now, app.config.max_sessions) {
        let lives =
            |session: &Session| session.session_id == evicted && session.ended(now).is_none();
        if published_for.is_some() && (evicted == new || others.iter().any(lives)) {
            let reason = RevocationReason::EndedByUser;
            app.sessions.revoke(user_id, evicted, reason, now).await?;
        } else {
            app.sessions.delete(user_id, evicted).await?;
        }
        record(SecurityEvent::SessionEvicted, Some(user_id), Some(evicted));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_password() {
        let request: Request =
            serde_json::from_str(r#"{"Name":"ada","Password":"canary-1f"}"#).unwrap();
        assert_eq!(request.password.as_str(), "canary-1f");
        assert!(!format!("{request:?}").contains("canary"));
    }
}
