use super::*;
use crate::{
    challenge::{LetterSecrets, Purpose},
    custom_claims::CustomClaims,
    ids::UserId,
    key_ring::TagKey,
    user::SessionsCut,
};

const LIFE: Duration = Duration::from_mins(30);

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new((1_780_000_000 + seconds) * 1_000)
}

fn email() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}

/// A letter that was written some seconds before or after the beginning.
fn letter_of(number: u8, seconds: i64) -> LetterId {
    let written_at = at(1_000).get().checked_add_signed((seconds - 1_000) * 1_000).unwrap();
    LetterId::generate(UnixMillis::new(written_at), &[number; 10])
}

/// One of the letters that were written before the beginning, in the order of their numbers.
fn letter(number: u8) -> LetterId {
    letter_of(number, i64::from(number) - 100)
}

fn hashes_under(key: u8, number: u8) -> Hashes {
    let key = TagKey::new(&[key; 32]);
    let user = UserId::from_bytes([3; 16]);
    LetterSecrets::derive(&key, letter(number), Purpose::ResetPassword, user).hashes(&key)
}

fn hashes(number: u8) -> Hashes {
    hashes_under(7, number)
}

fn token(number: u8) -> Proof {
    Proof::Token(hashes(number).token)
}

fn code(number: u8) -> Proof {
    Proof::Code(vec![hashes_under(9, number).code, hashes(number).code])
}

fn open(known: Option<&Challenge>, number: u8, now: u64) -> Challenge {
    let candidates = [hashes(number)];
    match Challenge::open(known, &email(), letter(number), &candidates, LIFE, at(now)) {
        Some(Opening::Write { challenge, .. }) => challenge,
        other => panic!("{other:?}"),
    }
}

fn met(challenge: &Challenge, proof: &Proof, now: u64) -> Challenge {
    match challenge.judge(proof, at(now)) {
        Judgement::Meets(met) => met,
        other => panic!("{other:?}"),
    }
}

fn is_good(challenge: &Challenge, proof: &Proof, now: u64) -> bool {
    matches!(challenge.judge(proof, at(now)), Judgement::Meets(_))
}

#[test]
fn every_token_has_its_own_end_however_often_others_are_requested() {
    let mut challenge = open(None, 1, 0);
    for number in 2..10 {
        challenge = open(Some(&challenge), number, u64::from(number) * 100);
    }
    assert!(is_good(&challenge, &token(1), 1_799) && !is_good(&challenge, &token(1), 1_800));
    assert!(is_good(&challenge, &token(9), 2_699) && !is_good(&challenge, &token(9), 2_700));
    assert_eq!(challenge.expires_at(), at(2_700).seconds());
}

#[test]
fn the_code_of_the_newest_letter_counts_whichever_was_opened_last() {
    let challenge = open(Some(&open(None, 2, 0)), 1, 1);
    assert!(is_good(&challenge, &code(2), 2));
    assert!(!is_good(&challenge, &code(1), 2));
    assert!(is_good(&challenge, &token(1), 2) && is_good(&challenge, &token(2), 2));
}

#[test]
fn a_letter_that_is_tried_again_keeps_its_secrets_and_those_of_others() {
    let first = open(Some(&open(None, 1, 0)), 2, 10);
    // The ring has another key by now.
    let candidates = [hashes_under(8, 1), hashes(1)];
    let again = Challenge::open(Some(&first), &email(), letter(1), &candidates, LIFE, at(100));
    let Some(Opening::Write { challenge, candidate: 1 }) = again else { panic!("{again:?}") };
    assert!(is_good(&challenge, &token(1), 1_899), "its own end begins anew");
    assert!(!is_good(&challenge, &token(2), 1_810), "and the other's does not");
    assert!(is_good(&challenge, &code(2), 200));
    assert_eq!(challenge.messages.len(), 2);
    // Without its former key the letter gets secrets that can be sent.
    let candidates = [hashes_under(8, 1)];
    let again = Challenge::open(Some(&first), &email(), letter(1), &candidates, LIFE, at(100));
    let Some(Opening::Write { challenge, candidate: 0 }) = again else { panic!("{again:?}") };
    assert!(is_good(&challenge, &Proof::Token(hashes_under(8, 1).token), 200));
    assert_eq!(Challenge::open(None, &email(), letter(1), &[], LIFE, at(0)), None);
}

