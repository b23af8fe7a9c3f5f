use proptest::prelude::*;

use super::*;
use crate::{
    amr::Amr,
    ids::UserId,
    session::{LateRecoveries, RevocationReason, Revoked},
};

const WINDOW: Duration = Duration::from_secs(60);
const START: UnixMillis = UnixMillis::new(1_780_000_000_000);
const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_secs(3_600),
    absolute: Duration::from_secs(7_200),
    retry_window: WINDOW,
    late_recoveries: 0,
};

/// A session together with the tokens that its clients were ever given.
struct Chain {
    session: Session,
    tokens: Vec<RefreshToken>,
}

impl Chain {
    fn start() -> Self {
        let user_id = UserId::generate(START, &[1; 10]);
        let session_id = SessionId::generate(START, &[2; 10]);
        let secret = TokenSecret::new([0; 32]);
        let session = Session {
            user_id,
            session_id,
            generation: 0,
            token_hash: secret.hash(),
            superseded: [None; REGISTER_SLOTS],
            recovered: LateRecoveries::default(),
            jkt: None,
            amr: Amr::PASSWORD,
            stepped_up: None,
            auth_time: START,
            cut_seen: UnixMillis::new(0),
            absolute_expires_at: POLICY.absolute_expires_at(session_id),
            expires_at: POLICY.expires_at(session_id, START),
            origin: origin(),
            source_ip: String::new(),
            device: None,
            revoked: None,
        };
        Self { session, tokens: vec![RefreshToken { user_id, session_id, generation: 0, secret }] }
    }

    /// A chain rotated once at each of `seconds` after the start.
    fn rotated_at(seconds: &[u64]) -> Self {
        let mut chain = Self::start();
        for second in seconds {
            chain.rotate(after(*second));
        }
        chain
    }

    fn rotate(&mut self, now: UnixMillis) {
        let live = self.tokens.last().unwrap();
        let generation = live.generation + 1;
        let secret = TokenSecret::new([u8::try_from(generation).unwrap(); 32]);
        let rotation = Rotation::prepare(live, &secret, [7; 12], now, &POLICY, origin()).unwrap();
        self.session = self.session.rotated(&rotation);
        self.tokens.push(RefreshToken { generation, secret, ..*live });
    }

    fn decide(&self, generation: usize, now: UnixMillis) -> Decision {
        self.decide_with(generation, now, 0)
    }

    fn decide_with(&self, generation: usize, now: UnixMillis, late_recoveries: u8) -> Decision {
        decide_about(&self.tokens[generation], Some(&self.session), now, late_recoveries)
    }
}

fn decide_about(
    token: &RefreshToken,
    session: Option<&Session>,
    now: UnixMillis,
    late_recoveries: u8,
) -> Decision {
    let policy = SessionPolicy { late_recoveries, ..POLICY };
    decide(&Presented::from(token), &origin().user_agent, session, now, &policy)
}

fn origin() -> Origin {
    Origin { network: String::new(), user_agent: String::new() }
}

fn after(seconds: u64) -> UnixMillis {
    START.plus(Duration::from_secs(seconds))
}

#[test]
fn the_live_token_rotates() {
    assert_eq!(Chain::start().decide(0, after(1)), Decision::Rotate);
    assert_eq!(Chain::rotated_at(&[1, 2, 3]).decide(3, after(4)), Decision::Rotate);
}

#[test]
fn the_live_token_is_answered_with_itself_after_four_rotations_in_one_window() {
    let chain = Chain::rotated_at(&[1, 2, 3, 4]);
    assert_eq!(chain.decide(4, after(5)), Decision::AnswerLive);
    assert_eq!(chain.decide(4, START.plus(Duration::from_millis(60_999))), Decision::AnswerLive);
    assert_eq!(chain.decide(4, after(61)), Decision::Rotate);
}

#[test]
fn a_token_superseded_within_the_window_leads_to_the_live_one() {
    let chain = Chain::rotated_at(&[1, 2, 3, 4]);
    for generation in 0..4 {
        assert_eq!(chain.decide(generation, after(5)), Decision::AnswerSuccessor);
        let walked = walk(&chain.tokens[generation], &chain.session).unwrap();
        assert_eq!(walked.hash(), chain.session.token_hash);
    }
}

