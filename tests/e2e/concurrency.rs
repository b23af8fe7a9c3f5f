//! One environment that serves sixteen invocations at once, as Lambda Managed Instances have them.
//!
//! The emulator hands every `next` that a process asks for an invocation, as Lambda does.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use local::{stack::StackOptions, workspace::Workspace};
use serde_json::Value;

use crate::support::{
    Answer, World,
    mail::Newcomer,
    proxy::{Fault, Proxy},
    run,
    world::cheap,
};

const AT_ONCE: usize = 16;

/// Functions that are one process each, built with the feature `concurrent`. The ids of their
/// processes are in the log.
async fn concurrent(name: &str, settings: &[(&str, &str)]) -> World {
    let shared = World::shared().await;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Workspace::locate().root().to_owned();
    let build = ["build", "--quiet", "--package", "e2e", "--example", "concurrent"];
    assert!(Command::new(cargo).args(build).current_dir(&root).status().unwrap().success());
    let target = std::env::current_exe().unwrap();
    let program = target.ancestors().nth(2).unwrap().join("examples/concurrent");
    // It takes the place of those programs that it has, and leaves the others alone.
    let script = r#"echo "process of $AWS_LAMBDA_FUNCTION_NAME: $$"
        case $AWS_LAMBDA_FUNCTION_NAME in
        accounts | authenticate | keys | refresh | revocations | users) exec "$0" ;;
        *) exec "$1" ;;
        esac"#;
    let launcher = ["sh", "-c", script, program.to_str().unwrap()];
    let mut options = StackOptions {
        concurrency: 1,
        launcher: launcher.map(str::to_owned).to_vec(),
        ..StackOptions::beside(shared.stack(), name)
    };
    for (variable, value) in settings {
        options = options.with(variable, value);
    }
    for function in ["accounts", "authenticate", "keys", "refresh", "revocations", "users"] {
        let own = options.own_environment.entry(function.to_owned()).or_default();
        own.insert("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), AT_ONCE.to_string());
    }
    World::start(cheap(options)).await
}

/// Sends a signal to the process of `refresh`.
fn signal(world: &World, name: &str) {
    let text = world.log_text();
    let mut process = text.lines().filter_map(|line| line.strip_prefix("process of refresh: "));
    let process = process.next_back().expect("a line with its id");
    let done = Command::new("kill").args(["-s", name, process]).status().unwrap();
    assert!(done.success());
}

