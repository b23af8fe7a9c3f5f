//! Sending letters from the outbox.

use ratchet_core::{
    challenge::{Addressee, Hashes, LetterSecrets},
    error_chain::ErrorChain,
    ids::LetterId,
    letter::{Letter, Notice},
    session::RevocationReason,
    time::UnixMillis,
};
use ratchet_service::{Fault, clock};
use ratchet_store::{LoadError, Opened, StoreError};

use crate::{Mailer, compose::Mail, draft::Draft, proofs::Proofs, ses::SendError};

/// A letter still has to be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryError {
    /// A table cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sessions that have ended cannot be revoked.
    #[error(transparent)]
    CleanUp(#[from] Fault),
    /// There is no key to derive secrets from.
    #[error(transparent)]
    KeyRing(#[from] LoadError),
    /// No key of the ring may tag now.
    #[error("no key of the key ring may tag a token now")]
    NoTagKey,
    /// The message cannot be written.
    #[error("the message cannot be written")]
    Compose(#[from] askama::Error),
    /// SES did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl DeliveryError {
    /// Whether the letter, or the user it is about, is unreadable. Trying again would not help, and
    /// would hold up all other letters.
    const fn is_of_this_letter(&self) -> bool {
        let (Self::Store(error) | Self::CleanUp(Fault::Store(error))) = self else { return false };
        matches!(error, StoreError::MalformedItem(_) | StoreError::NewerItem { .. })
    }
}

/// The result for a letter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivered {
    pub(crate) kind: &'static str,
    pub(crate) result: Outcome,
}

/// If a letter has several messages, the last of these variants that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It was sent before.
    Gone,
    /// There is no recipient, or nothing to say any more.
    Pointless,
    /// The address got too many within the hour.
    TooMany,
    /// It has been sent.
    Sent,
    /// SES refuses this message, or the letter cannot be read. It stays in the outbox and is not
    /// tried again by itself: docs/runbook.md says how to send it.
    Refused,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Gone => "gone",
            Self::Pointless => "pointless",
            Self::TooMany => "too_many",
            Self::Refused => "refused",
        }
    }
}

