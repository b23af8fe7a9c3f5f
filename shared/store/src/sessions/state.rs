//! What events for other systems are about, in a session's item.

use ratchet_core::{
    domain_event::{EndReason, SessionState},
    session::RevocationReason,
    time::{UnixMillis, UnixSeconds},
};

use crate::{
    StoreError,
    item::{Item, Reader},
};

/// The attributes that [`to_state`] reads.
pub(crate) const STATE: [&str; 5] =
    ["auth_time", "expires_at", "absolute_expires_at", "revoked_at", "revoked_reason"];

/// Reads items of later releases too, and reasons that only they know.
pub(crate) fn to_state(item: &Item) -> Result<SessionState, StoreError> {
    let item = Reader(item);
    let reason = || -> Result<_, StoreError> {
        let reason = RevocationReason::from_name(item.string("revoked_reason")?);
        Ok(reason.map_or(EndReason::Other, EndReason::Revoked))
    };
    let ended = |at| Ok::<_, StoreError>((UnixMillis::new(at), reason()?));
    Ok(SessionState {
        began_at: UnixMillis::new(item.number("auth_time")?),
        expires_at: UnixSeconds::new(item.number("expires_at")?),
        absolute_expires_at: UnixSeconds::new(item.number("absolute_expires_at")?),
        ended: item.optional_number("revoked_at")?.map(ended).transpose()?,
    })
}

#[cfg(test)]
pub(crate) mod fixture {
    use ratchet_core::ids::{SessionId, UserId};

    use super::{
        super::item::{from_session, tests::fullest},
        *,
    };

    /// A live session, and its item as it is written.
    pub(crate) fn session() -> (UserId, SessionId, Item) {
        let session = fullest();
        (session.user_id, session.session_id, from_session(&session))
    }
}
