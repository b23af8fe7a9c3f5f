//! Whether the time of an answer tells who has an account: asking for a new password with an address
//! that is known or unknown, and registering under a name and an address that are free or taken.

use std::sync::Arc;

use local::{
    services::{Data, Services},
    stack::{Stack, StackOptions},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{GOAL, WARM_UP, timed};
use crate::{
    Failure,
    report::{median_ratio, percentile},
};

/// Measures `pairs` of both and prints the medians and their ratio.
pub(super) async fn compare(services: &Arc<Services>, pairs: usize) -> Result<(), Failure> {
    // Tables whose stream is not read: in a deployment messages are sent on another machine.
    let data = Some(Data::create(services).await?);
    let services = Some(Arc::clone(services));
    let options = StackOptions { concurrency: 1, services, data, ..StackOptions::default() };
    // All of it comes from one network here.
    let options = options.with("RATCHET_NETWORK_FREE_FAILURES", 1_000_000);
    let stack = Stack::start(options).await?;
    let http = Client::new();
    let register = Pair {
        path: "/users",
        kinds: ["free name and address", "taken"],
        body: |number| person(&format!("user-{number:06}")),
    };
    register.compare(&http, &stack, pairs).await?;
    let reset = Pair {
        path: "/users/password-reset",
        kinds: ["unknown address", "known"],
        body: |number| json!({"email": format!("{}-{number:06}@example.com", owner(number))}),
    };
    reset.compare(&http, &stack, pairs).await?;
    stack.stop().await?;
    Ok(())
}

/// Only the first one belongs to a user, who registered first.
const fn owner(number: usize) -> &'static str {
    if number == 0 { "user" } else { "none" }
}

fn person(name: &str) -> Value {
    let email = format!("{name}@example.com");
    json!({"name": name, "email": email, "password": "seven words that nobody has guessed"})
}

/// Two requests that must not differ: number 0 is of somebody who is known from the first turn on.
struct Pair {
    path: &'static str,
    kinds: [&'static str; 2],
    body: fn(usize) -> Value,
}

impl Pair {
    async fn compare(&self, http: &Client, stack: &Stack, pairs: usize) -> Result<(), Failure> {
        let url = format!("{}{}", stack.base_url(), self.path);
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        for pair in 0..WARM_UP + pairs {
            if pair == WARM_UP {
                unknown.clear();
                known.clear();
            }
            // The second one may find warm caches, so both are second equally often.
            for turn in [pair % 2 == 0, pair % 2 != 0] {
                let (number, samples) =
                    if turn { (pair + 1, &mut unknown) } else { (0, &mut known) };
                let request = http.post(&url).json(&(self.body)(number));
                samples.push(timed(request, StatusCode::ACCEPTED).await?);
            }
        }
        // Of neighbours in time: a machine that slows down slows both.
        let ratio = median_ratio(&known, &unknown);
        let met = if (ratio - 1.0).abs() * 100.0 <= GOAL { "met" } else { "missed" };
        let (unknown, known) = (percentile(unknown, 50), percentile(known, 50));
        let [first, second] = self.kinds;
        println!(
            "{}: {pairs} pairs: {first} {unknown:.2?}, {second} {known:.2?}; ratio {ratio:.3} \
             (goal 1 ± {GOAL} %: {met})",
            self.path
        );
        Ok(())
    }
}
