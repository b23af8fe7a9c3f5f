//! The service as the model sees it: a session item, and the production functions applied to it.
//!
//! The state of a model must be small and must come round to itself, so an [`Item`] keeps only what
//! differs between sessions from the decision table's point of view: how long ago each generation
//! was superseded. Generations are counted backwards from the live one and time backwards from the
//! present; [`decide`](ratchet_core::rotation::decide) compares nothing else. For every transition
//! the item is written out as a production [`Session`] with real hashes and seals, decided upon and
//! rotated by the production functions, and read back. What does not read back is no longer one
//! chain.

use std::{
    array,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use ratchet_core::{
    amr::Amr,
    ids::{SessionId, UserId},
    refresh_token::RefreshToken,
    rotation::{Decision, Presented, Rotation, SessionPolicy, walk},
    seal::{self, SealContext},
    secret::TokenSecret,
    session::{
        LateRecoveries, Origin, REGISTER_SLOTS, RevocationReason, Revoked, Session, Superseded,
    },
    time::UnixMillis,
};

use super::mutation::Mutation;

/// How many superseded generations an item remembers: those of the register, and beyond them as
/// many as could still be recent if something went wrong.
pub const REMEMBERED: usize = 6;
/// In [`Item::ages`]: no such generation, or one so old that nothing depends on it.
pub const FORGOTTEN: u8 = u8::MAX;
/// A [`Token`] this many generations old has left the memory.
pub const GONE: Token = 7;

/// A genuine token, by how many generations ago it was the live one.
pub type Token = u8;

const TICK: Duration = Duration::from_secs(1);
const PRESENT: UnixMillis = UnixMillis::new(1_780_000_000_000);
const MADE: UnixMillis = UnixMillis::new(1_779_999_000_000);
/// The live generation of every item that is written out, and its place among the links.
const LIVE: usize = 7;
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_secs(1_000_000),
    absolute: Duration::from_secs(1_000_000),
    retry_window: TICK,
    // Late recovery has a model of its own: `late.rs`.
    late_recoveries: 0,
};

/// A session in the tokens table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Item {
    /// How many ticks ago each superseded generation was superseded, the youngest first. The first
    /// four are the register; the others the service has forgotten, and the model has not.
    pub ages: [u8; REMEMBERED],
    /// Why the session has been ended.
    pub revoked: Option<RevocationReason>,
}

impl Item {
    /// A session that has never been refreshed.
    pub const NEW: Self = Self { ages: [FORGOTTEN; REMEMBERED], revoked: None };

    /// How long ago `token` was superseded, if that still matters.
    pub fn age(&self, token: Token) -> Option<u8> {
        let slot = usize::from(token).checked_sub(1)?;
        self.ages.get(slot).copied().filter(|age| *age != FORGOTTEN)
    }

    /// The item revoked for `reason`, unless it was before.
    pub fn revoke(self, reason: RevocationReason) -> Self {
        Self { revoked: self.revoked.or(Some(reason)), ..self }
    }
}

/// What became of a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was superseded: the write was applied.
    Rotated,
    /// It is live and is answered with itself.
    AnsweredLive,
    /// It led to the live one.
    Walked,
    /// It was refused.
    Refused,
    /// It was recognised as old.
    Theft,
    /// The write broke the chain: the item is not its next generation.
    Forked,
    /// What would be answered is not the live token.
    Astray,
}

/// The settings, the fault, and the secrets of the chain.
pub struct Service {
    /// The retry window, in ticks.
    pub window: u8,
    /// The longest that a request may be in flight, or a clock may lag, in ticks.
    pub lag: u8,
    /// What is wrong with it.
    pub mutation: Option<Mutation>,
    links: Vec<Link>,
    stray: Rotation,
    template: Session,
    tally: [AtomicUsize; 7],
}

/// One generation, and the rotation that supersedes it.
struct Link {
    token: RefreshToken,
    presented: Presented,
    rotation: Rotation,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Rotated,
        Self::AnsweredLive,
        Self::Walked,
        Self::Refused,
        Self::Theft,
        Self::Forked,
        Self::Astray,
    ];
}

