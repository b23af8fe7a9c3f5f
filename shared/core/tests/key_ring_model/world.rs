//! A ring in Secrets Manager, and everybody who reads and writes it.

use std::collections::{BTreeMap, BTreeSet};

use ratchet_core::{
    jws::SignatureAlgorithm,
    key_ring::{
        KeyRing, KeyUse, MAX_RING_LEN, MIN_SEED_CHARS, RingDocument, RotationPolicy,
        rotation::{RotationError, Start},
    },
    time::UnixSeconds,
};
use serde_json::json;

use super::{
    mistake::{Change, Mistake},
    operation::{Offset, Operation, Which},
    policies::{POLICIES, propagation, reload},
    promises::first_moment_without_a_key,
    tokens::Tokens,
};

/// How wrong a clock may be for the promises about tokens; see `plan::CLOCK_TOLERANCE`.
const TOLERANCE: u64 = 300;

const MONTH: u64 = 30 * 86_400;

/// Tokens that are kept at most; the oldest go.
const MAX_TOKENS: usize = 40;

/// When a key was published, and by when everybody has it.
#[derive(Debug, Clone, Copy)]
struct Publication {
    everybody_has_it_at: u64,
    signs_at_once: bool,
}

#[derive(Debug)]
pub struct World {
    mistake: Option<Mistake>,
    now: u64,
    /// The current version's number and ring, and those before it with when they were replaced.
    current: (u32, String),
    replaced: Vec<(u64, String)>,
    /// A pending version and the version that it says it was made from.
    pending: Option<(RingDocument, u32)>,
    last_rotation: u64,
    configured: usize,
    /// The policy that is being replaced, while a deployment is under way.
    before: usize,
    tokens: Vec<Tokens>,
    /// Until when there may be copies that are kept by a policy of the past.
    old_copies_until: u64,
    published: BTreeMap<String, Publication>,
    /// When each key was last planned to begin.
    begins: BTreeMap<String, UnixSeconds>,
    revoked: BTreeSet<String>,
    /// A clock was so wrong that only the promise about signers is left.
    absurd_clock: bool,
    broken: Option<String>,
}