#[test]
fn a_token_superseded_a_window_ago_is_theft() {
    let chain = Chain::rotated_at(&[1]);
    assert_eq!(
        chain.decide(0, START.plus(Duration::from_millis(60_999))),
        Decision::AnswerSuccessor
    );
    assert_eq!(chain.decide(0, after(61)), Decision::Theft(Reuse::Superseded));
}

#[test]
fn a_late_token_of_the_last_rotation_is_recovered_however_late_it_comes() {
    let chain = Chain::rotated_at(&[1]);
    for late in [61, 3_000, 3_600] {
        assert_eq!(chain.decide_with(0, after(late), 2), Decision::RecoverLate, "{late}");
        assert_eq!(chain.decide_with(0, after(late), 0), Decision::Theft(Reuse::Superseded));
    }
    let walked = walk(&chain.tokens[0], &chain.session).unwrap();
    assert_eq!(walked.hash(), chain.session.token_hash);
}

#[test]
fn a_recovery_whose_answer_was_lost_is_answered_again_without_another_note() {
    let mut chain = Chain::rotated_at(&[1]);
    chain.session = chain.session.recovered_late(after(100));
    for late in [160, 3_000] {
        assert_eq!(chain.decide_with(0, after(late), 1), Decision::AnswerRecovered);
    }
}

#[test]
fn after_a_recovery_the_late_token_is_recent_for_a_window() {
    let mut chain = Chain::rotated_at(&[1]);
    chain.session = chain.session.recovered_late(after(100));
    assert_eq!(chain.decide_with(0, after(101), 1), Decision::AnswerSuccessor);
    // The client has the live token and goes on; its first request arrives late.
    chain.rotate(after(102));
    assert_eq!(chain.decide_with(0, after(103), 1), Decision::AnswerSuccessor);
    assert_eq!(chain.decide_with(0, after(160), 1), Decision::Theft(Reuse::Superseded));
}

#[test]
fn the_recovery_after_the_last_one_of_eight_generations_is_theft() {
    let mut chain = Chain::start();
    for (generation, seconds) in (1..).step_by(100).take(8).enumerate() {
        let now = after(seconds);
        chain.rotate(now);
        if generation < 2 {
            assert_eq!(chain.decide_with(generation, later(now), 2), Decision::RecoverLate);
            chain.session = chain.session.recovered_late(later(now));
        } else {
            let refused = chain.decide_with(generation, later(now), 2);
            assert_eq!(refused, Decision::Theft(Reuse::Late), "{generation}");
        }
    }
    // The first of the notes is eight generations ago now.
    chain.rotate(after(900));
    assert_eq!(chain.decide_with(8, after(1_000), 2), Decision::RecoverLate);
}

#[test]
fn a_late_token_of_another_kind_of_client_or_two_generations_behind_is_theft() {
    let chain = Chain::rotated_at(&[1, 100]);
    assert_eq!(chain.decide_with(0, after(200), 4), Decision::Theft(Reuse::Superseded));
    let policy = SessionPolicy { late_recoveries: 4, ..POLICY };
    let token = Presented::from(&chain.tokens[1]);
    let decided = decide(&token, "another/1.0", Some(&chain.session), after(200), &policy);
    assert_eq!(decided, Decision::Theft(Reuse::Superseded));
}

#[test]
fn a_late_token_of_an_ended_session_is_refused() {
    let mut chain = Chain::rotated_at(&[1]);
    chain.session.revoked = Some(Revoked { at: after(2), reason: RevocationReason::LoggedOut });
    let ended = Ended::Revoked(RevocationReason::LoggedOut);
    assert_eq!(chain.decide_with(0, after(100), 2), Decision::Refuse(Refusal::Ended(ended)));
}

fn later(now: UnixMillis) -> UnixMillis {
    now.plus(WINDOW)
}

#[test]
fn a_token_that_left_the_register_is_theft() {
    let chain = Chain::rotated_at(&[1, 100, 200, 300, 400]);
    assert_eq!(chain.decide(0, after(401)), Decision::Theft(Reuse::Superseded));
}

