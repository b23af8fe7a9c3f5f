//! Histories of many concurrent clients, checked against the sequential specification.
//!
//! The handlers of the functions run in this process, hundreds at a time, against DynamoDB Local.
//! The start and end of every operation are recorded. Afterwards the history is checked against
//! what a single server that handles one request at a time could have answered. The soak test records
//! such histories over HTTP.

pub(crate) mod check;
pub(crate) mod clients;
pub(crate) mod service;

use std::sync::Arc;

use crate::support::{World, run_apart};
use clients::Scenario;
use service::Service;

fn history(clients: usize) {
    run_apart(async move {
        let world = World::shared().await;
        let service = Arc::new(Service::here(world).await);
        let seed = 0x5eed + u64::try_from(clients).unwrap();
        let sessions = clients.div_ceil(8);
        let scenario = Scenario { clients, rounds: 100, sessions, seed, pauses: false };
        let history = clients::play(world, &service, scenario).await;
        let summary = check::check(world, &service, &history).await;
        assert!(summary.has_rotations(), "nothing was tried: {summary}");
        eprintln!("{clients} clients × 100 rounds: {summary}");
    });
}

#[test]
fn two_clients_make_a_history_that_a_single_server_could_have_made() {
    history(2);
}

#[test]
fn ten_clients_make_a_history_that_a_single_server_could_have_made() {
    history(10);
}

#[test]
fn fifty_clients_make_a_history_that_a_single_server_could_have_made() {
    history(50);
}

#[test]
fn two_hundred_clients_make_a_history_that_a_single_server_could_have_made() {
    history(200);
}
