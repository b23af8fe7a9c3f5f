//! Registrations that wait for the confirmation of one address.
//!
//! An address has one item. It says who has the address, or which registrations wait for it. What
//! waits takes nothing from anybody: others may register with the address, and whoever takes it at
//! once (an administrator's user, a confirmed change of address) may have it.
//!
//! Registrations that wait for an address at the same time belong to one *round*, which has the id of
//! the first of them as its name. The first confirmation gives the address to one user and so ends
//! the round: nobody can be confirmed whose round is over, also if the address is free again later.

use crate::{
    challenge::{Challenge, Judgement, Proof},
    email::EmailAddress,
    ids::UserId,
    time::UnixMillis,
};

/// How many of the registrations that wait for an address its item lists: the newest ones.
///
/// # Security
/// Older ones leave the list and no more: the link of their message works, and so does the code
/// together with the name. So nobody keeps the owner of an address out by registering often.
pub const LISTED: usize = 4;

/// Who has an address, or waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Address {
    /// Nobody.
    #[default]
    Free,
    /// This user has it, confirmed or not.
    Taken(UserId),
    /// Registrations wait for its confirmation.
    Awaited(Round),
}

/// The registrations that wait for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// The registration that opened the round.
    pub id: UserId,
    /// The newest registrations of the round, the newest one first.
    pub newest: [Option<UserId>; LISTED],
}

/// What a new registration may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It opens a round, or takes the address at once.
    First,
    /// It joins the round of this name.
    Joins(UserId),
    /// A user has the address.
    AddressTaken,
    /// A user has the name.
    NameTaken,
}

/// The part of an account that decides about its confirmation.
#[derive(Debug, Clone, Copy)]
pub struct Unconfirmed<'a> {
    /// Its address.
    pub email: &'a EmailAddress,
    /// Whether the address has been confirmed.
    pub confirmed: bool,
}

/// What becomes of a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The address is confirmed, if the account may still have it; the challenge becomes this one.
    Confirm(Challenge),
    /// The same proof confirmed it before.
    Done,
    /// The proof is worth nothing, or there is nothing to confirm.
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
    /// What a new registration may do. One that `waits` leaves the address alone until it is
    /// confirmed; another one takes it at once, also from a round.
    #[must_use]
    pub const fn admit(&self, waits: bool, is_name_free: bool) -> Admission {
        match self {
            Self::Taken(_) => Admission::AddressTaken,
            Self::Free | Self::Awaited(_) if !is_name_free => Admission::NameTaken,
            Self::Awaited(round) if waits => Admission::Joins(round.id),
            Self::Free | Self::Awaited(_) => Admission::First,
        }
    }

    /// Whether a user may be confirmed, or gets messages that confirm the address: `round` is the one
    /// that the registration belongs to, `None` if the user took the address at once.
    #[must_use]
    pub fn may_be_confirmed_by(&self, user: UserId, round: Option<UserId>) -> bool {
        match (self, round) {
            (Self::Awaited(awaited), Some(round)) => awaited.id == round,
            (Self::Taken(owner), None) => *owner == user,
            _ => false,
        }
    }

    /// Whether a registration of a round can no longer be confirmed. One that was confirmed meanwhile
    /// has the address itself.
    #[must_use]
    pub fn is_lost_for(&self, user: UserId, round: UserId) -> bool {
        *self != Self::Taken(user) && !self.may_be_confirmed_by(user, Some(round))
    }

    /// The users whom a code that was sent to the address may be for, the newest one first.
    #[must_use]
    pub fn users(&self) -> [Option<UserId>; LISTED] {
        match self {
            Self::Free => [None; LISTED],
            Self::Taken(user) => Round::open(*user).newest,
            Self::Awaited(round) => round.newest,
        }
    }
}

/// What becomes of a confirmation: an account and its challenge as they were read, and a proof.
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

/// Which of several challenges a code was sent for. `None` if it is none of them, or if it could be
/// two of them: a million codes are few, and a code must not confirm what it was not sent for.
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
