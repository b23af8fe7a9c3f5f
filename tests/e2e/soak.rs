//! A quarter of an hour of everything at once: histories of many clients, recorded over HTTP, while
//! DynamoDB fails and throttles, functions are killed, frozen and thawed, and the keys rotate. Each
//! history is checked against the sequential specification. In one command:
//!
//! ```sh
//! cargo test -p e2e -- --ignored soak:: --nocapture
//! RATCHET_SOAK_SECONDS=60 cargo test -p e2e -- --ignored soak:: --nocapture    # shorter
//! ```

use std::{
    collections::BTreeSet,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use local::{process::Signal, stack::StackOptions};
use ratchet_core::{key_ring::MIN_SEED_CHARS, time::UnixMillis};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    histories::{
        check::{self, Summary},
        clients::{self, Scenario},
        service::{Service, WINDOW_SECONDS, over_http},
    },
    rotation,
    support::{
        World,
        people::now,
        proxy::{Fault, Proxy},
        ring::parts,
        run,
    },
};

const CLIENTS: usize = 24;

/// Half of them have one client, and half two.
const SESSIONS: usize = 16;

/// Single faults, in turn. A call has three tries, so after one or two failed ones it still succeeds.
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

/// A time during which every call is throttled, and requests may fail.
type Span = (UnixMillis, UnixMillis);

/// More than an invocation leaks, in bytes. `lambda_runtime` sets the environment variable
/// `_X_AMZN_TRACE_ID` for each, and the C library never frees a former value.
const LEAK: u64 = 200;

