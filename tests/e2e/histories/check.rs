//! The sequential specification.

use std::{collections::HashMap, fmt, ops::AddAssign, time::Duration};

use ratchet_core::{encoding::from_base64url, rotation::LATE_WINDOW};

use super::{
    clients::{Act, History, Operation},
    service::{Service, WINDOW_SECONDS},
};
use crate::support::{World, items::ids, people::now};

/// How many lost answers a session tolerates, by default.
const RECOVERIES: usize = 2;

/// How long the final refreshes of all sessions are retried while the service is unavailable.
const PATIENCE: Duration = Duration::from_mins(5);

/// The numbers of a history.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) operations: usize,
    pub(crate) rotations: u64,
    answers: usize,
    refusals: usize,
    faults: usize,
    late: usize,
    pub(crate) recoveries: usize,
    pub(crate) ended: usize,
    thefts: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.rotations += other.rotations;
        self.answers += other.answers;
        self.refusals += other.refusals;
        self.faults += other.faults;
        self.late += other.late;
        self.recoveries += other.recoveries;
        self.ended += other.ended;
        self.thefts += other.thefts;
    }
}

impl Summary {
    /// Whether any session was refreshed.
    pub(crate) const fn has_rotations(&self) -> bool {
        self.rotations > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations, {} answered with {} rotations, {} refused, {} sessions ended ({} by \
             reuse), {} late recoveries, {} faults, {} requests that came after the window; 0 \
             violations, 0 false revocations",
            self.operations,
            self.answers,
            self.rotations,
            self.refusals,
            self.ended,
            self.thefts,
            self.recoveries,
            self.faults,
            self.late
        )
    }
}

/// Checks each session of a history separately.
pub(crate) async fn check(world: &World, service: &Service, history: &History) -> Summary {
    let mut summary = Summary { operations: history.operations.len(), ..Summary::default() };
    let patient_until = now().plus(PATIENCE);
    for (number, first) in history.firsts.iter().enumerate() {
        let mut operations: Vec<_> =
            history.operations.iter().filter(|operation| operation.session == number).collect();
        // First, because a late refresh without an answer may have recovered too.
        let retries: Vec<_> = operations
            .iter()
            .filter(|operation| is_retry_of_a_recovery(&operations, operation))
            .map(|retry| Operation { act: Act::Refresh, ..(*retry).clone() })
            .collect();
        operations.retain(|operation| retries.iter().all(|retry| retry.began != operation.began));
        operations.extend(&retries);
        let late = late(&operations);
        summary.late += late.len();
        let late: Vec<_> =
            late.into_iter().map(|late| Operation { act: Act::Steal, ..late.clone() }).collect();
        operations.retain(|operation| late.iter().all(|late| late.began != operation.began));
        operations.extend(&late);
        let live = check_chain(&operations, &first.refresh);
        check_ends(&operations);
        check_recoveries(&operations);
        let over = operations.iter().any(|operation| operation.ends_for_certain());
        let maybe_over = operations.iter().any(|operation| operation.may_end());
        // When the first refresh without an answer in time began: it may have superseded the token.
        let mut unheard: Vec<_> = operations
            .iter()
            .filter(|operation| operation.act == Act::Refresh && operation.status == 503)
            .filter(|operation| operation.presented == ids(&live).generation)
            .map(|operation| operation.began_at)
            .collect();
        let (status, body) = loop {
            let began_at = now();
            let answer = service.post("/refresh", &live).await;
            if answer.0 != 503 || patient_until < now() {
                break answer;
            }
            unheard.push(began_at);
            // Other tests may keep the machine so busy that calls exceed their time limits.
            tokio::time::sleep(Duration::from_millis(250)).await;
        };
        let window = Duration::from_secs(WINDOW_SECONDS);
        let unheard = unheard.into_iter().any(|began_at| began_at.plus(window) <= now());
        let session = world.session(&live).await;
        let session = session.expect("an ended session leaves its tombstone");
        // A lost answer is tolerated unless there were too many.
        let unforgiven = unheard
            && body["code"] == "reuse_detected"
            && session.recovered.iter().count() >= RECOVERIES;
        if over {
            assert_eq!(status, 401, "session {number} is dead and stays dead");
        } else if !(maybe_over || unforgiven) {
            assert_eq!(status, 200, "session {number}: its last token is valid: {body}");
        }
        assert!(session.generation >= ids(&live).generation, "session {number}");
        assert_eq!(session.revoked.is_some(), status == 401, "session {number}");
        summary.recoveries += session.recovered.iter().count();
        summary.rotations += u64::from(session.generation);
        summary.ended += usize::from(over);
        summary.thefts += usize::from(
            session.revoked.is_some_and(|revoked| revoked.reason.as_str() == "reuse_detected"),
        );
    }
    let count = |status| history.operations.iter().filter(|o| o.status == status).count();
    (summary.answers, summary.refusals, summary.faults) = (count(200), count(401), count(503));
    summary
}

/// Refreshes that took so long that their token was old by the time it was checked. This happens on
/// a machine that is too slow for a window of a few seconds, and the service cannot tell.
///
/// A token is superseded when a request that presents it reads the clock, so never before the first
/// other request that presented it began.
fn late<'h>(operations: &[&'h Operation]) -> Vec<&'h Operation> {
    let window = Duration::from_secs(WINDOW_SECONDS);
    let first_presented = |late: &Operation| {
        operations
            .iter()
            .filter(|other| other.presented == late.presented && other.began != late.began)
            .filter(|other| [Act::Refresh, Act::Late, Act::Steal].contains(&other.act))
            .map(|other| other.began_at)
            .min()
    };
    operations
        .iter()
        .copied()
        .filter(|operation| operation.act == Act::Refresh)
        // Those whose token was old, or that ran out of time.
        .filter(|operation| operation.code == "reuse_detected" || operation.status == 503)
        .filter(|late| {
            first_presented(late).is_some_and(|first| first.plus(window) <= late.ended_at)
        })
        .collect()
}