/// The line of each request for `/refresh`, with the one line of metrics that has the same id, once
/// there are so many.
async fn requests(world: &World, least: usize) -> Vec<(Value, Value)> {
    let mut patience = 200;
    loop {
        let text = world.log_text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let (requests, metrics): (Vec<_>, Vec<_>) = lines
            .filter(|line| line["route"] == "/refresh" || line["FunctionName"] == "refresh")
            .partition(|line| line["_aws"].is_null());
        // An answer may be here before its lines are.
        if requests.len().min(metrics.len()) < least && patience > 0 {
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let ids: BTreeSet<_> =
            requests.iter().map(|request| request["request_id"].as_str()).collect();
        assert_eq!(ids.len(), requests.len(), "every invocation has an id of its own");
        let measured = |request: &Value| {
            let mut own = metrics.iter().filter(|line| line["request_id"] == request["request_id"]);
            let line = own.next().unwrap_or_else(|| panic!("no metrics of {request}")).clone();
            assert!(own.next().is_none(), "two lines of metrics for {request}");
            line
        };
        return requests.iter().map(|request| (request.clone(), measured(request))).collect();
    }
}

#[test]
fn sixteen_invocations_at_once_are_answered_logged_and_measured_apart() {
    run(async {
        let shared = World::shared().await;
        let proxy = Proxy::before(shared.stack().services().dynamodb().endpoint()).await;
        let settings = [("AWS_ENDPOINT_URL_DYNAMODB", &*proxy.endpoint())];
        let world = Arc::new(concurrent("concurrent", &settings).await);
        // Its environment starts with the first request.
        assert_eq!(world.api().refresh("rt1_garbage").await.status, 401);
        let refused = AT_ONCE / 4;
        let calling = AT_ONCE - refused;
        proxy.break_all("UpdateItem", Fault::Gather(calling, Duration::from_millis(400)));
        let mut seen = requests(&world, 1).await.len();
        for _ in 0..5 {
            let mut people = Vec::new();
            for _ in 0..calling {
                people.push(shared.signed_in().await);
            }
            // All of them are handed over while the process sleeps, so that it has them at once.
            signal(&world, "STOP");
            let mut sent = Vec::new();
            for _ in 0..refused {
                let api = world.api();
                sent.push(tokio::spawn(async move {
                    let answer = api.refresh("rt1_garbage").await;
                    assert_eq!(answer.problem(), (401, "malformed".to_owned()));
                }));
            }
            for (person, tokens) in people {
                let api = world.api();
                sent.push(tokio::spawn(async move {
                    let answer = api.refresh(&tokens.refresh).await;
                    let claims = crate::support::ring::parts(&answer.tokens().access).1;
                    assert_eq!(claims["sub"], person.id.to_string(), "another one's answer");
                }));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            signal(&world, "CONT");
            for one in sent {
                one.await.unwrap();
            }
            let requests = requests(&world, seen + AT_ONCE).await.split_off(seen);
            assert_eq!(requests.len(), AT_ONCE);
            seen += AT_ONCE;
            let garbage = requests.iter().filter(|(request, _)| request["code"] == "malformed");
            assert_eq!(garbage.count(), refused);
            for (request, metrics) in requests {
                assert_eq!(metrics["requests"], 1, "{metrics}");
                let calls = metrics["dynamodb_milliseconds"].as_array().map_or(0, Vec::len);
                let refusals = metrics["refusals"].as_u64().unwrap_or_default();
                let expected = if request["status"] == 200 { (2, 0) } else { (0, 1) };
                assert_eq!((calls, refusals), expected, "{request} {metrics}");
            }
            // Whether all that call were on their way at the same time is up to this machine too.
            if proxy.most_gathered() >= calling {
                return;
            }
        }
        panic!("never more than {} calls at the same time", proxy.most_gathered());
    });
}

#[test]
fn hashes_hold_up_no_other_request_of_their_environment() {
    const HASHES: usize = 8;
    run(async {
        let settings = [("RATCHET_ARGON2_ITERATIONS", "4"), ("RATCHET_ARGON2_MEMORY_KIB", "65536")];
        let world = concurrent("concurrent-hashes", &settings).await;
        let done = Arc::new(AtomicUsize::new(0));
        let registrations: Vec<_> = (0..HASHES)
            .map(|_| {
                let (api, done) = (world.api(), Arc::clone(&done));
                tokio::spawn(async move {
                    let answer = api.post("/users", Newcomer::new().body()).await;
                    done.fetch_add(1, Ordering::SeqCst);
                    answer
                })
            })
            .collect();
        let api = world.api();
        let mut answered = 0;
        while done.load(Ordering::SeqCst) < HASHES {
            let answer = Answer::of(api.request("GET", "/users/me")).await;
            assert_eq!(answer.problem(), (401, "missing_access_token".to_owned()));
            answered += 1;
        }
        for one in registrations {
            let answer = one.await.unwrap();
            // Those that come last may be too late; they are told so.
            assert!(matches!(answer.status, 202 | 503), "{answer:?}");
        }
        // Where a hash held up the others, one of them at most would come through between two.
        assert!(answered > 2 * HASHES, "{answered} answers during {HASHES} hashes");
    });
}

#[test]
fn sixteen_verifiers_at_once_get_keys_and_ends() {
    run(async {
        let world = Arc::new(concurrent("verifiers", &[("RATCHET_REVOCATIONS", "enabled")]).await);
        let mut asked = Vec::new();
        for number in 0..AT_ONCE * 2 {
            let world = Arc::clone(&world);
            asked.push(tokio::spawn(async move {
                let paths = ["/.well-known/jwks.json", "/.well-known/revocations"];
                let answer = Answer::of(world.api().request("GET", paths[number % 2])).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }));
        }
        for one in asked {
            one.await.unwrap();
        }
    });
}
