//! The state of a challenge: which messages are valid, and which one was used.
//!
//! Pure. The store reads a challenge, computes its next state here, and writes that on condition
//! that the challenge has not changed. If it has, the store reads it again.

use std::time::Duration;

use super::{CodeHash, Hashes, Proof};
use crate::{
    email::EmailAddress,
    ids::LetterId,
    letter::Letter,
    secret::SecretHash,
    time::{UnixMillis, UnixSeconds},
    user::{User, UserStatus},
};

/// How many messages of one challenge are valid at the same time. Another one replaces the oldest.
pub const MAX_MESSAGES: usize = 16;

/// Lets somebody who can read the mail of an address do one thing for one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The address that the messages went to.
    pub email: Option<EmailAddress>,
    /// The last cut of the user's sessions when the messages were written, [`User::cut_seen`]. `None`
    /// if they do not sign in.
    pub cut_seen: Option<UnixMillis>,
    /// Messages that have not been used.
    pub messages: Vec<Message>,
    /// The last proof that met the challenge.
    pub met: Option<Met>,
    /// Letters written until then are used up: their messages are invalid, and they are not sent
    /// again.
    pub used_up_to: Option<UnixMillis>,
}

/// Where a message goes, and what it is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// The address.
    pub email: &'a EmailAddress,
    /// The last cut of the user's sessions, if the message signs in.
    pub cut_seen: Option<UnixMillis>,
}

impl<'a> From<&'a EmailAddress> for Addressee<'a> {
    fn from(email: &'a EmailAddress) -> Self {
        Self { email, cut_seen: None }
    }
}

/// A message that can meet a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The letter it was made from.
    pub letter: LetterId,
    /// Its secrets, hashed.
    pub hashes: Hashes,
    /// When it expires. Later requests do not extend it.
    pub expires_at: UnixSeconds,
}

/// The proof that met a challenge, kept to recognise a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// What was presented.
    pub by: MessageSecret,
    /// When the message would have expired.
    pub expires_at: UnixSeconds,
}

/// Which secret of a message was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageSecret {
    /// Its token.
    Token(SecretHash),
    /// Its code.
    Code(CodeHash),
}

/// What sending a letter does to a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// The message may be sent once this challenge is written.
    Write {
        /// The challenge with the message.
        challenge: Challenge,
        /// The index of the candidate that the message contains.
        candidate: usize,
    },
    /// The letter is used up: there is nothing to send.
    UsedUp,
}

/// The verdict on a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It meets the challenge. This is the next state.
    Meets(Challenge),
    /// It met the challenge before.
    MetBefore,
    /// It is invalid.
    Invalid,
}

