//! What calls cost: the units that DynamoDB bills, counted. docs/cost.md computes with them.

use estimates::calls::{AUTHENTICATE, Call, REFRESH, USERS};
use local::stack::StackOptions;

use crate::support::{World, recorder::Tally, run, world::cheap};

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];

fn assert_units(tally: &Tally, call: &Call) {
    let (mut writes, mut reads) = (0.0, 0.0);
    let counted = tally.take();
    for ((_, operation), units) in &counted {
        if WRITES.contains(&operation.as_str()) { writes += units } else { reads += units }
    }
    assert!(!counted.is_empty());
    assert!(
        (writes - call.write_units).abs() < 1e-9 && (reads - call.read_units).abs() < 1e-9,
        "{}: {counted:?}, and estimates/src/calls.rs says {call:?}",
        call.route
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
        let world = World::recorded(cheap(options), tally.clone()).await;
        let (person, first) = world.signed_in().await;
        tally.take();
        world.sign_in(&person).await;
        assert_units(&tally, &AUTHENTICATE);
        let next = world.api().refresh(&first.refresh).await.tokens();
        assert_units(&tally, &REFRESH);
        assert_eq!(world.api().get("/users", &next.access).await.status, 200);
        assert_units(&tally, &USERS);
        world.api().refresh("rt1_garbage").await;
        assert!(tally.take().is_empty(), "garbage is free");
    });
}