impl Mailer {
    /// Sends a letter that has not been sent yet, and removes it from the outbox.
    pub(crate) async fn deliver(&self, id: LetterId) -> Result<Delivered, DeliveryError> {
        match self.try_deliver(id).await {
            Err(error) if error.is_of_this_letter() => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::error!(letter = %id, error, "a letter cannot be read; it stays");
                Ok(Delivered { kind: "", result: Outcome::Refused })
            }
            result => result,
        }
    }

    async fn try_deliver(&self, id: LetterId) -> Result<Delivered, DeliveryError> {
        let Some(letter) = self.outbox.find(id).await? else {
            return Ok(Delivered { kind: "", result: Outcome::Gone });
        };
        let result = self.send(&letter).await?;
        if result != Outcome::Refused {
            self.outbox.done(id).await?;
        }
        Ok(Delivered { kind: letter.notice.kind(), result })
    }

    async fn send(&self, letter: &Letter) -> Result<Outcome, DeliveryError> {
        self.finish_clean_up(&letter.notice).await?;
        let mut outcome = Outcome::Pointless;
        let drafts = self.drafts(&letter.notice).await?;
        let are_several = drafts.len() > 1;
        for draft in drafts {
            let user = draft.challenge.map(|(_, user_id)| user_id);
            if !letter.owes(user) {
                // Sent by an earlier delivery, in which a later message failed.
                outcome = outcome.max(Outcome::Sent);
                continue;
            }
            let result = self.send_draft(draft, letter.id).await?;
            // If a later message fails, the whole letter is delivered again.
            if let (true, Outcome::Sent, Some(user)) = (are_several, result, user) {
                self.outbox.sent(letter.id, user).await?;
            }
            outcome = outcome.max(result);
        }
        Ok(outcome)
    }

    /// Revokes one by one the sessions that a change of password, of the second factor or of passkeys,
    /// or a deletion has ended: its own request may have failed to do so. The letter is retried until
    /// this succeeds.
    async fn finish_clean_up(&self, notice: &Notice) -> Result<(), DeliveryError> {
        let (user_id, reason) = match notice {
            Notice::PasswordChanged { user_id } => (*user_id, RevocationReason::PasswordChanged),
            Notice::Deleted { user_id, .. } => (*user_id, RevocationReason::UserDisabled),
            Notice::SecondFactorEnabled { user_id }
            | Notice::SecondFactorDisabled { user_id }
            | Notice::PasskeyRemoved { user_id } => (*user_id, RevocationReason::EndedEverywhere),
            Notice::SecondFactorReset { user_id } | Notice::PasskeysReset { user_id } => {
                (*user_id, RevocationReason::EndedByAdministrator)
            }
            Notice::Registered { .. }
            | Notice::AddressTaken { .. }
            | Notice::NameTaken { .. }
            | Notice::ConfirmationAsked { .. }
            | Notice::ResetAsked { .. }
            | Notice::SignInAsked { .. }
            | Notice::EmailChangeAsked { .. }
            | Notice::RecoveryCodeUsed { .. }
            | Notice::RecoveryCodesReplaced { .. }
            | Notice::PasskeyAdded { .. }
            | Notice::EmailChangeTold { .. }
            | Notice::EmailChanged { .. } => return Ok(()),
        };
        Ok(self.end_sessions.finish_later(user_id, reason).await?)
    }

    async fn send_draft(
        &self,
        draft: Draft<'_>,
        letter: LetterId,
    ) -> Result<Outcome, DeliveryError> {
        let now = clock::now();
        let user = draft.challenge.map(|(_, user_id)| user_id);
        for limit in draft.limits() {
            if !self.challenges.count_mail(&draft.to, limit, (letter, user), now).await? {
                return Ok(Outcome::TooMany);
            }
        }
        let Some(mail) = self.complete(draft, letter, now).await? else {
            return Ok(Outcome::Pointless);
        };
        match self.ses.send(&mail).await {
            Ok(()) => Ok(Outcome::Sent),
            Err(error @ SendError::Refused(_)) => {
                let error = tracing::field::display(ErrorChain(&error));
                tracing::error!(letter = %letter, error, "a letter is refused; it stays");
                Ok(Outcome::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the message, with its token and code. `None` if its letter is used up.
    ///
    /// The secrets are derived from the letter's id and a key of the ring. If the ring has a newer
    /// key than at an earlier try, the challenge shows which key that try used.
    async fn complete(
        &self,
        draft: Draft<'_>,
        letter: LetterId,
        now: UnixMillis,
    ) -> Result<Option<Mail>, DeliveryError> {
        let Draft { to, mut message, challenge, cut_seen, .. } = draft;
        let Some((purpose, user_id)) = challenge else { return Ok(Some(message.compose(to)?)) };
        let ring = self.key_ring.current(now).await?;
        let tagger = ring.tagger(now.seconds()).ok_or(DeliveryError::NoTagKey)?;
        let keys: Vec<_> = std::iter::once(tagger).chain(ring.tag_keys(now.seconds())).collect();
        let secrets: Vec<LetterSecrets> =
            keys.iter().map(|key| LetterSecrets::derive(key, letter, purpose, user_id)).collect();
        let hashes: Vec<Hashes> =
            secrets.iter().zip(&keys).map(|(secrets, key)| secrets.hashes(key)).collect();
        // Write the hashes to the challenge before sending, so that the message can be used at
        // once.
        let addressee = Addressee { email: &to, cut_seen };
        let opened =
            self.challenges.open(purpose, user_id, addressee, (letter, &hashes), now).await?;
        let candidate = match opened {
            Opened::With(candidate) => candidate,
            Opened::UsedUp => return Ok(None),
        };
        let (Some(secrets), Some(key)) = (secrets.get(candidate), keys.get(candidate)) else {
            return Err(DeliveryError::NoTagKey);
        };
        message.prove(Proofs::new(purpose, secrets, key, self.link_url.as_deref()));
        Ok(Some(message.compose(to)?))
    }
}