impl Challenge {
    /// Adds the message of `letter` to the `known` challenge, or to a new one. `None` if there are
    /// no candidates.
    ///
    /// `candidates` are the letter's secrets under each key that may have derived them, the current
    /// key first. If sending the letter was tried before, the message keeps the secrets of that
    /// try, but its lifetime starts now.
    ///
    /// # Security
    /// After another cut of the user's sessions, the messages from before it are used up, and a letter
    /// whose message may have been sent before it is not sent again.
    #[must_use]
    pub fn open<'a>(
        known: Option<&Self>,
        to: impl Into<Addressee<'a>>,
        letter: LetterId,
        candidates: &[Hashes],
        life: Duration,
        now: UnixMillis,
    ) -> Option<Opening> {
        let Addressee { email, cut_seen } = to.into();
        // A later cut than the caller has read.
        if known.is_some_and(|known| known.cut_seen > cut_seen) {
            return Some(Opening::UsedUp);
        }
        let used_up_to = known.and_then(|known| {
            if known.cut_seen == cut_seen { known.used_up_to } else { known.written_up_to() }
        });
        if used_up_to.is_some_and(|used_up_to| letter.created_at() <= used_up_to) {
            return Some(Opening::UsedUp);
        }
        let is_same =
            |known: &&Self| known.email.as_ref() == Some(email) && known.cut_seen == cut_seen;
        let mut challenge = match known.filter(is_same) {
            Some(known) => known.without_expired(now.seconds()),
            None => Self { used_up_to, ..Self::default() },
        };
        challenge.email = Some(email.clone());
        challenge.cut_seen = cut_seen;
        let tried = challenge.messages.iter().find(|message| message.letter == letter).copied();
        let same = |tried: Message| {
            candidates.iter().position(|candidate| candidate.token == tried.hashes.token)
        };
        let candidate = tried.and_then(same).unwrap_or(0);
        let hashes = *candidates.get(candidate)?;
        let expires_at = now.plus(life).seconds();
        challenge.messages.retain(|message| message.letter != letter);
        challenge.messages.push(Message { letter, hashes, expires_at });
        if challenge.messages.len() > MAX_MESSAGES {
            let others = challenge.messages.iter().map(|message| message.letter);
            let oldest = others.filter(|other| *other != letter).min();
            challenge.messages.retain(|message| Some(message.letter) != oldest);
        }
        Some(Opening::Write { challenge, candidate })
    }

    /// Judges `proof` at `now`. Every message's token is valid until the message expires, but only
    /// the newest letter's code. The first valid proof uses up all messages.
    #[must_use]
    pub fn judge(&self, proof: &Proof, now: UnixMillis) -> Judgement {
        let good = self.without_expired(now.seconds());
        let met = match proof {
            Proof::Token(token) => good
                .messages
                .iter()
                .find(|message| message.hashes.token == *token)
                .map(|message| (message, MessageSecret::Token(*token))),
            Proof::Code(codes) => good
                .messages
                .iter()
                .max_by_key(|message| message.letter)
                .filter(|newest| codes.contains(&newest.hashes.code))
                .map(|newest| (newest, MessageSecret::Code(newest.hashes.code))),
        };
        if let Some((message, by)) = met {
            let met = Some(Met { by, expires_at: message.expires_at });
            return Judgement::Meets(Self { met, ..self.used_up(now) });
        }
        match (good.met.map(|met| met.by), proof) {
            (Some(MessageSecret::Token(by)), Proof::Token(token)) if by == *token => {
                Judgement::MetBefore
            }
            (Some(MessageSecret::Code(by)), Proof::Code(codes)) if codes.contains(&by) => {
                Judgement::MetBefore
            }
            _ => Judgement::Invalid,
        }
    }

    /// Judges a proof that signs `user` in, whose address is `email`.
    ///
    /// # Security
    /// Only an active user is signed in, whose address is confirmed and is the one that the messages
    /// went to, and only if nothing has ended all sessions since.
    #[must_use]
    pub fn judge_sign_in(
        &self,
        user: &User,
        email: &EmailAddress,
        proof: &Proof,
        now: UnixMillis,
    ) -> Judgement {
        let signs_in = user.status == UserStatus::Active
            && user.email_confirmed
            && self.email.as_ref() == Some(email)
            && self.cut_seen == Some(user.cut_seen());
        match self.judge(proof, now) {
            Judgement::Meets(_) if !signs_in => Judgement::Invalid,
            judgement => judgement,
        }
    }

    /// The challenge with all its messages used up, including letters that have not been sent yet.
    #[must_use]
    pub fn used_up(&self, now: UnixMillis) -> Self {
        let used_up_to = Some(self.written_up_to().map_or(now, |written| written.max(now)));
        let (email, cut_seen) = (self.email.clone(), self.cut_seen);
        Self { email, cut_seen, used_up_to, ..Self::default() }
    }

    /// When the last letter was written that is used up or has a message.
    fn written_up_to(&self) -> Option<UnixMillis> {
        let written = self.messages.iter().map(|message| message.letter.created_at());
        written.chain(self.used_up_to).max()
    }

    /// When the challenge may be deleted.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        let messages = self.messages.iter().map(|message| message.expires_at);
        let used_up = self.used_up_to.map(|used_up_to| used_up_to.plus(Letter::LIFE).seconds());
        messages.chain(self.met.map(|met| met.expires_at)).chain(used_up).max().unwrap_or_default()
    }

    fn without_expired(&self, now: UnixSeconds) -> Self {
        let messages = self.messages.iter().filter(|message| now < message.expires_at);
        let messages = messages.copied().collect();
        Self { messages, met: self.met.filter(|met| now < met.expires_at), ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
