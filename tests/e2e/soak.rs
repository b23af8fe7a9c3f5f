//! A quarter of an hour of everything at once: many clients, faults between the functions and
//! DynamoDB, instances that are killed. In one command:
//!
//! ```sh
//! cargo test -p e2e -- --ignored soak:: --nocapture
//! RATCHET_SOAK_SECONDS=60 cargo test -p e2e -- --ignored soak:: --nocapture    # shorter
//! ```

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use local::process::Signal;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    Answer, Tokens, World,
    people::Person,
    proxy::{Fault, Proxy},
    run,
};

const CLIENTS: u64 = 24;

/// How often a client repeats a request after a 503, a 429 or a lost response, as docs/api.md asks it to.
const TRIES: usize = 4;

/// The faults, in turn. A call has three tries, so after one or two failed ones it still succeeds.
/// The client repeats a request whose answer it lost.
const FAULTS: [Fault; 8] = [
    Fault::THROTTLED,
    Fault::INTERNAL,
    Fault::CONFLICT,
    Fault::Refuse,
    Fault::Truncate,
    Fault::ApplyAndDrop,
    Fault::Delay(Duration::from_millis(150)),
    Fault::Delay(Duration::from_millis(900)),
];

/// The state of a client's session.
enum Held {
    Live(Tokens),
    Ended(Tokens),
}

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
    asked_again: AtomicU64,
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn hours_of_load_with_faults_lose_nothing() {
    run(async {
        let seconds = env::var("RATCHET_SOAK_SECONDS").map_or(900, |text| text.parse().unwrap());
        let services = World::shared().await.stack().services();
        let proxy = Arc::new(Proxy::before(services.dynamodb().endpoint()).await);
        let world = local::stack::StackOptions {
            concurrency: 2,
            ..local::stack::StackOptions::beside(World::shared().await.stack(), "soak")
        };
        let world = world
            .with("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint())
            .with("RATCHET_LOG_LEVEL", "warn");
        let world: &'static World =
            Box::leak(Box::new(World::start(crate::support::world::cheap(world)).await));

        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Tally::default());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let person = world.person().await;
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            clients.spawn(async move { client(world, number, person, &stop, &tally).await });
        }

        // In the first fifth of the time, buffers reach their size.
        let mut before = None;
        for second in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let fault = FAULTS[usize::try_from(second).unwrap() % FAULTS.len()];
            let operation = ["UpdateItem", "GetItem", "PutItem", "Query"]
                [usize::try_from(second / 3).unwrap() % 4];
            proxy.break_next(operation, 2, fault);
            if second % 20 == 19 {
                // The second instance; the first one is watched for leaks.
                let function =
                    ["refresh", "authenticate", "users"][usize::try_from(second / 20).unwrap() % 3];
                world.stack().signal(function, 2, Signal::Kill).unwrap();
                world.stack().restart(function, 2).unwrap();
            }
            if second == seconds / 5 {
                before = Some(watched(world));
            }
        }
        proxy.heal();
        stop.store(true, Ordering::Relaxed);

        let (mut live, mut ended) = (0, 0);
        while let Some(sessions) = clients.join_next().await {
            for held in sessions.unwrap() {
                match held {
                    Held::Live(tokens) => {
                        let answer = world.api().refresh(&tokens.refresh).await;
                        assert_eq!(answer.status, 200, "a held session is lost: {answer:?}");
                        live += 1;
                    }
                    Held::Ended(tokens) => {
                        let answer = world.api().refresh(&tokens.refresh).await;
                        assert_eq!(answer.status, 401, "a revoked session lives: {answer:?}");
                        ended += 1;
                    }
                }
            }
        }
        let after = watched(world);
        let done = tally.done.load(Ordering::Relaxed);
        let failed = tally.failed.load(Ordering::Relaxed);
        let asked_again = tally.asked_again.load(Ordering::Relaxed);
        eprintln!(
            "{seconds} s: {done} operations done, {failed} failed, asked again {asked_again} times; \
             {live} sessions live, {ended} ended; (function, KiB, descriptors) {before:?} → {after:?}"
        );
        assert!(live >= CLIENTS && ended > 0 && done > seconds * 10);
        assert!(failed * 1_000 <= done, "less than 99.9 %");
        // Two calls fail every second. If the service gave up because of them, clients would retry
        // as often.
        assert!(asked_again * 4 < seconds * 3, "healthy paths were missed");
        for ((function, memory, descriptors), (_, memory_after, descriptors_after)) in
            before.unwrap().into_iter().zip(after)
        {
            assert!(memory_after < memory + 3 * 1024, "{function} grew to {memory_after} KiB");
            assert!(
                descriptors_after <= descriptors + 8,
                "{function} has {descriptors_after} descriptors"
            );
        }
    });
}

