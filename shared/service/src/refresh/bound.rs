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

impl Request<'_> {
    /// Refreshes a session that is bound to a key. `None` if the request has no proof, or the
    /// session is not bound, in which case the proof is ignored.
    ///
    /// The next secret of a bound session is derived from the tag key, and that of any other
    /// session is random. Which one to write has to be known beforehand, so a request with a valid
    /// proof first tries to rotate a bound session. If the session is bound, a request with a refused
    /// proof costs a read and no write.
    pub(super) async fn refresh_bound(
        &mut self,
        tag_key: &TagKey,
    ) -> Result<Option<TokenPair>, RefreshError> {
        let RefreshToken { user_id, session_id, generation, .. } = self.token;
        match self.possession {
            Possession::Unclaimed => {}
            Possession::Proved(_) => {
                let next = bound_secret(tag_key, user_id, session_id, generation.saturating_add(1));
                let (rotated, user) = self.rotate(&next).await?;
                let session = match rotated {
                    SessionUpdate::Written(session) => {
                        return self.answer(&session, next, user.as_ref()).await.map(Some);
                    }
                    SessionUpdate::Unmet(session) => session,
                };
                if session.as_ref().is_none_or(|session| session.jkt.is_some()) {
                    return self.follow(session.as_ref(), user.as_ref()).await.map(Some);
                }
            }
            Possession::Refused(_) => {
                let session = self.service.sessions.find(user_id, session_id).await?;
                if session.as_ref().is_none_or(|session| session.jkt.is_some()) {
                    return self.follow(session.as_ref(), None).await.map(Some);
                }
            }
        }
        self.possession = Possession::Unclaimed;
        self.presented = self.presented.with_key(None);
        Ok(None)
    }

    /// Answers the owner of the key with the live token, however old the presented one is.
    pub(super) async fn answer_owner(
        &self,
        session: &Session,
        user: Option<&User>,
    ) -> Result<TokenPair, RefreshError> {
        let keys = self.ring.device_tag_keys();
        // `None` if the tag key of the live secret was revoked: then nothing leads to it any more.
        let live = live_secret(&self.token, session, keys).ok_or(RefreshError::Unknown)?;
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
