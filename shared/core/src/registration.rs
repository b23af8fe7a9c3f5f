//! Registrations that wait for the confirmation of one address.
//!
//! Each address has one item, which names the user who owns the address or the registrations that
//! wait for it. A waiting registration does not reserve the address: others may register with it
//! too, and an administrator's new user or a confirmed change of address may take it at once.
//!
//! Registrations that wait for an address at the same time form a *round*, identified by the first
//! of them. The first confirmation gives the address to one user and ends the round. The other
//! registrations of that round can then never be confirmed, even if the address becomes free again.

use crate::{
    challenge::{Challenge, Judgement, Proof},
    email::EmailAddress,
    ids::UserId,
    time::UnixMillis,
};

/// How many waiting registrations the item of an address lists. The newest ones are kept.
///
/// # Security
/// A registration that drops off the list can still be confirmed, by the link in its message or by
/// the code together with the name. A stranger therefore cannot keep the owner of an address out by
/// registering many times.
pub const LISTED: usize = 4;

/// Who owns an address, or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Address {
    /// No user owns it, and no registration waits for it.
    #[default]
    Free,
    /// This user owns it, confirmed or not.
    Taken(UserId),
    /// Registrations wait for its confirmation.
    Awaited(Round),
}

/// The registrations that wait for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// The registration that opened the round.
    pub id: UserId,
    /// The newest registrations of the round, newest first.
    pub newest: [Option<UserId>; LISTED],
}

/// What a new registration may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It opens a round, or takes the address at once.
    First,
    /// It joins the round with this id.
    Joins(UserId),
    /// A user has the address.
    AddressTaken,
    /// A user has the name.
    NameTaken,
}

/// The parts of an account that matter for its confirmation.
#[derive(Debug, Clone, Copy)]
pub struct Unconfirmed<'a> {
    /// Its address.
    pub email: &'a EmailAddress,
    /// Whether the address has been confirmed.
    pub confirmed: bool,
}

/// The result of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The address may be confirmed, if the account may still have it. This challenge replaces the
    /// one that was read.
    Confirm(Challenge),
    /// The same proof confirmed it before.
    Done,
    /// The proof is invalid, or there is nothing to confirm.
    Refused,
}

impl Round {
    /// A round with its first registration.
    #[must_use]
    pub const fn open(first: UserId) -> Self {
        let mut newest = [None; LISTED];
        newest[0] = Some(first);
        Self { id: first, newest }
    }

    /// The round with one more registration.
    #[must_use]
    pub fn join(mut self, user: UserId) -> Self {
        self.newest.rotate_right(1);
        if let Some(first) = self.newest.first_mut() {
            *first = Some(user);
        }
        self
    }
}

impl Address {
    /// What a new registration may do. If it `waits`, it leaves the address alone until it is
    /// confirmed. Otherwise it takes the address at once, even if a round waits for it.
    #[must_use]
    pub const fn admit(&self, waits: bool, is_name_free: bool) -> Admission {
        match self {
            Self::Taken(_) => Admission::AddressTaken,
            Self::Free | Self::Awaited(_) if !is_name_free => Admission::NameTaken,
            Self::Awaited(round) if waits => Admission::Joins(round.id),
            Self::Free | Self::Awaited(_) => Admission::First,
        }
    }

    /// Whether a user may confirm the address, and so may receive messages that do. `round` is the
    /// round of the registration; `None` if the user took the address at once.
    #[must_use]
    pub fn may_be_confirmed_by(&self, user: UserId, round: Option<UserId>) -> bool {
        match (self, round) {
            (Self::Awaited(awaited), Some(round)) => awaited.id == round,
            (Self::Taken(owner), None) => *owner == user,
            _ => false,
        }
    }

    /// Whether a registration of a round can no longer be confirmed. `false` if it was confirmed
    /// meanwhile: it then owns the address.
    #[must_use]
    pub fn is_lost_for(&self, user: UserId, round: UserId) -> bool {
        *self != Self::Taken(user) && !self.may_be_confirmed_by(user, Some(round))
    }

    /// The users for whom a code may have been sent to the address, newest first.
    #[must_use]
    pub fn users(&self) -> [Option<UserId>; LISTED] {
        match self {
            Self::Free => [None; LISTED],
            Self::Taken(user) => Round::open(*user).newest,
            Self::Awaited(round) => round.newest,
        }
    }
}

