//! Log-out everywhere.

use ratchet_core::{ids::UserId, time::UnixMillis, user::SessionsCut};

use super::{
    Users,
    item::{self, CUT_AT},
};
use crate::{
    StoreError,
    conditions::is_present,
    expression::{Changes, Condition, absent, any, below, equals},
    item::{number, string},
    write::{Updated, Write, pk},
};

const VALID_AFTER: &str = "sessions_valid_after";
const SPARED: &str = "spared_session";

/// The result of a cut.
enum CutResult {
    Written,
    NoUser,
    /// The last cut is not earlier than this one.
    Follows(SessionsCut),
}

/// The last cut is earlier than this one, or there is none.
fn is_later(cut: SessionsCut) -> Condition {
    any([absent(VALID_AFTER), below(VALID_AFTER, number(cut.valid_after.get()))])
}

/// Adds a cut to another change, in the same write. Numbering the cut ([`SessionsCut`]) needs no
/// read.
pub(super) fn end_all_sessions(changes: Changes, now: UnixMillis) -> Changes {
    numbered(changes, now).remove(SPARED)
}

/// The same, except for one session.
pub(super) fn end_other_sessions(
    changes: Changes,
    now: UnixMillis,
    spared: ratchet_core::ids::SessionId,
) -> Changes {
    numbered(changes, now).set(SPARED, string(spared.to_string()))
}

fn numbered(changes: Changes, now: UnixMillis) -> Changes {
    changes.increase(VALID_AFTER, number(now.get()), number(1_u64)).set(CUT_AT, number(now.get()))
}

/// The last cut is this one, or there is none: nothing has ended all sessions since it was read.
pub(super) fn has_cut(cut: Option<SessionsCut>) -> Condition {
    match cut {
        None => absent(VALID_AFTER),
        Some(cut) => equals(VALID_AFTER, number(cut.valid_after.get())),
    }
}

impl Users {
    /// Ends all sessions of a user, except a spared one, in one write. Returns the cut as it was
    /// written; `None` if there is no such user.
    ///
    /// A second write is needed only if the last cut appears to be in the future
    /// ([`SessionsCut::following`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cut_sessions(
        &self,
        id: UserId,
        cut: SessionsCut,
    ) -> Result<Option<SessionsCut>, StoreError> {
        let (now, mut cut) = (cut.valid_after, cut);
        loop {
            let previous = match self.try_cut_sessions(id, cut, now).await? {
                CutResult::Written => return Ok(Some(cut)),
                CutResult::NoUser => return Ok(None),
                CutResult::Follows(previous) => previous,
            };
            // An earlier try of this write was applied, but its answer was lost.
            if previous == cut {
                return Ok(Some(cut));
            }
            cut = cut.following(previous.valid_after);
        }
    }

    async fn try_cut_sessions(
        &self,
        id: UserId,
        cut: SessionsCut,
        now: UnixMillis,
    ) -> Result<CutResult, StoreError> {
        let changes = Changes::new()
            .set(VALID_AFTER, number(cut.valid_after.get()))
            .set(CUT_AT, number(now.get()));
        let changes = match cut.spared {
            None => changes.remove(SPARED),
            Some(spared) => changes.set(SPARED, string(spared.to_string())),
        };
        let write = Write::update(&self.table, pk(item::user_pk(id)), changes)
            .when(is_present())
            .when(is_later(cut));
        match write.send_update(&self.client).await? {
            Updated::Written(_) => Ok(CutResult::Written),
            Updated::Unmet(found) => {
                let found = found.as_ref().map(item::to_user).transpose()?;
                let previous = found.and_then(|user| user.cut);
                Ok(previous.map_or(CutResult::NoUser, CutResult::Follows))
            }
        }
    }
}
