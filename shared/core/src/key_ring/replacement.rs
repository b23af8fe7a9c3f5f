//! Whether a ring may replace another one.

use std::collections::BTreeSet;

use super::{KeyRing, SealingKey, SigningKey, TagKey};
use crate::{jws::UnverifiedToken, time::UnixSeconds};

/// Why a ring must not replace the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It would refuse access tokens that the current one accepts.
    #[error("a key is missing whose access tokens may be in use")]
    MissingKey,
    /// It would refuse refresh tokens, or device tokens, that the current one accepts.
    #[error("a key is missing whose refresh tokens may be in use")]
    MissingTagKey,
    /// It could not open secrets that the current one has sealed.
    #[error("a key is missing that may have sealed secrets")]
    MissingSealingKey,
    /// It would sign tokens that it refuses.
    #[error("a key does not verify what it signs")]
    DoesNotVerify,
}

impl KeyRing {
    /// Whether this ring can replace `current` at `now`: it has every key by which `current` accepts
    /// tokens or opens secrets, and each of its keys verifies what it signs.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn can_replace(&self, current: &Self, now: UnixSeconds) -> Result<(), Unfit> {
        let kids = |ring: &Self| -> BTreeSet<String> {
            ring.signing_keys(now).map(|key| key.kid().to_owned()).collect()
        };
        if !kids(current).is_subset(&kids(self)) {
            return Err(Unfit::MissingKey);
        }
        // By id: a new key must not make up for a missing one.
        let ids = |ring: &Self| -> BTreeSet<String> {
            ring.tag_keys(now).map(TagKey::id).map(str::to_owned).collect()
        };
        if !ids(current).is_subset(&ids(self)) {
            return Err(Unfit::MissingTagKey);
        }
        let sealing = |ring: &Self| -> BTreeSet<String> {
            ring.sealing_keys().map(SealingKey::id).map(str::to_owned).collect()
        };
        if !sealing(current).is_subset(&sealing(self)) {
            return Err(Unfit::MissingSealingKey);
        }
        if self.signing_keys(now).all(verifies_itself) { Ok(()) } else { Err(Unfit::DoesNotVerify) }
    }
}

fn verifies_itself(key: &SigningKey) -> bool {
    key.sign("test", b"{}").is_ok_and(|signed| {
        UnverifiedToken::parse(&signed)
            .and_then(|token| token.verify(key.verification_key()))
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{jws::SignatureAlgorithm, key_ring::NewKey};

    const NOW: UnixSeconds = UnixSeconds::new(1_780_000_000);

    fn ring(keys: &[&Value]) -> KeyRing {
        KeyRing::parse(&json!({ "keys": keys }).to_string(), NOW).unwrap()
    }

    #[test]
    fn a_replacement_has_every_key_of_the_current_ring_by_its_id() {
        let [sign, other_sign] =
            [0, 1].map(|_| NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose());
        let [tag, other_tag] = [0, 1].map(|_| NewKey::tag().unwrap().expose());
        let current = ring(&[&sign, &tag]);
        for (keys, verdict) in [
            (vec![&sign, &tag], Ok(())),
            (vec![&other_sign, &sign, &other_tag, &tag], Ok(())),
            (vec![&other_sign, &tag], Err(Unfit::MissingKey)),
            (vec![&sign, &other_tag], Err(Unfit::MissingTagKey)),
        ] {
            assert_eq!(ring(&keys).can_replace(&current, NOW), verdict);
        }
    }

    #[test]
    fn keys_that_have_ended_need_not_be_there() {
        let sign = NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose();
        let tag = NewKey::tag().unwrap().expose();
        let ended = |mut key: Value| {
            key["exp"] = json!(NOW.get());
            key
        };
        let old_sign = ended(NewKey::signing(SignatureAlgorithm::Es256).unwrap().expose());
        let old_tag = ended(NewKey::tag().unwrap().expose());
        let sealing = NewKey::sealing().unwrap().expose();
        let ring = |keys: &[&Value], sealing: &Value| {
            let ring = json!({"keys": keys, "sealing": [sealing]});
            KeyRing::parse(&ring.to_string(), NOW).unwrap()
        };
        let current = ring(&[&sign, &tag, &old_sign, &old_tag], &sealing);
        assert_eq!(ring(&[&sign, &tag], &sealing).can_replace(&current, NOW), Ok(()));
        // But a sealing key has no end.
        let another = ring(&[&sign, &tag], &NewKey::sealing().unwrap().expose());
        assert_eq!(another.can_replace(&current, NOW), Err(Unfit::MissingSealingKey));
    }
}