#[test]
fn a_remembered_generation_with_another_secret_is_theft() {
    let mut chain = Chain::rotated_at(&[1]);
    for token in &mut chain.tokens {
        token.secret = TokenSecret::new([99; 32]);
    }
    for generation in 0..2 {
        assert_eq!(chain.decide(generation, after(2)), Decision::Theft(Reuse::Diverged));
    }
}

#[test]
fn a_generation_ahead_of_the_item_is_refused_without_alarm() {
    let ahead = Chain::rotated_at(&[1, 2]);
    let restored = Chain::rotated_at(&[1]);
    assert_eq!(
        decide_about(&ahead.tokens[2], Some(&restored.session), after(3), 2),
        Decision::Refuse(Refusal::Ahead)
    );
}

#[test]
fn a_token_of_no_session_is_refused() {
    let chain = Chain::start();
    assert_eq!(
        decide_about(&chain.tokens[0], None, after(1), 2),
        Decision::Refuse(Refusal::Unknown)
    );
}

#[test]
fn every_token_of_an_ended_session_is_refused_with_the_reason() {
    let live = Chain::rotated_at(&[1, 2]);
    let revoked = Revoked { at: after(3), reason: RevocationReason::LoggedOut };
    let cases = [
        (
            Session { revoked: Some(revoked), ..live.session.clone() },
            after(4),
            Ended::Revoked(RevocationReason::LoggedOut),
        ),
        (live.session.clone(), after(3_602), Ended::ExpiredIdle),
        (live.session.clone(), after(7_200), Ended::ExpiredAbsolute),
        (
            Session { revoked: Some(revoked), ..live.session.clone() },
            after(7_200),
            Ended::Revoked(RevocationReason::LoggedOut),
        ),
    ];
    for (session, now, ended) in cases {
        for token in &live.tokens {
            assert_eq!(
                decide_about(token, Some(&session), now, 2),
                Decision::Refuse(Refusal::Ended(ended))
            );
        }
    }
}

#[test]
fn lifetimes_hold_to_the_second() {
    let chain = Chain::start();
    assert_eq!(chain.decide(0, START.plus(Duration::from_millis(3_599_999))), Decision::Rotate);
    assert_eq!(chain.decide(0, after(3_600)), Decision::Refuse(Refusal::Ended(Ended::ExpiredIdle)));
}

#[test]
fn rotation_never_slides_the_absolute_end() {
    let mut chain = Chain::start();
    for second in (1_000..7_000).step_by(1_000) {
        chain.rotate(after(second));
    }
    assert_eq!(chain.session.expires_at, after(7_200).seconds());
    assert_eq!(
        chain.decide(6, after(7_200)),
        Decision::Refuse(Refusal::Ended(Ended::ExpiredAbsolute))
    );
}

#[test]
fn a_session_remembers_when_and_from_where_it_was_rotated_last() {
    let mut chain = Chain::start();
    assert_eq!(chain.session.refreshed_at(), START);
    chain.rotate(after(7));
    assert_eq!(chain.session.refreshed_at(), after(7));
    let elsewhere = Origin { network: "192.0.2.0/24".to_owned(), user_agent: "other".to_owned() };
    let (token, next) = (&chain.tokens[1], TokenSecret::new([9; 32]));
    let rotation =
        Rotation::prepare(token, &next, [7; 12], after(8), &POLICY, elsewhere.clone()).unwrap();
    assert_eq!(chain.session.rotated(&rotation).origin, elsewhere);
}

#[test]
fn the_kinds_of_reuse_have_names_in_events() {
    assert_eq!(Reuse::Superseded.as_str(), "superseded");
    assert_eq!(Reuse::Late.as_str(), "late");
    assert_eq!(Reuse::Diverged.as_str(), "diverged");
}

#[test]
fn a_damaged_seal_is_an_error_and_not_another_token() {
    let mut chain = Chain::rotated_at(&[1, 2]);
    if let Some(superseded) = &mut chain.session.superseded[0] {
        let mut bytes = *superseded.sealed_successor.as_bytes();
        bytes[20] ^= 1;
        superseded.sealed_successor = SealedSecret::from_bytes(bytes);
    }
    assert!(walk(&chain.tokens[0], &chain.session).is_err());
}

