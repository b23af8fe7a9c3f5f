//! What the service promises, said without its decision table: by what the model knows about when
//! each generation was superseded, and not by what the item remembers.

use ratchet_core::session::RevocationReason;

use super::service::{Item, Outcome, Service, Token};

/// A promise of DESIGN.md that was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A session has exactly one live token, and every answer carries it.
    OneChain,
    /// A recent token leads to the live one, and ends nothing.
    RecentIsSafe,
    /// An old token ends the session, for every token.
    OldIsTheft,
    /// Nothing comes out of a session after its end has been answered.
    DeadStaysDead,
}

/// How old a token is for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Live, or superseded less than the window ago by every clock that counts: the request's, and
    /// that of each rotation since.
    Recent,
    /// Recent when the request read its clock, but a rotation that was written before the request
    /// came through had already seen it a window old.
    Overtaken,
    /// Superseded a window ago or longer.
    Old,
}

/// How old `token` is for a request that read its clock `lag` ticks ago.
pub fn standing(service: &Service, item: &Item, token: Token, lag: u8) -> Standing {
    if token == 0 {
        return Standing::Recent;
    }
    let Some(age) = item.age(token).filter(|age| *age < service.old()) else {
        return Standing::Old;
    };
    let since = item.ages.iter().take(usize::from(token)).copied().min().unwrap_or(age);
    if age.saturating_sub(lag) >= service.window {
        Standing::Old
    } else if age - since >= service.window {
        Standing::Overtaken
    } else {
        Standing::Recent
    }
}

/// Judges what became of `token`, presented to `item`. A request that was overtaken may be told
/// either: by the time its write came through, its token was a window old.
pub fn judge(
    service: &Service,
    item: &Item,
    (token, lag): (Token, u8),
    outcome: Outcome,
) -> Option<Broken> {
    if matches!(outcome, Outcome::Forked | Outcome::Astray) {
        return Some(Broken::OneChain);
    }
    match item.revoked {
        Some(_) if outcome == Outcome::Refused => return None,
        Some(RevocationReason::ReuseDetected) => return Some(Broken::OldIsTheft),
        Some(_) => return Some(Broken::DeadStaysDead),
        None => {}
    }
    let answered = matches!(outcome, Outcome::Rotated | Outcome::AnsweredLive | Outcome::Walked);
    match standing(service, item, token, lag) {
        Standing::Overtaken if outcome == Outcome::Theft => None,
        Standing::Recent | Standing::Overtaken => (!answered).then_some(Broken::RecentIsSafe),
        Standing::Old => (outcome != Outcome::Theft).then_some(Broken::OldIsTheft),
    }
}