/// Memory in KiB and open descriptors of the first instance of a function.
type Watched = (&'static str, u64, usize);

#[test]
#[ignore = "takes a quarter of an hour"]
fn hours_of_load_with_faults_lose_nothing() {
    run(async {
        let seconds = env::var("RATCHET_SOAK_SECONDS").map_or(900, |text| text.parse().unwrap());
        let services = World::shared().await.stack().services();
        let proxy = Arc::new(Proxy::before(services.dynamodb().endpoint()).await);
        let ring = json!({"keys": [], "seed": "s".repeat(MIN_SEED_CHARS)}).to_string();
        let secret = World::shared().await.secret("soak-ring", &ring).await;
        let options = StackOptions {
            concurrency: 2,
            ..StackOptions::beside(World::shared().await.stack(), "soak")
        };
        let options = options
            .with("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint())
            .with("RATCHET_LOG_LEVEL", "warn")
            .with("RATCHET_RETRY_WINDOW_SECONDS", WINDOW_SECONDS)
            // A new key signs 13 s after it was published.
            .with("RATCHET_KEY_RING_SECRET", &secret)
            .with("RATCHET_KEY_RING_RELOAD_SECONDS", 1)
            .with("RATCHET_JWKS_MAX_AGE_SECONDS", 10);
        let world: &'static World =
            Box::leak(Box::new(World::start(crate::support::world::cheap(options)).await));
        let service = Arc::new(Service::Http(world.api()));

        let over = Arc::new(AtomicBool::new(false));
        let resource =
            tokio::spawn(use_access_tokens(world, Arc::clone(&service), Arc::clone(&over)));
        let disturbance = tokio::spawn(disturb(world, Arc::clone(&proxy), secret, seconds));
        let (mut summary, mut faults) = (Summary::default(), Vec::new());
        let mut seed = 0x50a7;
        while !disturbance.is_finished() {
            seed += 1;
            let scenario =
                Scenario { clients: CLIENTS, rounds: 50, sessions: SESSIONS, seed, pauses: true };
            let history = clients::play(world, &service, scenario).await;
            summary += check::check(world, &service, &history).await;
            let failed = history.operations.iter().filter(|operation| operation.status == 503);
            faults.extend(failed.map(|operation| (operation.began_at, operation.ended_at)));
        }
        let (throttled, before) = disturbance.await.unwrap();
        over.store(true, Ordering::Relaxed);
        let signers = resource.await.unwrap();
        let after = watched(world);

        let outside =
            |(began, ended): &Span| throttled.iter().all(|(from, to)| ended < from || to < began);
        let unexplained = faults.iter().filter(|fault| outside(fault)).count();
        eprintln!(
            "{seconds} s: {summary}; {unexplained} faults while nothing was throttled; {} keys \
             signed; (function, KiB, descriptors) {before:?} → {after:?}",
            signers.len()
        );
        assert!(summary.operations > seconds * 10, "that is no load");
        assert!(summary.has_rotations() && summary.ended > 0);
        assert!(summary.recoveries > 0, "nobody came late");
        assert!(signers.len() > seconds / 120, "the keys did not rotate");
        // Two calls fail every second. If the service gave up because of them, requests would fail
        // as often.
        assert!(unexplained * 4 < seconds * 3, "healthy paths were missed");
        // Of each function, the first of two instances was watched, for four fifths of the time.
        let invocations = u64::try_from(summary.operations * 4 / 5).unwrap();
        for ((function, memory, descriptors), (_, memory_after, descriptors_after)) in
            before.into_iter().zip(after)
        {
            // The others have few invocations.
            let leaked = if function == "refresh" { invocations * LEAK / 1024 } else { 0 };
            let most = memory + 3 * 1024 + leaked;
            assert!(memory_after < most, "{function} grew to {memory_after} KiB");
            assert!(
                descriptors_after <= descriptors + 8,
                "{function} has {descriptors_after} descriptors"
            );
        }
    });
}

/// Breaks one thing after the other. Only second instances are killed and frozen; the first ones
/// are watched for leaks. Returns when everything was throttled, and what the first instances used
/// after a fifth of the time, when buffers have reached their size.
async fn disturb(
    world: &'static World,
    proxy: Arc<Proxy>,
    secret: String,
    seconds: usize,
) -> (Vec<Span>, Vec<Watched>) {
    let functions = ["refresh", "authenticate", "users"];
    let (mut throttled, mut used) = (Vec::new(), Vec::new());
    let mut rotations = JoinSet::new();
    for second in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let function = functions[second / 20 % functions.len()];
        match second % 20 {
            // Longer than the retry window, so a request that was in flight has an old token by then.
            3 => world.stack().signal(function, 2, Signal::Stop).unwrap(),
            10 => world.stack().signal(function, 2, Signal::Continue).unwrap(),
            19 => {
                world.stack().signal(function, 2, Signal::Kill).unwrap();
                world.stack().restart(function, 2).unwrap();
            }
            _ => {}
        }
        match second % 60 {
            15 => drop(rotations.spawn(rotate(world, secret.clone()))),
            // Its own plan would hide the one for all operations.
            40 => {
                proxy.heal();
                proxy.break_all("*", Fault::THROTTLED);
                // The next three ticks, and a little more.
                throttled.push((now(), now().plus(Duration::from_secs(4))));
            }
            41 | 42 => {}
            other => {
                if other == 43 {
                    proxy.heal();
                }
                let operation = ["UpdateItem", "GetItem", "PutItem", "Query"][second / 3 % 4];
                proxy.break_next(operation, 2, FAULTS[second % FAULTS.len()]);
            }
        }
        if second == seconds / 5 {
            used = watched(world);
        }
    }
    proxy.heal();
    for function in functions {
        world.stack().signal(function, 2, Signal::Continue).unwrap();
    }
    rotations.join_all().await;
    (throttled, used)
}

async fn rotate(world: &World, secret: String) {
    rotation::all_steps(world, &secret).await;
}

/// Uses access tokens, each twice: before and after the next refresh. None may be refused, whatever
/// key signed it. Returns the ids of the keys that did.
async fn use_access_tokens(
    world: &World,
    service: Arc<Service>,
    over: Arc<AtomicBool>,
) -> BTreeSet<String> {
    let mut signers = BTreeSet::new();
    let person = world.person().await;
    let mut tokens = service.sign_in(world, &person).await;
    let mut earlier = tokens.clone();
    while !over.load(Ordering::Relaxed) {
        for access in [&earlier.access, &tokens.access] {
            let request = world.api().request("GET", "/users?limit=1").bearer_auth(access);
            let (status, body) = over_http(request).await;
            assert!([200, 503].contains(&status), "a valid access token: {status} {body}");
        }
        let signer = parts(&tokens.access).0["kid"].as_str().expect("a key id").to_owned();
        signers.insert(signer);
        let (status, body) = service.post("/refresh", &tokens.refresh).await;
        if status == 200 {
            earlier = tokens.clone();
            for (field, token) in
                [("access_token", &mut tokens.access), ("refresh_token", &mut tokens.refresh)]
            {
                body[field].as_str().expect("a token").clone_into(token);
            }
        } else if status != 503 {
            // Too many answers in a row were lost. The histories check whether that was right.
            tokens = service.sign_in(world, &person).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    signers
}

/// What the first instances of the functions use.
fn watched(world: &World) -> Vec<Watched> {
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
