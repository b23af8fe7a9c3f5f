//! What the model is made to get wrong, so that it can show that it would notice.
//!
//! A mistake changes what goes into the production code or what comes out of it.

use std::collections::HashMap;

use ratchet_core::{jws::SignatureAlgorithm, key_ring::RingDocument};
use serde_json::{Value, json};

/// One deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The signer's end stays where it was when its successor moves. The check refuses the result.
    EndNotRaised,
    /// The same, and a ring is only checked for the moment at which it is written.
    OnlyNowIsChecked,
    /// The command line rotates by a lead of its own, not by the ring's.
    OwnLead,
    /// The successor of a revoked signer begins when everybody has it.
    RevokedSignerReplacedLate,
    /// A rotation drops a tag key whose tokens are in use, and tag keys are compared by their number.
    TagKeysComparedByNumber,
    /// Ended keys go by the writer's clock, and the key after them keeps its beginning.
    EndedKeysLeaveAGap,
    /// Only the configured algorithm's first key is written out.
    OtherFirstKeysForgotten,
    /// A pending version is promoted even if the current one has changed.
    PromotedWhateverItWasMadeFrom,
    /// A pending version is promoted however long it waited.
    PublishedLate,
    /// Device tokens count only as long as the key that tagged them.
    DeviceTokensEndWithTheirKey,
    /// A rotation keeps to the configured policy alone, not to the recorded one too.
    RecordedPolicyIgnored,
    /// Sealing keys stay derived from the tag keys, and end with them.
    SealingKeysNotWrittenOut,
    /// A rotation that adds a sealing key drops the one before.
    OldSealingKeysDropped,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::EndNotRaised,
        Self::OnlyNowIsChecked,
        Self::OwnLead,
        Self::RevokedSignerReplacedLate,
        Self::TagKeysComparedByNumber,
        Self::EndedKeysLeaveAGap,
        Self::OtherFirstKeysForgotten,
        Self::PromotedWhateverItWasMadeFrom,
        Self::PublishedLate,
        Self::DeviceTokensEndWithTheirKey,
        Self::RecordedPolicyIgnored,
        Self::SealingKeysNotWrittenOut,
        Self::OldSealingKeysDropped,
    ];

    /// The ring that comes out of a change at `now` (by the writer's clock) instead of `after`.
    pub fn distort(
        self,
        before: &RingDocument,
        after: &RingDocument,
        change: &Change,
        now: u64,
    ) -> RingDocument {
        let old = keys_by_id(before);
        let mut ring: Value = serde_json::from_str(&after.to_json()).unwrap();
        let mut keys = ring["keys"].as_array().unwrap().clone();
        match (self, change) {
            (Self::EndNotRaised | Self::OnlyNowIsChecked, Change::Revoke { .. }) => {
                for key in &mut keys {
                    if let Some(end) = old.get(&id(key)).map(|old| &old["exp"])
                        && end.is_u64()
                    {
                        key["exp"] = end.clone();
                    }
                }
            }
            (Self::RevokedSignerReplacedLate, Change::Revoke { lead, signed: true }) => {
                if let Some(last) = keys.iter_mut().filter(|key| key["use"] == "sig").last() {
                    last["nbf"] = json!(now + lead);
                }
            }
            (Self::TagKeysComparedByNumber, Change::Rotate) => {
                let is_new = |key: &Value| !old.contains_key(&id(key));
                let tags = |key: &&Value| key["use"] == "refresh-tag";
                if keys.iter().filter(tags).any(is_new)
                    && keys.iter().filter(tags).count() > 2
                    && let Some(place) = keys.iter().position(|key| tags(&key))
                {
                    keys.remove(place);
                }
            }
            (Self::EndedKeysLeaveAGap, _) => {
                keys.retain(|key| key["exp"].as_u64().is_none_or(|end| end > now));
                for key in &mut keys {
                    if let Some(begin) = old.get(&id(key)).and_then(|old| old.get("nbf")) {
                        key["nbf"] = begin.clone();
                    }
                }
            }
            (Self::OtherFirstKeysForgotten, _) => {
                let first = keys.iter().filter(|key| key["iat"].is_null() && key["use"] == "sig");
                let first: Vec<_> = first.map(id).collect();
                keys.retain(|key| !first.contains(&id(key)) || Some(&id(key)) == first.last());
            }
            (Self::SealingKeysNotWrittenOut, _) => ring["sealing"] = json!([]),
            (Self::OldSealingKeysDropped, Change::Rotate | Change::RotateNow) => {
                let sealing = ring["sealing"].as_array_mut().unwrap();
                let last = sealing.len().saturating_sub(1);
                sealing.drain(..last);
            }
            _ => {}
        }
        ring["keys"] = json!(keys);
        RingDocument::parse(&ring.to_string(), SignatureAlgorithm::default()).unwrap()
    }

    /// Whether the result of a change is only checked for the moment, if at all.
    pub const fn skips_check(self) -> bool {
        !matches!(self, Self::EndNotRaised | Self::OwnLead | Self::DeviceTokensEndWithTheirKey)
    }
}

/// What kind of change a ring comes from.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Rotate,
    RotateNow,
    Revoke { lead: u64, signed: bool },
}

fn keys_by_id(document: &RingDocument) -> HashMap<String, Value> {
    let ring: Value = serde_json::from_str(&document.to_json()).unwrap();
    ring["keys"].as_array().unwrap().iter().map(|key| (id(key), key.clone())).collect()
}

fn id(key: &Value) -> String {
    key["kid"].as_str().unwrap().to_owned()
}