/// Decides about a confirmation from the account and its challenge as they were read.
#[must_use]
pub fn confirm(
    account: Option<Unconfirmed<'_>>,
    challenge: Option<&Challenge>,
    proof: &Proof,
    now: UnixMillis,
) -> Confirmation {
    let (Some(account), Some(challenge)) = (account, challenge) else {
        return Confirmation::Refused;
    };
    if challenge.email.as_ref() != Some(account.email) {
        return Confirmation::Refused;
    }
    match challenge.judge(proof, now) {
        Judgement::Meets(met) => Confirmation::Confirm(met),
        Judgement::MetBefore if account.confirmed => Confirmation::Done,
        Judgement::MetBefore | Judgement::Invalid => Confirmation::Refused,
    }
}

/// The one challenge that a code was sent for. `None` if no challenge has the code, or if several
/// do: with only a million codes two may be equal, and a code must not confirm another
/// registration.
#[must_use]
pub fn sent_for(judged: &[Judgement]) -> Option<usize> {
    let only = |is: fn(&Judgement) -> bool| {
        let mut found = judged.iter().enumerate().filter(|(_, judgement)| is(judgement));
        found.next().filter(|_| found.next().is_none()).map(|(place, _)| place)
    };
    let meets = |judgement: &Judgement| matches!(judgement, Judgement::Meets(_));
    if judged.iter().any(meets) {
        return only(meets);
    }
    only(|judgement| *judgement == Judgement::MetBefore)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u8) -> UserId {
        UserId::from_bytes([number; 16])
    }

    #[test]
    fn a_round_lists_its_newest_registrations() {
        let round = (2..=6).fold(Round::open(user(1)), |round, number| round.join(user(number)));
        assert_eq!(round.id, user(1));
        assert_eq!(round.newest, [6, 5, 4, 3].map(|number| Some(user(number))));
    }

    #[test]
    fn who_waits_keeps_nobody_from_an_address_and_who_has_it_keeps_everybody() {
        let awaited = Address::Awaited(Round::open(user(1)));
        let admitted = |address: Address| {
            [(true, true), (false, true), (true, false), (false, false)]
                .map(|(waits, is_name_free)| address.admit(waits, is_name_free))
        };
        let (first, taken) = (Admission::First, Admission::NameTaken);
        assert_eq!(admitted(Address::Free), [first, first, taken, taken]);
        assert_eq!(admitted(awaited), [Admission::Joins(user(1)), first, taken, taken]);
        assert_eq!(admitted(Address::Taken(user(1))), [Admission::AddressTaken; 4]);
    }

    #[test]
    fn a_registration_is_confirmed_in_its_round_only_and_a_user_with_the_address_they_have() {
        let awaited = Address::Awaited(Round::open(user(1)).join(user(2)));
        let taken = Address::Taken(user(1));
        for (address, user_id, round, may) in [
            (awaited, user(1), Some(user(1)), true),
            (awaited, user(2), Some(user(1)), true),
            (awaited, user(2), Some(user(2)), false),
            (awaited, user(2), None, false),
            (taken, user(1), None, true),
            (taken, user(2), None, false),
            (taken, user(1), Some(user(1)), false),
            (taken, user(2), Some(user(1)), false),
            (Address::Free, user(1), Some(user(1)), false),
            (Address::Free, user(1), None, false),
        ] {
            assert_eq!(address.may_be_confirmed_by(user_id, round), may, "{address:?} {user_id}");
            if let Some(round) = round {
                let has_it = address == Address::Taken(user_id);
                assert_eq!(address.is_lost_for(user_id, round), !may && !has_it, "{address:?}");
            }
        }
    }

    #[test]
    fn a_code_that_two_challenges_have_was_sent_for_neither() {
        let meets = || Judgement::Meets(Challenge::default());
        let (before, no) = (|| Judgement::MetBefore, || Judgement::Invalid);
        for (judged, place) in [
            (vec![], None),
            (vec![no(), no()], None),
            (vec![no(), meets()], Some(1)),
            (vec![meets(), no(), meets()], None),
            (vec![before(), meets()], Some(1)),
            (vec![meets(), before(), meets()], None),
            (vec![no(), before()], Some(1)),
            (vec![before(), before()], None),
        ] {
            assert_eq!(sent_for(&judged), place, "{judged:?}");
        }
    }
}
