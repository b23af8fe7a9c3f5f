//! The rotation, explored: every order in which three clients and a thief can refresh one session.
//!
//! The transition function is the production decision table, the production rotation and the
//! production walk; see `rotation_model/service.rs`. Time and the number of rotations are without
//! bound; the retry window is two ticks and a request is up to one tick late. The deliberately
//! broken variants show that the model would notice.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test can not go on with ends it"
)]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "that a state is small is no promise")]

mod rotation_model {
    pub mod chain;
    pub mod mutation;
    pub mod promises;
    pub mod service;
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use stateright::{Checker, Model, Property};

use rotation_model::{
    chain::Chain,
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