#[test]
fn the_first_proof_uses_up_all_messages_and_is_recognised_when_it_comes_again() {
    let challenge = open(Some(&open(None, 1, 0)), 2, 10);
    for used in [token(1), token(2), code(2)] {
        let after = met(&challenge, &used, 20);
        for proof in [token(1), token(2), code(1), code(2)] {
            let expected = match (&proof, &used) {
                (Proof::Token(one), Proof::Token(other)) if one == other => Judgement::MetBefore,
                (Proof::Code(one), Proof::Code(other)) if one == other => Judgement::MetBefore,
                _ => Judgement::Invalid,
            };
            assert_eq!(after.judge(&proof, at(21)), expected, "{used:?}, then {proof:?}");
        }
    }
}

#[test]
fn a_used_proof_is_recognised_as_long_as_it_would_have_lived() {
    let after = met(&open(None, 1, 0), &token(1), 20);
    assert_eq!(after.judge(&token(1), at(1_799)), Judgement::MetBefore);
    assert_eq!(after.judge(&token(1), at(1_800)), Judgement::Invalid);
    assert_eq!(after.expires_at(), at(20).plus(Letter::LIFE).seconds(), "letters may come again");
}

#[test]
fn letters_from_before_a_proof_was_used_are_not_sent_again_and_later_ones_are_good() {
    let after = met(&open(None, 1, 0), &token(1), 20);
    for (early, now) in [(letter(1), 30), (letter(1), 100_000), (letter_of(2, 20), 30)] {
        let again = Challenge::open(Some(&after), &email(), early, &[hashes(1)], LIFE, at(now));
        assert_eq!(again, Some(Opening::UsedUp), "{now}");
    }
    let candidates = [hashes(3)];
    let other =
        Challenge::open(Some(&after), &email(), letter_of(3, 21), &candidates, LIFE, at(30));
    let Some(Opening::Write { challenge: other, .. }) = other else { panic!("{other:?}") };
    assert!(is_good(&other, &token(3), 31));
    assert_eq!(other.judge(&token(1), at(31)), Judgement::MetBefore);
    let last = met(&other, &token(3), 40);
    assert_eq!(last.judge(&token(1), at(41)), Judgement::Invalid, "another proof came after it");
}

#[test]
fn a_letter_by_a_clock_that_is_ahead_is_used_up_with_the_others() {
    let ahead = letter_of(3, 50);
    let opened = Challenge::open(None, &email(), ahead, &[hashes(3)], LIFE, at(10));
    let Some(Opening::Write { challenge, .. }) = opened else { panic!("{opened:?}") };
    for after in [met(&challenge, &token(3), 20), challenge.used_up(at(20))] {
        let again = Challenge::open(Some(&after), &email(), ahead, &[hashes(3)], LIFE, at(21));
        assert_eq!(again, Some(Opening::UsedUp));
    }
}

#[test]
fn messages_to_another_address_are_forgotten() {
    let moved = EmailAddress::parse("moved@example.com").unwrap();
    let before = met(&open(Some(&open(None, 1, 0)), 2, 0), &token(1), 1);
    for known in [open(None, 1, 0), before] {
        let (later, candidates) = (letter_of(3, 2), [hashes(3)]);
        let opened = Challenge::open(Some(&known), &moved, later, &candidates, LIFE, at(2));
        let Some(Opening::Write { challenge, .. }) = opened else { panic!("{opened:?}") };
        assert_eq!(challenge.email.as_ref(), Some(&moved));
        assert_eq!(challenge.used_up_to, known.used_up_to);
        assert_eq!(challenge.judge(&token(1), at(3)), Judgement::Invalid);
        assert!(is_good(&challenge, &token(3), 3));
    }
}

