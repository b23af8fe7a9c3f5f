use super::*;

const NOW: UnixSeconds = UnixSeconds::new(100_000);

const TIMES: Times = Times {
    lead: Duration::from_secs(1_000),
    life: Duration::from_secs(300),
    kept: Duration::from_secs(5_000),
    max_ended: 3,
};

fn life(not_before: u64, expires_at: Option<u64>) -> KeyLife {
    KeyLife {
        issued_at: None,
        not_before: UnixSeconds::new(not_before),
        expires_at: expires_at.map(UnixSeconds::new),
    }
}

fn keys(lives: &[(u64, Option<u64>)]) -> Vec<KeyState> {
    let lives = lives.iter().map(|(begin, end)| life(*begin, *end));
    lives.map(|life| KeyState { life, is_usable: true }).collect()
}

/// Positions, beginnings and ends after a change; a created key has no position.
fn planned(lives: &[(u64, Option<u64>)], change: Change) -> Vec<(Option<usize>, u64, Option<u64>)> {
    let line = plan(&keys(lives), change, &TIMES, NOW);
    assert_eq!(first_gap(line.iter().map(|key| key.life)), None, "{line:?}");
    line.iter()
        .map(|key| {
            let end = key.life.expires_at.map(UnixSeconds::get);
            (key.position, key.life.not_before.get(), end)
        })
        .collect()
}

/// When a key ends whose successor begins at `begin`.
#[expect(clippy::unnecessary_wraps, reason = "lives have it so")]
const fn end(begin: u64) -> Option<u64> {
    Some(begin + 300 + 1_000 + 300)
}

#[test]
fn a_successor_is_created_and_the_signer_ends_after_it_began() {
    let after = planned(&[(0, None)], Change::Succeed);
    assert_eq!(after, [(Some(0), 0, end(101_000)), (None, 101_000, None)]);
}

#[test]
fn a_key_that_waits_is_the_successor() {
    let before = [(0, end(100_500)), (100_500, None)];
    let unchanged = [(Some(0), 0, end(100_500)), (Some(1), 100_500, None)];
    assert_eq!(planned(&before, Change::Succeed), unchanged);
    assert_eq!(planned(&before, Change::Mend), unchanged);
    let now = planned(&before, Change::SucceedNow);
    assert_eq!(now, [(Some(0), 0, end(100_500)), (Some(1), 100_000, None)], "no end is lowered");
}

#[test]
fn a_key_that_waits_by_a_longer_lead_stays_and_one_that_waits_for_years_begins_earlier() {
    let after = planned(&[(0, end(190_000)), (190_000, None)], Change::Succeed);
    assert_eq!(after, [(Some(0), 0, end(190_000)), (Some(1), 190_000, None)]);
    let after = planned(&[(0, end(900_000)), (900_000, None)], Change::Succeed);
    assert_eq!(after, [(Some(0), 0, end(900_000)), (Some(1), 101_000, None)]);
}

#[test]
fn a_waiting_key_of_another_algorithm_is_replaced_and_still_verifies() {
    let mut keys = keys(&[(0, end(100_500)), (100_500, None)]);
    keys[1].is_usable = false;
    let line = plan(&keys, Change::Succeed, &TIMES, NOW);
    let lives: Vec<_> = line.iter().map(|key| (key.position, key.life.not_before.get())).collect();
    assert_eq!(lives, [(Some(0), 0), (Some(1), 100_500), (None, 101_000)]);
    let line = plan(&keys, Change::SucceedNow, &TIMES, NOW);
    let lives: Vec<_> = line.iter().map(|key| (key.position, key.life.not_before.get())).collect();
    assert_eq!(lives, [(Some(0), 0), (Some(1), 100_000), (None, 100_000)], "the last one signs");
}

#[test]
fn the_successor_of_a_removed_signer_takes_its_place() {
    let before = [(0, end(99_000)), (99_000, end(100_500)), (100_500, None)];
    let after = planned(&before, Change::Remove(1));
    assert_eq!(after, [(Some(0), 0, end(99_000)), (Some(2), 99_000, None)]);
    let after = planned(&[(0, None)], Change::Remove(0));
    assert_eq!(after, [(None, 0, None)]);
}