/// A client: keeps the newest token, retries when the service asks it to, signs in again after a
/// log-out.
async fn client(
    world: &World,
    number: u64,
    person: Person,
    stop: &AtomicBool,
    tally: &Tally,
) -> Vec<Held> {
    let mut ended = Vec::new();
    let mut dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let credentials = json!({"name": person.name, "password": person.password});
    let sign_in = Question::post("/authenticate", credentials);
    let first = sign_in.ask(world, tally).await;
    let mut held = first.expect("a sign-in in several tries").tokens();
    while !stop.load(Ordering::Relaxed) {
        // xorshift64
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let body = json!({"refresh_token": held.refresh});
        match dice % 100 {
            // The same token twice at the same time: several tabs.
            0..10 => {
                let refresh = Question::post("/refresh", body);
                let (one, other) =
                    tokio::join!(refresh.ask(world, tally), refresh.ask(world, tally));
                let answers = [one, other].into_iter().flatten();
                let refreshed: Vec<Tokens> = answers.map(|answer| answer.tokens()).collect();
                // The fifth refresh within the window leads to the live token, which is the one that
                // was presented. If the window ends between the two, only the other one rotates.
                let rotated = |tokens: &&Tokens| tokens.refresh != held.refresh;
                if let [one, other] = refreshed.as_slice()
                    && rotated(&one)
                    && rotated(&other)
                {
                    assert_eq!(one.refresh, other.refresh, "a session forked");
                }
                let newest = refreshed.iter().rposition(|tokens| rotated(&tokens));
                if let Some(newest) = newest.or(refreshed.len().checked_sub(1)) {
                    held = refreshed.into_iter().nth(newest).expect("the newest");
                }
            }
            10..13 => {
                if let Some(answer) = Question::post("/logout", body).ask(world, tally).await {
                    assert_eq!(answer.status, 204, "{answer:?}");
                    ended.push(Held::Ended(held));
                    let again = sign_in.ask(world, tally).await;
                    held = again.expect("a sign-in in several tries").tokens();
                }
            }
            13..30 => {
                let sessions = Question::get("/users/me/sessions", &held.access);
                if let Some(answer) = sessions.ask(world, tally).await {
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            }
            _ => {
                if let Some(answer) = Question::post("/refresh", body).ask(world, tally).await {
                    held = answer.tokens();
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20 + dice % 100)).await;
    }
    ended.push(Held::Live(held));
    ended
}

/// A request that can be sent again.
struct Question<'a> {
    method: &'static str,
    path: &'static str,
    body: serde_json::Value,
    access_token: &'a str,
}

impl<'a> Question<'a> {
    const fn post(path: &'static str, body: serde_json::Value) -> Self {
        Self { method: "POST", path, body, access_token: "" }
    }

    const fn get(path: &'static str, access_token: &'a str) -> Self {
        Self { method: "GET", path, body: serde_json::Value::Null, access_token }
    }

    /// Repeats a request until the answer is not a fault. `None` after several tries.
    async fn ask(&self, world: &World, tally: &Tally) -> Option<Answer> {
        for _ in 0..TRIES {
            let request = world.api().request(self.method, self.path);
            let request = request.timeout(Duration::from_secs(5));
            let request = if self.access_token.is_empty() {
                request.json(&self.body)
            } else {
                request.bearer_auth(self.access_token)
            };
            match Answer::try_of(request).await {
                Ok(answer) if answer.status < 500 && answer.status != 429 => {
                    tally.done.fetch_add(1, Ordering::Relaxed);
                    return Some(answer);
                }
                _ => {
                    tally.asked_again.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
        }
        tally.failed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Memory in KiB and open descriptors of the first instance of each function.
fn watched(world: &World) -> Vec<(&'static str, u64, usize)> {
    ["authenticate", "refresh", "users"]
        .into_iter()
        .map(|function| {
            let process = world.stack().process_ids(function)[0];
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            let memory = memory.trim().trim_end_matches(" kB").parse().unwrap();
            let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
            (function, memory, descriptors)
        })
        .collect()
}
