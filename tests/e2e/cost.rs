//! Counts what calls cost: the units that DynamoDB bills and the GB-seconds that Lambda bills.
//! docs/cost.md uses these numbers.

use std::collections::BTreeMap;

use estimates::calls::{AUTHENTICATE, Call, REFRESH, USERS};
use local::stack::StackOptions;
use ratchet_core::{custom_claims::CustomClaims, password::HashCost};
use serde_json::{Map, json};

use crate::support::{Answer, World, dpop::KeyClient, recorder::Tally, run, world::cheap};

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];

/// GB-ms of the last request of a function, with the memory in the template. The time depends on
/// this machine, so it is shown beside the estimate and not compared.
fn gb_milliseconds(world: &World, function: &str) -> f64 {
    let lines = world.metric_lines(function);
    let last = lines.iter().rfind(|line| line["requests"] == 1).expect("a request");
    let milliseconds = last["milliseconds"][0].as_f64().expect("its time");
    let template = world.stack().services().preparation().template();
    milliseconds * f64::from(template.functions[function].memory_mib) / 1024.0
}

/// The write and read units of these calls.
fn units(counted: &BTreeMap<(String, String), f64>) -> (f64, f64) {
    let (mut writes, mut reads) = (0.0, 0.0);
    for ((_, operation), units) in counted {
        if WRITES.contains(&operation.as_str()) { writes += units } else { reads += units }
    }
    (writes, reads)
}

fn assert_units(world: &World, tally: &Tally, function: &str, call: &Call) {
    let counted = tally.take();
    let (writes, reads) = units(&counted);
    assert!(!counted.is_empty());
    assert!(
        (writes - call.write_units).abs() < 1e-9 && (reads - call.read_units).abs() < 1e-9,
        "{}: {counted:?}, and tools/estimates/src/calls.rs says {call:?}",
        call.route
    );
    let here = gb_milliseconds(world, function);
    eprintln!(
        "{}: {writes} write units, {reads} read units, {here:.1} GB-ms here and {:.1} in the estimate",
        call.route,
        call.gb_milliseconds()
    );
}

#[test]
fn every_call_costs_the_units_that_the_estimates_say() {
    run(async {
        let tally = Tally::default();
        // Tables of its own: the list of users is as long as the page of the estimate.
        let services = World::shared().await.stack().services();
        let options = StackOptions {
            name: "cost".to_owned(),
            concurrency: 1,
            services: Some(std::sync::Arc::clone(services)),
            ..StackOptions::default()
        };
        // Hashes as they are deployed.
        let options = options
            .with("RATCHET_ARGON2_MEMORY_KIB", HashCost::DEFAULT.memory_kib)
            .with("RATCHET_ARGON2_ITERATIONS", HashCost::DEFAULT.iterations);
        let world = World::recorded(cheap(options), tally.clone()).await;
        let (person, first) = world.signed_in().await;
        tally.take();
        world.sign_in(&person).await;
        assert_units(&world, &tally, "authenticate", &AUTHENTICATE);
        let next = world.api().refresh(&first.refresh).await.tokens();
        assert_units(&world, &tally, "refresh", &REFRESH);
        assert_eq!(world.api().get("/users", &next.access).await.status, 200);
        assert_units(&world, &tally, "users", &USERS);
        world.api().refresh("rt1_garbage").await;
        assert!(tally.take().is_empty(), "garbage is free");

        // Custom claims are in the item that is read anyway.
        let longest = Map::from_iter([("a".to_owned(), "x".repeat(1_016).into())]);
        let claims = CustomClaims::new(longest).expect("the longest");
        let claimant = world.person_with(|new| new.user.claims = claims).await;
        // The first sign-in replaces the hash.
        let first = world.sign_in(&claimant).await;
        tally.take();
        world.sign_in(&claimant).await;
        assert_units(&world, &tally, "authenticate", &AUTHENTICATE);
        world.api().refresh(&first.refresh).await.tokens();
        assert_units(&world, &tally, "refresh", &REFRESH);

        // A session that is bound to a key costs the same, once the client has a nonce.
        let client = KeyClient::new(&world).await;
        let bound = client.sign_in(&person).await;
        tally.take();
        let next = client.refresh(&bound.refresh).await.tokens();
        assert_units(&world, &tally, "refresh", &REFRESH);
        // DynamoDB Local reports no units of a write whose condition does not hold. AWS bills one.
        client.api.refresh(&next.refresh).await;
        assert_eq!(
            units(&tally.take()),
            (0.0, 1.0),
            "the write's condition refuses a missing proof"
        );
        let garbage = client.api.request("POST", "/refresh").header("dpop", "garbage");
        Answer::of(garbage.json(&json!({"refresh_token": next.refresh}))).await;
        assert_eq!(units(&tally.take()), (0.0, 1.0), "a wrong proof costs a read");
        let unbound = world.sign_in(&person).await;
        tally.take();
        client.refresh(&unbound.refresh).await.tokens();
        assert_eq!(units(&tally.take()), (1.0, 1.0), "the user is read once");
        assert_eq!(client.get("/users", &next.access).await.status, 200);
        assert_units(&world, &tally, "users", &USERS);
    });
}