impl Service {
    /// A service with a retry window of `window` ticks whose requests are up to `lag` ticks late.
    pub fn new(window: u8, lag: u8, mutation: Option<Mutation>) -> Self {
        let links: Vec<_> = (0..=u8::try_from(LIVE).unwrap() + 1).map(link).collect();
        let token = &links[LIVE].token;
        let origin = links[LIVE].rotation.origin.clone();
        let stray = prepare(token, &TokenSecret::new([u8::MAX; 32]));
        let template = Session {
            user_id: token.user_id,
            session_id: token.session_id,
            generation: 0,
            token_hash: token.secret.hash(),
            superseded: [None; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: None,
            amr: Amr::PASSWORD,
            stepped_up: None,
            auth_time: MADE,
            cut_seen: UnixMillis::new(0),
            absolute_expires_at: POLICY.absolute_expires_at(token.session_id),
            expires_at: POLICY.expires_at(token.session_id, PRESENT),
            origin,
            source_ip: String::new(),
            device: None,
            revoked: None,
        };
        let tally = array::from_fn(|_| AtomicUsize::new(0));
        Self { window, lag, mutation, links, stray, template, tally }
    }

    /// From this age on a generation is out of the window for every request in flight.
    pub fn old(&self) -> u8 {
        self.window + self.lag
    }

    /// One tick later.
    pub fn later(&self, item: Item) -> Item {
        let older = |age: u8| if age == FORGOTTEN { age } else { self.old().min(age + 1) };
        self.forget(Item { ages: item.ages.map(older), ..item })
    }

    /// Generations outside the register cannot be distinguished.
    fn forget(&self, mut item: Item) -> Item {
        for age in item.ages.iter_mut().skip(REGISTER_SLOTS) {
            if *age == self.old() {
                *age = FORGOTTEN;
            }
        }
        item
    }

    /// The rotation's conditional write of a request that read its clock `lag` ticks ago, and what
    /// follows from the item if the condition did not hold.
    pub fn present(&self, item: Item, token: Token, lag: u8) -> (Item, Outcome) {
        let link = &self.links[LIVE - usize::from(token)];
        let session = self.session(LIVE, &item);
        let now = PRESENT.minus(TICK * u32::from(lag));
        let policy = SessionPolicy { retry_window: TICK * u32::from(self.window), ..POLICY };
        let decision = Mutation::decide(self.mutation, &link.presented, &session, now, &policy);
        let (item, outcome) = match decision {
            Decision::Rotate => self.rotate(item, session, token, lag, now),
            Decision::AnswerLive => (item, self.lead(link, &session, Outcome::AnsweredLive)),
            Decision::AnswerSuccessor => (item, self.lead(link, &session, Outcome::Walked)),
            Decision::RecoverLate | Decision::AnswerRecovered | Decision::AnswerOwner => {
                (item, Outcome::Astray)
            }
            Decision::Refuse(_) => (item, Outcome::Refused),
            Decision::Theft(_) => (item, Outcome::Theft),
        };
        self.tally(outcome).fetch_add(1, Ordering::Relaxed);
        (item, outcome)
    }

    /// How often each outcome came about, repeats included.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tally(outcome).load(Ordering::Relaxed)
    }

    fn tally(&self, outcome: Outcome) -> &AtomicUsize {
        let place = Outcome::ALL.iter().position(|of| *of == outcome).unwrap();
        &self.tally[place]
    }

    /// The revocation that an old token brings about.
    pub fn end_theft(&self, item: Item) -> Item {
        if self.mutation == Some(Mutation::TheftDoesNotRevoke) {
            return item;
        }
        item.revoke(RevocationReason::ReuseDetected)
    }

    /// The store's `UpdateItem`: what it sets comes from the request, the register shifts.
    fn rotate(
        &self,
        item: Item,
        found: Session,
        token: Token,
        lag: u8,
        now: UnixMillis,
    ) -> (Item, Outcome) {
        let link = &self.links[LIVE - usize::from(token)];
        // A secret is drawn for every attempt: the second of a generation is another than the
        // first.
        let drawn = if token == 0 { &link.rotation } else { &self.stray };
        let rotation = Rotation { now, ..drawn.clone() };
        let Presented { generation, hash, .. } = link.presented;
        let written = Session { generation, token_hash: hash, ..found }.rotated(&rotation);
        let [first, second, third, fourth, fifth, _] = item.ages;
        let ages = [lag, first, second, third, fourth, fifth];
        let item = self.forget(Item { ages, ..item });
        let expected = self.session(LIVE + 1, &item);
        let one_chain = Mutation::keep(self.mutation, written) == expected;
        (item, if one_chain { Outcome::Rotated } else { Outcome::Forked })
    }

    /// `good` if `link` leads to the live token of `session`.
    fn lead(&self, link: &Link, session: &Session, good: Outcome) -> Outcome {
        let youngest = session.superseded.iter().flatten().find(|slot| {
            slot.hash == link.presented.hash
                && self.mutation == Some(Mutation::WalkStopsAtFirstSeal)
        });
        let led = match youngest {
            Some(slot) => {
                let RefreshToken { user_id, session_id, generation, .. } = link.token;
                let context = SealContext { user_id, session_id, generation };
                seal::open(&link.token.secret, &slot.sealed_successor, &context)
            }
            None => walk(&link.token, session),
        };
        let live = &self.links[LIVE].presented.hash;
        if led.is_ok_and(|secret| secret.hash() == *live) { good } else { Outcome::Astray }
    }

    /// The item written out, with `live` as its live generation.
    fn session(&self, live: usize, item: &Item) -> Session {
        let superseded = array::from_fn(|slot| {
            let age = item.ages.get(slot).filter(|age| **age != FORGOTTEN)?;
            let link = &self.links[live - 1 - slot];
            Some(Superseded {
                hash: link.presented.hash,
                sealed_successor: link.rotation.sealed_successor,
                superseded_at: PRESENT.minus(TICK * u32::from(*age)),
            })
        });
        let Presented { generation, hash, .. } = self.links[live].presented;
        let revoked = item.revoked.map(|reason| Revoked { at: PRESENT, reason });
        let session =
            Session { generation, token_hash: hash, superseded, revoked, ..self.template.clone() };
        Mutation::keep(self.mutation, session)
    }
}

fn link(generation: u8) -> Link {
    let token = RefreshToken {
        user_id: UserId::from_bytes([1; 16]),
        session_id: SessionId::generate(MADE, &[2; 10]),
        generation: generation.into(),
        secret: TokenSecret::new([generation; 32]),
    };
    let rotation = prepare(&token, &TokenSecret::new([generation + 1; 32]));
    Link { presented: Presented::from(&token), token, rotation }
}

fn prepare(token: &RefreshToken, next: &TokenSecret) -> Rotation {
    let origin = Origin { network: String::new(), user_agent: String::new() };
    Rotation::prepare(token, next, [7; 12], PRESENT, &POLICY, origin).unwrap()
}
