//! Callers and their own accounts.

use std::{sync::Arc, time::Duration};

use axum::extract::FromRequestParts;
use http::request::Parts;
use ratchet_core::{
    access_token::Claims,
    attempts::AttemptKey,
    password::{Password, Verdict},
};
use ratchet_http::{App, Problem, attempts::admit, clock, hashing::Hashing, signed_in::SignedIn};
use ratchet_store::Account;

/// How long a request that changed the password is recognised when it comes again.
const JUST_NOW: Duration = Duration::from_mins(10);

/// A caller whose session lives, with the whole account.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) claims: Claims,
    pub(crate) account: Account,
}

impl FromRequestParts<Arc<App>> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let SignedIn { claims, .. } = SignedIn::from_request_parts(parts, app).await?;
        let account = app.users.find_account(claims.sub, clock::now()).await?;
        let account = account.ok_or(Problem::SessionEnded)?;
        Ok(Self { claims, account })
    }
}

impl Own {
    /// Asks for the password again, where an access token alone must not be enough. Attempts are
    /// counted for the session, before anything is hashed.
    ///
    /// # Errors
    /// [`Problem::WrongPassword`], or that there were too many.
    pub(crate) async fn prove(
        &self,
        app: &App,
        hashing: &Hashing,
        typed: &str,
    ) -> Result<(), Problem> {
        // What can not be a password is nobody's.
        let Ok(password) = Password::parse(typed) else { return Err(Problem::WrongPassword) };
        let counter = AttemptKey::session(self.claims.sid);
        let policy = &app.config.attempts.account;
        let attempt = admit(app, &counter, policy, "session", clock::now()).await?;
        match hashing.verify(password, self.account.password_hash.clone()).await? {
            Verdict::Wrong => Err(Problem::WrongPassword),
            Verdict::Right | Verdict::RightButCheap => {
                Ok(app.attempts.reset(&counter, attempt).await?)
            }
        }
    }
    /// Whether this session has set this very password a moment ago: then the request that set it has
    /// come again, because its answer was lost.
    ///
    /// # Errors
    /// [`Problem`] if the password cannot be verified now.
    pub(crate) async fn has_just_set(
        &self,
        hashing: &Hashing,
        typed: &str,
    ) -> Result<bool, Problem> {
        let cut = self.account.user.cut.filter(|cut| cut.spared == Some(self.claims.sid));
        let lately = cut.is_some_and(|cut| clock::now() < cut.valid_after.plus(JUST_NOW));
        let Ok(password) = Password::parse(typed) else { return Ok(false) };
        if !lately {
            return Ok(false);
        }
        let stored = self.account.password_hash.clone();
        Ok(hashing.verify(password, stored).await? != Verdict::Wrong)
    }
}