#[test]
fn the_signer_lasts_until_another_key_follows_a_removed_one_that_waited() {
    let after = planned(&[(0, end(100_500)), (100_500, None)], Change::Remove(1));
    assert_eq!(after, [(Some(0), 0, end(101_000)), (None, 101_000, None)]);
}

#[test]
fn of_two_keys_that_wait_the_other_one_stays_as_it_is() {
    let before = [(0, end(100_100)), (100_100, end(100_900)), (100_900, None)];
    let after = planned(&before, Change::Remove(1));
    assert_eq!(after, [(Some(0), 0, end(100_900)), (Some(2), 100_900, None)]);
}

#[test]
fn a_removed_key_that_only_verified_has_no_successor() {
    let before = [(0, end(99_000)), (99_000, None)];
    assert_eq!(planned(&before, Change::Remove(0)), [(Some(1), 0, None)]);
}

#[test]
fn where_nothing_signs_the_next_key_begins_where_the_last_one_ended() {
    for change in [Change::Mend, Change::Succeed, Change::SucceedNow] {
        let after = planned(&[(0, Some(98_000)), (190_000, None)], change);
        assert_eq!(after, [(Some(0), 0, Some(98_000)), (Some(1), 98_000, None)], "{change:?}");
        let after = planned(&[(0, Some(98_000))], change);
        assert_eq!(after, [(Some(0), 0, Some(98_000)), (None, 98_000, None)], "{change:?}");
        assert_eq!(planned(&[], change), [(None, 0, None)], "{change:?}");
    }
}

#[test]
fn a_key_that_ended_before_an_older_one_is_not_revived() {
    let after = planned(&[(0, Some(100_500)), (50_000, Some(98_000))], Change::Succeed);
    assert_eq!(
        after,
        [(Some(0), 0, end(101_000)), (Some(1), 50_000, Some(98_000)), (None, 101_000, None)]
    );
}

#[test]
fn ended_keys_are_kept_for_a_while_and_not_more_than_a_few() {
    let ended = |end| (0, Some(end));
    let after = planned(&[ended(94_700), ended(94_701), (1, None)], Change::Mend);
    assert_eq!(after.len(), 2, "the tolerance for clocks included: {after:?}");
    let many = [ended(97_000), ended(97_100), ended(97_200), ended(97_300), (1, None)];
    let kept: Vec<_> = planned(&many, Change::Mend).iter().map(|key| key.0).collect();
    assert_eq!(kept, [Some(1), Some(2), Some(3), Some(4)], "the oldest goes");
}

#[test]
fn keys_that_begin_together_may_sign_until_a_later_one_does() {
    let after = planned(&[(0, None), (0, None)], Change::Succeed);
    assert_eq!(
        after,
        [(Some(0), 0, end(101_000)), (Some(1), 0, end(101_000)), (None, 101_000, None)]
    );
    assert_eq!(planned(&[(0, None), (0, None)], Change::Mend)[0], (Some(0), 0, end(100_000)));
}

#[test]
fn a_key_without_an_end_may_have_signed_until_now() {
    let after = planned(&[(0, None), (50_000, None)], Change::Mend);
    assert_eq!(after, [(Some(0), 0, end(100_000)), (Some(1), 50_000, None)]);
}

#[test]
fn gaps_are_found_at_the_beginning_between_and_at_the_end() {
    let gap = |lives: &[(u64, Option<u64>)]| {
        first_gap(lives.iter().map(|(begin, end)| life(*begin, *end))).map(UnixSeconds::get)
    };
    assert_eq!(gap(&[(0, None)]), None);
    assert_eq!(gap(&[]), Some(0));
    assert_eq!(gap(&[(5, None)]), Some(0));
    assert_eq!(gap(&[(0, Some(10)), (11, None)]), Some(10));
    assert_eq!(gap(&[(10, None), (0, Some(10))]), None);
    assert_eq!(gap(&[(0, Some(10)), (5, Some(20))]), Some(20));
}
