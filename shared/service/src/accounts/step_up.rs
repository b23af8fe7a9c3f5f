//! Step-up: users authenticate again within a session (RFC 9470).

use ratchet_core::{
    amr::Amr,
    authentication::{Authentication, Requirement, SteppedUp},
    letter::Notice,
    second_factor::Presented,
};
use ratchet_store::users::{Spending, SteppingUp};

use super::{Accounts, OwnAccount, OwnFactorError, letter, second_factor::RightCode};
use crate::{
    clock,
    events::{AccountChange, SecurityEvent, record, record_change},
    tokens::FreshAccessToken,
};

/// What users authenticate with.
///
/// # Security
/// Cannot be printed.
#[expect(missing_debug_implementations, reason = "it contains a password and a code")]
pub struct StepUp<'a> {
    /// The password. Of users with a second factor it is not enough.
    pub password: Option<&'a str>,
    /// A code of the second factor.
    pub presented: Option<Presented>,
}

impl StepUp<'_> {
    /// The methods; `None` if there are none.
    fn amr(&self) -> Option<Amr> {
        let password = self.password.map(|_| Amr::PASSWORD);
        let code = self.presented.as_ref().map(|_| Amr::CODE);
        password.into_iter().chain(code).reduce(Amr::and)
    }
}

impl Accounts {
    /// Authenticates the caller again. From then on, access tokens of the session say when and how.
    ///
    /// # Security
    /// Everything is counted before it is compared, with the counters of the other routes. The code
    /// is used up in the transaction that notes the step-up, so a code leads to one step-up, and
    /// none is used up for a session that has ended. Nothing about the session's end changes.
    ///
    /// # Errors
    /// [`OwnFactorError`].
    pub async fn step_up(
        &self,
        own: &OwnAccount,
        with: StepUp<'_>,
    ) -> Result<FreshAccessToken, OwnFactorError> {
        let user = &own.account.user;
        let needs_code = self.second_factors.policy().asks(user.second_factor);
        let amr = match with.amr() {
            Some(amr) if amr.has(Amr::CODE) == needs_code => amr,
            Some(amr) if amr.has(Amr::CODE) => return Err(OwnFactorError::NotEnabled),
            // As when signing in. Otherwise somebody with the password and a stolen token, who
            // cannot sign in, could make the session look as fresh as after a sign-in.
            Some(_) | None => return Err(OwnFactorError::Insufficient(Requirement::SECOND_FACTOR)),
        };
        if let Some(password) = with.password {
            self.check_password(own, password).await?;
        }
        let now = clock::now();
        let right = match &with.presented {
            None => None,
            Some(presented) => {
                let right = self.judge(user.id, presented, now).await?;
                Some((presented, right.ok_or(OwnFactorError::NotEnabled)?))
            }
        };
        // Made before the write, so that nothing can be missing afterwards.
        let authentication = Authentication { at: now, amr };
        let ring = self.key_ring.current(now).await?;
        let token = self.issuer.issue_stepped_up(user, &own.claims, authentication, &ring)?;
        let written = match &right {
            None => {
                let noted = self.sessions.step_up(user.id, own.claims.sid, authentication).await?;
                if noted { SteppedUp::Written } else { SteppedUp::SessionEnded }
            }
            Some((presented, right)) => {
                self.spend_and_step_up(own, presented, right, authentication).await?
            }
        };
        match written {
            SteppedUp::Written => {}
            SteppedUp::SessionEnded => return Err(OwnFactorError::SessionEnded),
            SteppedUp::CodeRefused => return Err(OwnFactorError::InvalidCode),
        }
        if let Some((presented, right)) = &right {
            self.second_factors.succeeded(&right.attempt).await;
            if matches!(presented, Presented::Recovery(_)) {
                let change = AccountChange::RecoveryCodeUsed;
                record_change(change, user.id, Some(own.claims.sid));
            }
        }
        record(SecurityEvent::SteppedUp { amr }, Some(user.id), Some(own.claims.sid));
        Ok(token)
    }

    /// Uses the code up and notes the step-up.
    async fn spend_and_step_up(
        &self,
        own: &OwnAccount,
        presented: &Presented,
        right: &RightCode,
        authentication: Authentication,
    ) -> Result<SteppedUp, OwnFactorError> {
        let user = &own.account.user;
        let letter = match presented {
            Presented::Code(_) => None,
            Presented::Recovery(_) => {
                Some(letter(Notice::RecoveryCodeUsed { user_id: user.id }, clock::now())?)
            }
        };
        let spending = Spending { user, secret: &right.factor.secret, spend: right.spend };
        let stepping_up =
            SteppingUp { sessions: &self.sessions, session_id: own.claims.sid, authentication };
        Ok(self.users.spend_factor_and_step_up(spending, stepping_up, letter.as_ref()).await?)
    }
}
