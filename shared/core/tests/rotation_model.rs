//! The rotation, explored: every order in which three clients and a thief can refresh one session.
//!
//! The transition function is the production decision table, the production rotation and the
//! production walk; see `rotation_model/service.rs`. Time and the number of rotations are without
//! bound; the retry window is two ticks and a request is up to one tick late. The deliberately
//! broken variants show that the model would notice.
//!
//! A second model has the ends of sessions in flight; see `rotation_model/ends.rs`. Late recovery and
//! sessions that are bound to a key have models of their own.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure ends the test"
)]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "that a state is small is no promise")]

mod rotation_model {
    pub mod accounts;
    pub mod bound;
    pub mod chain;
    pub mod ends;
    pub mod late;
    pub mod mutation;
    pub mod promises;
    pub mod service;
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::{Checker, Model, Property};

use rotation_model::{
    accounts::{Accounts, Mistake, end_all},
    bound::{self, Bound},
    chain::Chain,
    ends::{Ends, Request},
    late::{Fault, Late, Parties},
    mutation::Mutation,
    service::{Outcome, Service},
};

/// Retry window and longest delay of a request, in ticks.
const BOUND: (u8, u8) = (2, 1);

fn chain(mutation: Option<Mutation>) -> Chain {
    let (window, lag) = BOUND;
    Chain { service: Service::new(window, lag, mutation) }
}

#[test]
fn whatever_the_order_every_promise_is_kept() {
    let checker = chain(None).checker().threads(2).spawn_dfs().join();
    checker.assert_properties();
    let (window, lag) = BOUND;
    println!(
        "{} states, {} transitions, exhaustively; window {window} ticks, requests up to {lag} late",
        checker.unique_state_count(),
        checker.state_count(),
    );
    let service = &checker.model().service;
    for outcome in Outcome::ALL {
        println!("{outcome:?}: {}", service.count(outcome));
        let bad = matches!(outcome, Outcome::Forked | Outcome::Astray);
        assert_eq!(service.count(outcome) == 0, bad, "{outcome:?}");
    }
}

#[test]
fn every_broken_variant_is_noticed() {
    for mutation in Mutation::ALL {
        println!("{mutation:?}: {}", noticed(mutation));
    }
}

/// The promise that a broken variant was caught at.
fn noticed(mutation: Mutation) -> &'static str {
    // Breadth first, and only until something is found. A variant may also break what the model
    // itself relies on, which is another way of being noticed.
    let checker = catch_unwind(AssertUnwindSafe(|| {
        chain(Some(mutation))
            .checker()
            .target_max_depth(12)
            .finish_when(stateright::HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join()
    }));
    let Ok(checker) = checker else { return "a panic" };
    let promises: Vec<Property<Chain>> = checker.model().properties();
    let caught = promises
        .iter()
        .filter(|promise| matches!(promise.expectation, stateright::Expectation::Always))
        .find(|promise| checker.discovery(promise.name).is_some());
    caught.unwrap_or_else(|| panic!("{mutation:?} is not noticed")).name
}

const EVERY_PARTIES: [Parties; 3] = [Parties::Owner, Parties::Same, Parties::Other];

#[test]
fn late_recovery_refuses_nobody_too_early_and_lets_nobody_share_a_chain() {
    for parties in EVERY_PARTIES {
        let checker = Late { parties, fault: None }.checker().threads(2).spawn_dfs().join();
        checker.assert_properties();
        println!("{parties:?}: {} states, exhaustively", checker.unique_state_count());
    }
}

#[test]
fn every_fault_of_late_recovery_is_noticed() {
    for fault in Fault::ALL {
        let noticed = EVERY_PARTIES.into_iter().find_map(|parties| {
            let checker = Late { parties, fault: Some(fault) }
                .checker()
                .finish_when(stateright::HasDiscoveries::AnyFailures)
                .spawn_bfs()
                .join();
            let promises = checker.model().properties().into_iter();
            promises
                .filter(|promise| matches!(promise.expectation, stateright::Expectation::Always))
                .find(|promise| checker.discovery(promise.name).is_some())
                .map(|promise| promise.name)
        });
        println!("{fault:?}: {}", noticed.unwrap_or_else(|| panic!("{fault:?} is not noticed")));
    }
}

#[test]
fn a_thief_without_the_key_changes_nothing_and_its_owner_is_never_refused() {
    let checker = Bound { fault: None }.checker().threads(2).spawn_dfs().join();
    checker.assert_properties();
    println!("{} states, exhaustively", checker.unique_state_count());
}

#[test]
fn every_fault_about_keys_is_noticed() {
    for fault in bound::Fault::ALL {
        let checker = Bound { fault: Some(fault) }
            .checker()
            .finish_when(stateright::HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let promises = checker.model().properties().into_iter();
        let noticed = promises
            .filter(|promise| matches!(promise.expectation, stateright::Expectation::Always))
            .find(|promise| checker.discovery(promise.name).is_some());
        println!(
            "{fault:?}: {}",
            noticed.unwrap_or_else(|| panic!("{fault:?} is not noticed")).name
        );
    }
}

/// What is in flight together. Two refreshes are one too many for a lost answer, a duplicate and a
/// slow one; the two log-outs-everywhere have clocks that disagree.
fn scenarios() -> [(&'static str, Vec<Request>); 3] {
    let (ahead, behind) = (Request::EndAll(end_all(2, true)), Request::EndAll(end_all(1, false)));
    let (refresh, log_out, sign_in) = (Request::Refresh, Request::LogOut, Request::SignIn);
    [
        (
            "log-out, log-out-everywhere and three refreshes",
            vec![
                log_out.clone(),
                behind.clone(),
                refresh.clone(),
                refresh.clone(),
                refresh.clone(),
            ],
        ),
        (
            "two log-outs-everywhere, a sign-in and two refreshes",
            vec![ahead, behind.clone(), sign_in.clone(), refresh.clone(), refresh.clone()],
        ),
        (
            "log-out, log-out-everywhere, a sign-in and two refreshes",
            vec![log_out, behind, sign_in, refresh.clone(), refresh],
        ),
    ]
}

fn ends(mistake: Option<Mistake>, requests: Vec<Request>) -> Ends {
    Ends { accounts: Accounts { mistake }, requests }
}

#[test]
fn whatever_is_in_flight_what_has_been_ended_stays_ended_and_nothing_else_is() {
    for (scenario, requests) in scenarios() {
        let checker = ends(None, requests).checker().threads(2).spawn_dfs().join();
        println!("{scenario}: {} states, exhaustively", checker.unique_state_count());
        for promise in checker.model().properties() {
            let found = checker.discovery(promise.name);
            match promise.expectation {
                stateright::Expectation::Always => {
                    assert!(
                        found.is_none(),
                        "{}: {:?}",
                        promise.name,
                        found.map(stateright::Path::into_actions)
                    );
                }
                _ => assert!(found.is_some(), "never: {}", promise.name),
            }
        }
    }
}

#[test]
fn every_mistake_about_ends_is_noticed() {
    for mistake in Mistake::ALL {
        let noticed = scenarios().into_iter().find_map(|(_, requests)| {
            let checker = ends(Some(mistake), requests)
                .checker()
                .finish_when(stateright::HasDiscoveries::AnyFailures)
                .spawn_bfs()
                .join();
            let promises = checker.model().properties().into_iter();
            promises
                .filter(|promise| matches!(promise.expectation, stateright::Expectation::Always))
                .find(|promise| checker.discovery(promise.name).is_some())
                .map(|promise| promise.name)
        });
        println!(
            "{mistake:?}: {}",
            noticed.unwrap_or_else(|| panic!("{mistake:?} is not noticed"))
        );
    }
}