proptest! {
    /// Whatever the pace, at most four rotations fit into a window. A token superseded within the
    /// window leads to the live one, and every older one is theft.
    #[test]
    fn recent_is_safe_and_old_is_theft_at_any_pace(pauses in prop::collection::vec(0..40_000_u64, 1..30)) {
        let mut chain = Chain::start();
        let mut superseded_at = Vec::new();
        let mut now = START;
        for pause in pauses {
            now = now.plus(Duration::from_millis(pause));
            let live = chain.tokens.len() - 1;
            if chain.decide(live, now) == Decision::Rotate {
                chain.rotate(now);
                superseded_at.push(now);
            }
            for (generation, at) in superseded_at.iter().enumerate() {
                if now < at.plus(WINDOW) {
                    prop_assert_eq!(chain.decide(generation, now), Decision::AnswerSuccessor);
                    let walked = walk(&chain.tokens[generation], &chain.session).unwrap();
                    prop_assert_eq!(walked.hash(), chain.session.token_hash);
                } else {
                    prop_assert_eq!(chain.decide(generation, now), Decision::Theft(Reuse::Superseded));
                }
            }
        }
    }
}

const OWN: Thumbprint = Thumbprint::from_bytes([1; 32]);
const OTHER: Thumbprint = Thumbprint::from_bytes([2; 32]);

/// The decision about a token of a session that is bound to [`OWN`].
fn decide_bound(
    chain: &Chain,
    generation: usize,
    now: UnixMillis,
    key: Option<Thumbprint>,
) -> Decision {
    let session = Session { jkt: Some(OWN), ..chain.session.clone() };
    let presented = Presented::from(&chain.tokens[generation]).with_key(key);
    decide(&presented, "another", Some(&session), now, &POLICY)
}

#[test]
fn in_a_bound_session_every_token_leads_the_owner_of_the_key_to_the_live_one() {
    let chain = Chain::rotated_at(&[1, 100, 200, 300, 400, 500, 501, 502, 503]);
    for generation in 0..9 {
        assert_eq!(decide_bound(&chain, generation, after(504), Some(OWN)), Decision::AnswerOwner);
    }
    // A table that was restored from a backup has not reached the token's generation.
    let restored = Chain { session: Chain::rotated_at(&[1]).session, tokens: chain.tokens };
    assert_eq!(decide_bound(&restored, 9, after(504), Some(OWN)), Decision::AnswerOwner);
    let chain = Chain::rotated_at(&[1, 100, 200, 300, 400, 500, 501, 502, 503]);
    assert_eq!(decide_bound(&chain, 9, after(504), Some(OWN)), Decision::AnswerLive);
    assert_eq!(decide_bound(&chain, 9, after(600), Some(OWN)), Decision::Rotate);
}

#[test]
fn in_a_bound_session_no_token_does_anything_without_the_key() {
    let chain = Chain::rotated_at(&[1, 100, 200, 300, 400, 500]);
    for key in [None, Some(OTHER)] {
        for generation in 0..=6 {
            let decision = decide_bound(&chain, generation, after(501), key);
            assert_eq!(decision, Decision::Refuse(Refusal::Unproven), "{generation} {key:?}");
        }
    }
}

#[test]
fn the_live_secret_of_a_bound_session_follows_from_its_tag_key() {
    let (key, other) = (TagKey::new(&[7; 32]), TagKey::new(&[8; 32]));
    let mut chain = Chain::rotated_at(&[1, 2]);
    let Session { user_id, session_id, .. } = chain.session;
    let next = bound_secret(&key, user_id, session_id, 3);
    let live = &chain.tokens[2];
    let rotation = Rotation::prepare(live, &next, [7; 12], after(3), &POLICY, origin()).unwrap();
    chain.session = chain.session.rotated(&rotation);
    let lead = |keys: &[&TagKey]| {
        live_secret(&chain.session, keys.iter().copied()).map(|secret| secret.hash())
    };
    assert_eq!(lead(&[&other, &key]), Some(next.hash()));
    assert_eq!(lead(&[&other]), None);
}
