//! Sessions that are bound to a key.

use ratchet_core::{
    dpop::Possession,
    key_ring::TagKey,
    refresh_token::RefreshToken,
    rotation::{bound_secret, live_secret},
    session::Session,
    user::User,
};
use ratchet_store::SessionUpdate;

use super::{RefreshError, Request};
use crate::{
    events::{SecurityEvent, record, record_unproven},
    tokens::TokenPair,
};

/// What became of a request if its session is bound to a key.
pub(super) enum Bound {
    /// It is, and the request is answered.
    Answered(TokenPair),
    /// It is not, and the proof has been ignored. This is the user, if it has been read.
    ToNoKey(Option<User>),
}

/// No key of the ring yields the live secret of a session.
struct NoKey;

impl Request<'_> {
    /// Refreshes a session if it is bound to a key.
    ///
    /// The next secret of a bound session is derived from the tag key, and that of any other session
    /// is random. Which one to write has to be known beforehand, so a request with a valid proof
    /// first tries to rotate a bound session. If the session is bound, a request with a refused proof
    /// costs a read and no write.
    pub(super) async fn refresh_bound(&mut self, tag_key: &TagKey) -> Result<Bound, RefreshError> {
        let RefreshToken { user_id, session_id, generation, .. } = self.token;
        let mut user = None;
        match self.possession {
            Possession::Unclaimed => {}
            Possession::Proved(_) => {
                let next = bound_secret(tag_key, user_id, session_id, generation.saturating_add(1));
                let (rotated, found) = self.rotate(&next, None).await?;
                let session = match rotated {
                    SessionUpdate::Written(session) => {
                        let pair = self.answer(&session, next, found.as_ref()).await?;
                        return Ok(Bound::Answered(pair));
                    }
                    SessionUpdate::Unmet(session) => session,
                };
                if session.as_ref().is_none_or(|session| session.jkt.is_some()) {
                    let pair = self.follow(session.as_ref(), found.as_ref()).await?;
                    return Ok(Bound::Answered(pair));
                }
                user = found;
            }
            Possession::Refused(_) => {
                let session = self.service.sessions.find(user_id, session_id).await?;
                if session.as_ref().is_none_or(|session| session.jkt.is_some()) {
                    return self.follow(session.as_ref(), None).await.map(Bound::Answered);
                }
            }
        }
        self.possession = Possession::Unclaimed;
        self.presented = self.presented.with_key(None);
        Ok(Bound::ToNoKey(user))
    }

    /// Answers the owner of the key with the live token, however old the presented one is.
    pub(super) async fn answer_owner(
        &self,
        session: &Session,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        let key_ring = &self.service.key_ring;
        // Another function may have used a newer ring.
        let live = key_ring.read(
            self.now,
            |_: &NoKey| true,
            |ring| live_secret(session, ring.device_tag_keys()).ok_or(NoKey),
        );
        // The tag key was revoked: nothing leads to the live token any more.
        let live = live.await?.map_err(|NoKey| RefreshError::Unknown)?;
        record(SecurityEvent::RefreshedByOwner, Some(session.user_id), Some(session.session_id));
        self.answer(session, live, user).await
    }

    /// Records that a token of a bound session was presented without proof of its key.
    pub(super) fn unproven(&self, session: &Session) -> RefreshError {
        let reason = self.possession.refusal();
        record_unproven(reason, session.user_id, session.session_id);
        RefreshError::Unproven(reason)
    }
}
