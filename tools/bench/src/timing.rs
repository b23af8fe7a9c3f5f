//! `--timing`: whether the time of an answer tells who exists.
//!
//! An unknown name and a wrong password, in turns and in both orders, over HTTP against the local
//! stack, at the cost of a hash that the template deploys.

mod accounts;

use std::{sync::Arc, time::Duration};

use local::{
    demo_users::{self, ADA},
    progress::Progress,
    services::{Preparation, Services},
    stack::{Stack, StackOptions},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use crate::{Failure, clock, report::percentile};

/// The most that the medians may differ by, in per cent of the lesser.
const GOAL: f64 = 2.0;

const WRONG: &str = "not the password";

/// Pairs that are not counted: connections, caches, the first memory of a hash.
const WARM_UP: usize = 40;

/// After this many wrong passwords the right one clears the account's count, and another name is
/// the unknown one. Fewer than an account may have without a delay.
const IN_SUCCESSION: usize = 10;

/// Measures `pairs` refusals of both kinds and prints the difference of their medians.
pub fn measure(pairs: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // As they are deployed: what a debug build takes longer for is not what users see.
        let preparation = Preparation::complete("release", Progress::EveryStep)?;
        let services = Services::start(preparation).await?;
        // Accounts come last: DynamoDB Local slows down with every record of a stream.
        compare(&services, pairs).await?;
        accounts::compare(&services, pairs).await
    })
}

async fn compare(services: &Arc<Services>, pairs: usize) -> Result<(), Failure> {
    let services = Some(Arc::clone(services));
    let options = StackOptions { concurrency: 1, services, ..StackOptions::default() }
        .with("RATCHET_FREE_FAILURES", 20)
        .with("RATCHET_NETWORK_FREE_FAILURES", 1_000_000);
    let stack = Stack::start(options).await?;
    demo_users::create(&stack).await?;
    let http = reqwest::Client::builder().build()?;
    let url = format!("{}/authenticate", stack.base_url());
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    let mut nobody = String::new();
    for pair in 0..WARM_UP + pairs {
        if pair % IN_SUCCESSION == 0 {
            answer(&http, &url, ADA.name, ADA.password, StatusCode::OK).await?;
            nobody = format!("b{:02}", pair / IN_SUCCESSION);
        }
        if pair == WARM_UP {
            unknown.clear();
            wrong.clear();
        }
        // The second one may find warm caches, so both are second equally often.
        let unknown_first = pair % 2 == 0;
        for turn in [unknown_first, !unknown_first] {
            let (name, samples) =
                if turn { (nobody.as_str(), &mut unknown) } else { (ADA.name, &mut wrong) };
            let refusal = answer(&http, &url, name, WRONG, StatusCode::UNAUTHORIZED);
            samples.push(refusal.await?);
        }
    }
    let (unknown, wrong) = (percentile(unknown, 50), percentile(wrong, 50));
    let difference = per_cent(unknown, wrong);
    let met = if difference <= GOAL { "met" } else { "missed" };
    println!(
        "{pairs} pairs: unknown name {unknown:.2?}, wrong password {wrong:.2?}; the medians differ \
         by {difference:.2} % (goal {GOAL} %: {met})"
    );
    stack.stop().await?;
    Ok(())
}

/// How long an answer of that status takes.
async fn answer(
    http: &reqwest::Client,
    url: &str,
    name: &str,
    password: &str,
    expected: StatusCode,
) -> Result<Duration, Failure> {
    timed(http.post(url).json(&json!({"name": name, "password": password})), expected).await
}

/// How long a request takes that must be answered so.
async fn timed(request: RequestBuilder, expected: StatusCode) -> Result<Duration, Failure> {
    let begun = clock::now();
    let answer = request.send().await?;
    let status = answer.status();
    answer.bytes().await?;
    let took = begun.elapsed();
    if status == expected {
        Ok(took)
    } else {
        Err(format!("{status} instead of {expected}").into())
    }
}

fn per_cent(one: Duration, other: Duration) -> f64 {
    let (one, other) = (one.as_secs_f64(), other.as_secs_f64());
    (one - other).abs() / one.min(other) * 100.0
}