/// Whether an old token was answered because it had been recovered within the last window: it counts
/// as recent then, since its client may have sent it more than once.
fn is_retry_of_a_recovery(operations: &[&Operation], retry: &Operation) -> bool {
    let window = Duration::from_secs(WINDOW_SECONDS);
    let first_presented = operations
        .iter()
        .filter(|other| other.presented == retry.presented)
        .map(|other| other.began_at)
        .min();
    let recovers = |other: &&&Operation| {
        let is_late = first_presented.is_some_and(|first| first.plus(window) <= other.ended_at);
        other.act == Act::Late || other.act == Act::Refresh && is_late
    };
    [Act::Late, Act::Steal].contains(&retry.act)
        && retry.token.as_deref().is_some_and(|live| ids(live).generation != retry.presented + 1)
        && operations
            .iter()
            .filter(|other| other.presented == retry.presented && other.began != retry.began)
            .filter(recovers)
            .filter(|other| [200, 503].contains(&other.status) && other.began < retry.ended)
            .any(|other| other.ended_at.plus(window) >= retry.began_at)
}

/// Checks that there is one chain: each generation has one token, and no answer has an older
/// generation than an earlier answer. Returns the token of the highest generation.
fn check_chain(operations: &[&Operation], first: &str) -> String {
    let mut tokens = HashMap::from([(0, first.to_owned())]);
    let answers: Vec<_> = operations
        .iter()
        .filter_map(|operation| Some((*operation, operation.token.as_deref()?)))
        .collect();
    for (operation, token) in &answers {
        let known = tokens.entry(ids(token).generation).or_insert_with(|| (*token).to_owned());
        assert_eq!(without_tag(known), without_tag(token), "a session never forks: {operation:?}");
    }
    for (earlier, earlier_token) in &answers {
        for (later, later_token) in &answers {
            if earlier.ended < later.began {
                assert!(
                    ids(earlier_token).generation <= ids(later_token).generation,
                    "an answer goes back: {later:?} after {earlier:?}"
                );
            }
        }
    }
    let highest = tokens.keys().max().copied().unwrap_or_default();
    tokens.remove(&highest).unwrap_or_default()
}

/// A token's ids, generation and secret. Its tag depends on the key ring: while a new tag key comes
/// into use, one token is sent with either tag.
fn without_tag(token: &str) -> Vec<u8> {
    const TAG_LEN: usize = 16;
    let bytes = from_base64url(token.strip_prefix("rt1_").expect("a prefix"));
    let mut bytes = bytes.expect("base64url");
    bytes.truncate(bytes.len() - TAG_LEN);
    bytes
}

/// Checks that no ended session answers, and that no client is refused without a cause.
fn check_ends(operations: &[&Operation]) {
    for refresh in operations.iter().filter(|operation| operation.act == Act::Refresh) {
        let dead = operations.iter().any(|end| end.ends_for_certain() && end.ended < refresh.began);
        let cause = operations.iter().any(|end| end.may_end() && end.began < refresh.ended);
        match refresh.status {
            200 => assert!(!dead, "a dead session answers: {refresh:?}"),
            401 => assert!(cause, "a false refusal: {refresh:?}"),
            503 => {}
            other => panic!("{other}: {refresh:?}"),
        }
    }
    for end in operations.iter().filter(|operation| operation.status == 204) {
        assert!(end.left_revoked, "a rotation in flight may still be written: {end:?}");
    }
    for theft in operations.iter().filter(|operation| operation.act == Act::Steal) {
        assert!([401, 503].contains(&theft.status), "an old token is accepted: {theft:?}");
    }
}

/// Checks that a late token leads one generation on, and that at most [`RECOVERIES`] do so within
/// [`LATE_WINDOW`] generations.
fn check_recoveries(operations: &[&Operation]) {
    let late = operations.iter().filter(|operation| operation.act == Act::Late);
    let mut recovered: Vec<_> = late
        .filter_map(|late| {
            let live = ids(late.token.as_deref()?).generation;
            assert_eq!(live, late.presented + 1, "a late token skips a rotation: {late:?}");
            Some(live)
        })
        .collect();
    recovered.sort_unstable();
    recovered.dedup();
    for generations in recovered.windows(RECOVERIES + 1) {
        let (first, last) = (generations[0], generations[RECOVERIES]);
        assert!(last - first >= LATE_WINDOW, "too many recoveries: {generations:?}");
    }
}

impl Operation {
    /// Whether the session may have ended once this operation has begun.
    fn may_end(&self) -> bool {
        match self.act {
            Act::Refresh => false,
            Act::Late => self.status != 200,
            Act::Steal | Act::LogOut | Act::EndAll => true,
        }
    }

    /// Whether the session has certainly ended once this operation has.
    fn ends_for_certain(&self) -> bool {
        match self.act {
            Act::Refresh => false,
            Act::Late | Act::Steal => self.status == 401 && self.code == "reuse_detected",
            Act::LogOut | Act::EndAll => self.status == 204,
        }
    }
}