impl World {
    /// A ring as deployed.
    pub fn new(mistake: Option<Mistake>) -> Self {
        let ring = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS)}).to_string();
        Self {
            mistake,
            now: 1_780_000_000,
            current: (0, ring),
            replaced: Vec::new(),
            pending: None,
            last_rotation: 1_780_000_000,
            configured: 0,
            before: 0,
            tokens: Vec::new(),
            old_copies_until: 0,
            published: BTreeMap::new(),
            begins: BTreeMap::new(),
            revoked: BTreeSet::new(),
            absurd_clock: false,
            broken: None,
        }
    }

    /// The promise that was not kept.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub fn step(&mut self, operation: &Operation) {
        match *operation {
            Operation::Wait(seconds) => self.wait(seconds),
            Operation::SignIn { old_copy, old_instance } => self.sign_in(old_copy, old_instance),
            // One at a time: a deployment that changes times is rotated for (docs/keys.md).
            Operation::Deploy(_) if self.before != self.configured => {}
            Operation::Deploy(policy) => {
                self.before = self.configured;
                self.configured = policy;
                self.tokens.iter_mut().for_each(|tokens| tokens.shorten(&POLICIES[policy]));
            }
            Operation::Settle => {
                // Copies were made just now by the policy before. A deployment that was not rotated
                // for is not on record.
                let ring = RingDocument::parse(&self.current.1, SignatureAlgorithm::default());
                let copies = ring.unwrap().policy().map_or(0, |policy| propagation(&policy));
                self.old_copies_until = self.old_copies_until.max(self.now + copies);
                self.before = self.configured;
                self.rotate();
            }
            Operation::Create { old_instance, clock } => self.create(old_instance, clock),
            Operation::Finish { clock, lost_answer } => {
                self.finish(clock);
                if lost_answer {
                    self.finish(clock);
                }
            }
            Operation::RotateNow { clock, lost_answer } => {
                self.rotate_now(clock);
                if lost_answer {
                    self.rotate_now(clock);
                }
            }
            Operation::Revoke { key, clock } => self.revoke(key, clock),
        }
        self.check();
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + seconds;
        while self.last_rotation + MONTH < end {
            self.now = self.now.max(self.last_rotation + MONTH);
            self.rotate();
            self.check();
        }
        self.now = end;
    }

    fn sign_in(&mut self, old_copy: bool, old_instance: bool) {
        let [issuer, other] = self.running(old_instance);
        let age = if old_copy { reload(issuer).min(reload(other)) } else { 0 };
        let at = self.now - age;
        let copy = self.replaced.iter().find(|(replaced, _)| at < *replaced);
        let copy = copy.map_or(&self.current.1, |(_, ring)| ring);
        let copy = KeyRing::read(copy, issuer.algorithm).unwrap();
        match Tokens::issue(&copy, &[issuer, other], UnixSeconds::new(self.now)) {
            Some(tokens) => self.tokens.push(tokens),
            None => self.breaks("nobody can sign in"),
        }
        if self.tokens.len() > MAX_TOKENS {
            self.tokens.remove(0);
        }
    }

    /// The policy of an instance, and the other one that runs.
    fn running(&self, old_instance: bool) -> [&'static RotationPolicy; 2] {
        let both = [&POLICIES[self.configured], &POLICIES[self.before]];
        if old_instance { [both[1], both[0]] } else { both }
    }

    /// A whole scheduled rotation by the configured policy and the right clock.
    fn rotate(&mut self) {
        self.pending = None;
        self.create(false, 0);
        self.finish(0);
    }

    fn create(&mut self, old_instance: bool, clock: Offset) {
        if self.pending.is_some() {
            return;
        }
        let [policy, _] = self.running(old_instance);
        let before = RingDocument::parse(&self.current.1, policy.algorithm).unwrap();
        let mut ring = before.clone();
        let adopted = self.adopted(&mut ring, policy);
        let at = self.clock(clock);
        let rotated = ring.rotated(&adopted, Start::WhenSeen, at);
        if let Some(rotated) = self.changed(&before, rotated, &Change::Rotate, at) {
            self.pending = Some((rotated, self.current.0));
        }
    }

    fn finish(&mut self, clock: Offset) {
        let Some((ring, made_from)) = self.pending.take() else { return };
        let policy = &POLICIES[self.configured];
        let mut current = RingDocument::parse(&self.current.1, policy.algorithm).unwrap();
        if made_from != self.current.0 && !self.is(Mistake::PromotedWhateverItWasMadeFrom) {
            return;
        }
        let at = self.clock(clock);
        let adopted = self.adopted(&mut current, policy);
        if ring.is_late(&current, &adopted, at) && !self.is(Mistake::PublishedLate) {
            return;
        }
        let read = |ring: &str| KeyRing::read(ring, policy.algorithm).unwrap();
        let (old, new) = (read(&self.current.1), read(&ring.to_json()));
        let replaces = new.can_replace(&old, at).is_ok();
        let as_many = new.tag_keys(at).count() >= old.tag_keys(at).count();
        let mistaken = self.is(Mistake::TagKeysComparedByNumber) && as_many
            || self.is(Mistake::SealingKeysNotWrittenOut)
            || self.is(Mistake::OldSealingKeysDropped)
            || self.is(Mistake::OtherFirstKeysForgotten)
            || self.is(Mistake::EndedKeysLeaveAGap)
            || self.is(Mistake::PublishedLate)
            || self.is(Mistake::PromotedWhateverItWasMadeFrom);
        if !replaces && !mistaken {
            // The clock of one step may be another than that of the other.
            if clock == 0 && !self.absurd_clock {
                self.breaks("a rotation makes a ring that cannot replace the current one");
            }
            return;
        }
        self.publish(&ring, clock, None);
        self.last_rotation = self.now;
    }

    fn rotate_now(&mut self, clock: Offset) {
        let before = RingDocument::parse(&self.current.1, SignatureAlgorithm::default()).unwrap();
        let at = self.clock(clock);
        let rotated = before.clone().rotated(&self.by_hand(&before), Start::AtOnce, at);
        if let Some(rotated) = self.changed(&before, rotated, &Change::RotateNow, at) {
            self.publish(&rotated, clock, Some(KeyUse::Signing));
        }
    }

    fn revoke(&mut self, which: Which, clock: Offset) {
        let before = RingDocument::parse(&self.current.1, SignatureAlgorithm::default()).unwrap();
        let keys: Vec<_> = before.summaries().collect();
        let at = self.clock(clock);
        let signer = |use_| {
            let able = keys.iter().filter(move |key| key.use_ == use_ && key.life.may_sign(at));
            able.max_by_key(|key| key.life.not_before)
        };
        let key = match which {
            Which::Newest => keys.iter().rfind(|key| key.use_ == KeyUse::Signing),
            Which::NewestTag => keys.iter().rfind(|key| key.use_ == KeyUse::Tag),
            Which::Signer => signer(KeyUse::Signing),
            Which::At(place) => keys.get(place % keys.len()),
        };
        let Some(key) = key else { return };
        let signed = signer(key.use_).is_some_and(|signer| signer.kid == key.kid);
        let policy = self.by_hand(&before);
        let without = before.clone().without(&key.kid, &policy, at);
        if key.use_ == KeyUse::Sealing {
            if !matches!(without, Err(RotationError::SealingKey)) {
                self.breaks("a sealing key is revoked");
            }
            return;
        }
        let change = Change::Revoke {
            lead: policy.lead.as_secs(),
            signed: signed && key.use_ == KeyUse::Signing,
        };
        if let Some(without) = self.changed(&before, without, &change, at) {
            self.revoked.insert(key.kid.clone());
            self.publish(&without, clock, signed.then_some(key.use_));
        }
    }

    fn adopted(&self, ring: &mut RingDocument, configured: &RotationPolicy) -> RotationPolicy {
        let adopted = ring.adopt_policy(configured);
        if self.is(Mistake::RecordedPolicyIgnored) { *configured } else { adopted }
    }

    fn by_hand(&self, ring: &RingDocument) -> RotationPolicy {
        let policy = ring.policy_by_hand();
        if self.is(Mistake::OwnLead) {
            return RotationPolicy { lead: std::time::Duration::from_secs(5), ..policy };
        }
        policy
    }

    /// The outcome of a change, checked as it is before it is written.
    fn changed(
        &mut self,
        before: &RingDocument,
        after: Result<RingDocument, RotationError>,
        change: &Change,
        at: UnixSeconds,
    ) -> Option<RingDocument> {
        let after = match after {
            Ok(after) => after,
            Err(error) => {
                self.breaks(&format!("a change is refused: {error}"));
                return None;
            }
        };
        let Some(mistake) = self.mistake else { return Some(after) };
        let after = mistake.distort(before, &after, change, at.get());
        let checked = if mistake.skips_check() {
            KeyRing::parse(&after.to_json(), at).map(|_| ()).map_err(RotationError::from)
        } else {
            after.check()
        };
        match checked {
            Ok(()) => Some(after),
            Err(error) => {
                self.breaks(&format!("a change is refused: {error}"));
                None
            }
        }
    }

    /// Makes a ring the current version. In an emergency the newest key of a use signs at once.
    fn publish(&mut self, ring: &RingDocument, clock: Offset, emergency: Option<KeyUse>) {
        let (number, before) =
            std::mem::replace(&mut self.current, (0, ring.to_json().to_string()));
        self.current.0 = number + 1;
        self.replaced.push((self.now, before));
        let in_force = self.running(false).map(propagation).into_iter();
        let in_force = in_force.chain(ring.policy().as_ref().map(propagation)).min();
        let everybody = self.now + in_force.unwrap_or_default();
        let slack = if clock == 0 { 0 } else { TOLERANCE };
        let keys: Vec<_> = ring.summaries().collect();
        for key in &keys {
            let everybody_has_it_at = match key.use_ {
                // First keys are derived from the seed by everybody.
                _ if key.life.issued_at.is_none() => 0,
                // Only functions need it, and those of the past are gone.
                KeyUse::Tag | KeyUse::Sealing => everybody.saturating_sub(slack),
                KeyUse::Signing => everybody.max(self.old_copies_until).saturating_sub(slack),
            };
            let first = Publication { everybody_has_it_at, signs_at_once: false };
            let published = self.published.entry(key.kid.clone()).or_insert(first);
            let planned = self.begins.insert(key.kid.clone(), key.life.not_before);
            if clock != 0 && planned.is_some_and(|planned| planned != key.life.not_before) {
                published.everybody_has_it_at =
                    published.everybody_has_it_at.saturating_sub(TOLERANCE);
            }
        }
        let newest = keys.iter().rfind(|key| Some(key.use_) == emergency);
        if emergency == Some(KeyUse::Signing) {
            // A verifier with an old copy refuses the new tokens until it reloads.
            self.old_copies_until = 0;
        }
        if let Some(newest) = newest.and_then(|key| self.published.get_mut(&key.kid)) {
            newest.signs_at_once = true;
        }
    }

    fn clock(&mut self, offset: Offset) -> UnixSeconds {
        self.absurd_clock |= offset.unsigned_abs() > TOLERANCE;
        UnixSeconds::new(self.now.saturating_add_signed(offset))
    }

    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn breaks(&mut self, promise: &str) {
        self.broken.get_or_insert_with(|| promise.to_owned());
    }

    fn check(&mut self) {
        let ring = self.current.1.clone();
        if let Some((use_, after)) = first_moment_without_a_key(&ring, self.now) {
            return self.breaks(&format!("no key of use {use_} after {after} s"));
        }
        if ring.len() > MAX_RING_LEN / 2 {
            return self.breaks("the ring is large");
        }
        let document = RingDocument::parse(&ring, SignatureAlgorithm::default()).unwrap();
        if document.summaries().any(|key| self.revoked.contains(&key.kid)) {
            return self.breaks("a revoked key is back");
        }
        let algorithm = POLICIES[self.configured].algorithm;
        let read = KeyRing::read(&ring, algorithm).unwrap();
        // Whatever the clocks say, and whichever keys were revoked.
        if !self.tokens.iter().all(|tokens| tokens.can_be_opened(&read)) {
            return self.breaks("a sealed secret cannot be opened");
        }
        if self.absurd_clock {
            return;
        }
        let configured = &POLICIES[self.configured];
        let read = KeyRing::read(&ring, configured.algorithm).unwrap();
        let now = UnixSeconds::new(self.now);
        let in_use = [
            read.signer(now).map(|key| key.kid().to_owned()),
            read.tagger(now).map(|key| key.id().to_owned()),
        ];
        for kid in in_use.into_iter().flatten() {
            let published = self.published.get(&kid);
            let early = published
                .is_some_and(|key| !key.signs_at_once && self.now < key.everybody_has_it_at);
            if early {
                return self.breaks("a key is used before everybody has it");
            }
        }
        let refused = self.tokens.iter().find_map(|tokens| {
            tokens.refused(&read, configured, &self.revoked, self.mistake, self.now)
        });
        if let Some(refused) = refused {
            self.breaks(refused);
        }
    }
}
