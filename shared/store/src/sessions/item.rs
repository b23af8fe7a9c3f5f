//! The session item. It stays below 1 KiB, so that every write costs one write unit.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ratchet_core::{
    amr::Amr,
    authentication::Authentication,
    dpop::Thumbprint,
    ids::{SessionId, UserId},
    seal::SealedSecret,
    secret::SecretHash,
    session::{LateRecoveries, Origin, RevocationReason, Revoked, Session, Superseded},
    time::{UnixMillis, UnixSeconds},
};

use crate::{
    StoreError,
    item::{Item, Reader, VERSION, VERSION_NAME, binary, number, string},
};

/// The register, the youngest slot first. The slots exist from the start, as empty maps, so that a
/// rotation can shift them without reading them.
pub(super) const SLOTS: [&str; ratchet_core::session::REGISTER_SLOTS] =
    ["superseded_1", "superseded_2", "superseded_3", "superseded_4"];

pub(super) fn key(user_id: UserId, session_id: SessionId) -> Item {
    HashMap::from([
        ("user_id".to_owned(), binary(user_id.as_bytes())),
        ("session_id".to_owned(), binary(session_id.as_bytes())),
    ])
}

/// A slot of the register of a session that is bound to this key, or to none. A bound session keeps
/// no seals.
pub(super) fn superseded(slot: Option<&Superseded>, key: Option<Thumbprint>) -> AttributeValue {
    let mut members = HashMap::new();
    if let Some(slot) = slot {
        members.insert("hash".to_owned(), binary(slot.hash.as_bytes()));
        members.insert("at_ms".to_owned(), number(slot.superseded_at.get()));
        if key.is_none() {
            let seal = binary(slot.sealed_successor.as_bytes());
            members.insert("next".to_owned(), seal);
        }
    }
    AttributeValue::M(members)
}

/// The attribute of the generations that were recovered late. It is absent until there is one.
pub(super) const RECOVERED: &str = "late";

/// The thumbprint of the key that the session is bound to. It is absent if there is none.
pub(super) const JKT: &str = "jkt";

/// How the user was authenticated, as [`Amr::bits`]. It is absent if a password alone did.
pub(super) const AMR: &str = "amr";

/// The latest step-up: its time in milliseconds, times 256, plus [`Amr::bits`]. One number, because
/// the item has to stay small. It is absent until there is one.
pub(super) const STEP_UP: &str = "step_up";

/// The version of a session that is bound to a key. Releases that know no keys must not read it:
/// they would refresh it for anybody.
const BOUND_VERSION: u32 = 2;

/// The version of a session that is bound to this key, or to none.
pub(super) fn version(key: Option<Thumbprint>) -> AttributeValue {
    number(if key.is_some() { BOUND_VERSION } else { VERSION })
}

/// When the last rotation was, or the last late recovery after it.
pub(super) const LAST_SUPERSEDED_AT: &str = "superseded_1.at_ms";

/// A step-up, as it is stored.
pub(super) fn stepped_up(authentication: Authentication) -> AttributeValue {
    let Authentication { at, amr } = authentication;
    number(at.get().saturating_mul(256).saturating_add(amr.bits().into()))
}

/// The generations that were recovered late, four bytes each (big endian), the most recent first;
/// `None` if there are none.
pub(super) fn recovered(generations: &LateRecoveries) -> Option<AttributeValue> {
    let bytes: Vec<u8> = generations.iter().flat_map(u32::to_be_bytes).collect();
    (!bytes.is_empty()).then(|| binary(&bytes))
}

fn to_recovered(item: &Reader<'_>) -> Result<LateRecoveries, StoreError> {
    let Some(value) = item.0.get(RECOVERED) else { return Ok(LateRecoveries::default()) };
    let bytes = value.as_b().map(AsRef::as_ref).unwrap_or_default();
    let (generations, rest): (&[[u8; 4]], _) = bytes.as_chunks();
    if generations.is_empty() || !rest.is_empty() {
        return Err(StoreError::MalformedItem(RECOVERED));
    }
    Ok(LateRecoveries::from_kept(generations.iter().map(|bytes| u32::from_be_bytes(*bytes))))
}