#[test]
fn a_further_message_replaces_the_oldest_other() {
    let mut challenge = open(None, 1, 0);
    for number in 2..=20 {
        challenge = open(Some(&challenge), number, 0);
    }
    assert_eq!(challenge.messages.len(), MAX_MESSAGES);
    assert!(!is_good(&challenge, &token(4), 1) && is_good(&challenge, &token(5), 1));
    let challenge = open(Some(&challenge), 1, 0);
    assert_eq!(challenge.messages.len(), MAX_MESSAGES);
    assert!(is_good(&challenge, &token(1), 1) && !is_good(&challenge, &token(5), 1));
}

fn ada(cut: Option<u64>) -> User {
    User {
        id: UserId::from_bytes([3; 16]),
        name: "Ada".to_owned(),
        status: UserStatus::Active,
        email_confirmed: true,
        second_factor: false,
        has_passkeys: false,
        roles: Vec::new(),
        claims: CustomClaims::default(),
        cut: cut.map(|at| SessionsCut { valid_after: UnixMillis::new(at), spared: None }),
    }
}

/// Adds a message that signs in, after this cut of the user's sessions.
fn open_after(cut: Option<u64>, known: Option<&Challenge>, number: u8) -> Option<Challenge> {
    let address = email();
    let to = Addressee { email: &address, cut_seen: Some(ada(cut).cut_seen()) };
    match Challenge::open(known, to, letter(number), &[hashes(number)], LIFE, at(0)) {
        Some(Opening::Write { challenge, .. }) => Some(challenge),
        Some(Opening::UsedUp) => None,
        None => panic!("there is a candidate"),
    }
}

#[test]
fn a_message_signs_in_an_active_user_with_this_confirmed_address_until_the_next_cut() {
    let challenge = open_after(Some(5), None, 1).unwrap();
    let judge = |user: &User, email: &EmailAddress| {
        [token(1), code(1)].map(|proof| challenge.judge_sign_in(user, email, &proof, at(1)))
    };
    assert!(matches!(judge(&ada(Some(5)), &email()), [Judgement::Meets(_), Judgement::Meets(_)]));
    let moved = EmailAddress::parse("moved@example.com").unwrap();
    for (user, address) in [
        (ada(Some(6)), email()),
        (ada(None), email()),
        (ada(Some(5)), moved),
        (User { status: UserStatus::Disabled, ..ada(Some(5)) }, email()),
        (User { email_confirmed: false, ..ada(Some(5)) }, email()),
    ] {
        assert_eq!(judge(&user, &address), [Judgement::Invalid, Judgement::Invalid], "{user:?}");
    }
    let unbound = open(None, 1, 0).judge_sign_in(&ada(None), &email(), &token(1), at(1));
    assert_eq!(unbound, Judgement::Invalid, "a message that does not sign in");
    let after = met(&challenge, &token(1), 1);
    let again = after.judge_sign_in(&ada(Some(6)), &email(), &token(1), at(2));
    assert_eq!(again, Judgement::MetBefore, "what it led to has ended, but it was used");
}

#[test]
fn a_cut_ends_the_messages_from_before_it_and_their_letters_are_not_sent_again() {
    let before = open_after(Some(5), open_after(Some(5), None, 1).as_ref(), 3).unwrap();
    assert_eq!(before.messages.len(), 2);
    for tried in 1..=3 {
        assert_eq!(open_after(Some(6), Some(&before), tried), None, "letter {tried}");
    }
    let after = open_after(Some(6), Some(&before), 4).unwrap();
    assert!(is_good(&after, &token(4), 1) && !is_good(&after, &token(3), 1));
    for tried in 1..=3 {
        assert_eq!(open_after(Some(6), Some(&after), tried), None, "letter {tried}, later");
    }
    assert_eq!(open_after(Some(5), Some(&after), 5), None, "by a mailer that read an earlier cut");
    assert!(open_after(Some(6), Some(&after), 5).is_some());
}