/// The item of a session.
#[must_use]
pub fn from_session(session: &Session) -> Item {
    let mut item = key(session.user_id, session.session_id);
    let mut set = |name: &str, value| item.insert(name.to_owned(), value);
    set(VERSION_NAME, version(session.jkt));
    set("generation", number(session.generation));
    set("token_hash", binary(session.token_hash.as_bytes()));
    for (name, slot) in SLOTS.into_iter().zip(&session.superseded) {
        set(name, superseded(slot.as_ref(), session.jkt));
    }
    if let Some(recovered) = recovered(&session.recovered) {
        set(RECOVERED, recovered);
    }
    if let Some(jkt) = &session.jkt {
        set(JKT, binary(jkt.as_bytes()));
    }
    if !session.amr.is_password_alone() {
        set(AMR, number(session.amr.bits()));
    }
    set("auth_time", number(session.auth_time.get()));
    if let Some(authentication) = session.stepped_up {
        set(STEP_UP, stepped_up(authentication));
    }
    set("cut_seen", number(session.cut_seen.get()));
    set("absolute_expires_at", number(session.absolute_expires_at.get()));
    set("expires_at", number(session.expires_at.get()));
    set("network", string(&session.origin.network));
    set("user_agent", string(&session.origin.user_agent));
    set("source_ip", string(&session.source_ip));
    if let Some(device) = &session.device {
        set("device", string(device));
    }
    if let Some(revoked) = &session.revoked {
        set("revoked_at", number(revoked.at.get()));
        set("revoked_reason", string(revoked.reason.as_str()));
    }
    item
}

/// The user and session of an item, which can be read even if the rest is damaged.
pub(super) fn session_id(item: &Item) -> Result<SessionId, StoreError> {
    Ok(SessionId::from_bytes(Reader(item).bytes("session_id")?))
}

/// Reads the session of an item.
///
/// # Errors
/// [`StoreError::MalformedItem`].
pub fn to_session(item: &Item) -> Result<Session, StoreError> {
    let item = Reader(item);
    let is_bound = item.0.contains_key(JKT);
    item.readable_up_to(if is_bound { BOUND_VERSION } else { VERSION })?;
    let jkt = to_jkt(&item)?;
    let mut superseded = [None; SLOTS.len()];
    for (to, name) in superseded.iter_mut().zip(SLOTS) {
        *to = to_superseded(&item.map(name)?, jkt)?;
    }
    Ok(Session {
        user_id: UserId::from_bytes(item.bytes("user_id")?),
        session_id: SessionId::from_bytes(item.bytes("session_id")?),
        generation: u32::try_from(item.number("generation")?)
            .map_err(|_| StoreError::MalformedItem("generation"))?,
        token_hash: SecretHash::from_bytes(item.bytes("token_hash")?),
        superseded,
        recovered: to_recovered(&item)?,
        jkt,
        amr: to_amr(&item)?,
        auth_time: UnixMillis::new(item.number("auth_time")?),
        stepped_up: to_stepped_up(&item)?,
        cut_seen: UnixMillis::new(item.number("cut_seen")?),
        absolute_expires_at: UnixSeconds::new(item.number("absolute_expires_at")?),
        expires_at: UnixSeconds::new(item.number("expires_at")?),
        origin: Origin {
            network: item.string("network")?.to_owned(),
            user_agent: item.string("user_agent")?.to_owned(),
        },
        source_ip: item.string("source_ip")?.to_owned(),
        device: item.optional_string("device")?.map(str::to_owned),
        revoked: to_revoked(&item)?,
    })
}

fn to_amr(item: &Reader<'_>) -> Result<Amr, StoreError> {
    let Some(bits) = item.optional_number(AMR)? else { return Ok(Amr::PASSWORD) };
    Amr::from_bits(bits).ok_or(StoreError::MalformedItem(AMR))
}

fn to_stepped_up(item: &Reader<'_>) -> Result<Option<Authentication>, StoreError> {
    let Some(stored) = item.optional_number(STEP_UP)? else { return Ok(None) };
    let amr = Amr::from_bits(stored % 256).ok_or(StoreError::MalformedItem(STEP_UP))?;
    Ok(Some(Authentication { at: UnixMillis::new(stored / 256), amr }))
}

fn to_jkt(item: &Reader<'_>) -> Result<Option<Thumbprint>, StoreError> {
    let bound = item.0.contains_key(JKT);
    bound.then(|| item.bytes(JKT).map(Thumbprint::from_bytes)).transpose()
}

fn to_superseded(
    slot: &Reader<'_>,
    key: Option<Thumbprint>,
) -> Result<Option<Superseded>, StoreError> {
    if slot.0.is_empty() {
        return Ok(None);
    }
    let sealed_successor = match key {
        None => SealedSecret::from_bytes(slot.bytes("next")?),
        Some(_) => SealedSecret::NOTHING,
    };
    Ok(Some(Superseded {
        hash: SecretHash::from_bytes(slot.bytes("hash")?),
        sealed_successor,
        superseded_at: UnixMillis::new(slot.number("at_ms")?),
    }))
}

fn to_revoked(item: &Reader<'_>) -> Result<Option<Revoked>, StoreError> {
    let Some(at) = item.optional_number("revoked_at")? else { return Ok(None) };
    let reason = RevocationReason::from_name(item.string("revoked_reason")?)
        .ok_or(StoreError::MalformedItem("revoked_reason"))?;
    Ok(Some(Revoked { at: UnixMillis::new(at), reason }))
}

#[cfg(test)]
pub(super) mod tests;
