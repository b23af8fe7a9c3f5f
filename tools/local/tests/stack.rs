//! Stacks of the real functions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::TcpStream, path::Path, process::Command, time::Duration};

use local::{
    process::Signal,
    stack::{Stack, StackOptions},
    starting::StartError,
};

/// Whether a process runs, and is not a zombie.
fn runs(id: u32) -> bool {
    let state = match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().map(str::to_owned),
        Err(_) if Path::new("/proc/self/stat").exists() => None,
        Err(_) => {
            let output = Command::new("ps").args(["-o", "stat=", "-p", &id.to_string()]).output();
            String::from_utf8(output.unwrap().stdout).ok()
        }
    };
    state.is_some_and(|state| !state.trim().is_empty() && !state.starts_with('Z'))
}

/// The status of `GET /refresh`.
async fn status(stack: &Stack) -> Option<u16> {
    status_within(stack, Duration::from_secs(60)).await
}

/// The same, or `None` if there is no answer in time.
async fn status_within(stack: &Stack, patience: Duration) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/refresh", stack.base_url()));
    let answer = request.timeout(patience).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test]
async fn stacks_share_services_and_data_and_end_when_dropped() {
    let options = StackOptions { concurrency: 1, ..StackOptions::default() };
    let first = Stack::start(options).await.unwrap();
    let beside = StackOptions { concurrency: 1, ..StackOptions::beside(&first, "second") }
        .with("RATCHET_RETRY_WINDOW_SECONDS", 5);
    let second = Stack::start(beside).await.unwrap();

    assert_eq!(first.data(), second.data());
    assert_ne!(first.base_url(), second.base_url());
    let issuer = |stack: &Stack| stack.environment().variables()["RATCHET_ISSUER"].clone();
    assert_eq!(issuer(&second), first.base_url());
    assert_eq!((status(&first).await, status(&second).await), (Some(405), Some(405)));
    let functions = &second.services().preparation().template().functions;
    let logs = second.logs();
    assert!(logs.len() == functions.len() + 1 && logs.iter().all(|log| log.exists()), "{logs:?}");

    let ids: Vec<u32> =
        functions.keys().flat_map(|function| second.process_ids(function)).collect();
    assert!(ids.len() == functions.len() && ids.iter().all(|id| runs(*id)));
    drop(second);
    assert!(!ids.iter().any(|id| runs(*id)));
    assert_eq!(status(&first).await, Some(405));
}

#[tokio::test]
async fn api_and_services_listen_on_127_0_0_1_only() {
    let options = StackOptions { concurrency: 1, ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();
    let services = stack.services();
    let mut urls = vec![stack.base_url(), services.secrets().endpoint()];
    if services.dynamodb().is_ours() {
        urls.push(services.dynamodb().endpoint());
    }
    for url in urls {
        let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
        let connect = |host: [u8; 4]| {
            TcpStream::connect_timeout(&(host, port).into(), Duration::from_secs(1))
        };
        assert!(connect([127, 0, 0, 1]).is_ok(), "{url}");
        // Linux has this address too, so a server that listens on all addresses would answer.
        assert!(connect([127, 0, 0, 2]).is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_instance_can_be_frozen_killed_and_started_again() {
    let options = StackOptions { concurrency: 1, ..StackOptions::default() };
    let stack = Stack::start(options).await.unwrap();

    stack.signal("refresh", 1, Signal::Stop).unwrap();
    assert_eq!(status_within(&stack, Duration::from_secs(3)).await, None);
    stack.signal("refresh", 1, Signal::Continue).unwrap();
    assert_eq!(status(&stack).await, Some(405));

    let before = stack.process_ids("refresh");
    stack.signal("refresh", 1, Signal::Kill).unwrap();
    assert!(!runs(before[0]));
    stack.restart("refresh", 1).unwrap();
    assert_eq!(status(&stack).await, Some(405));
    assert_ne!(stack.process_ids("refresh"), before);

    assert!(stack.signal("refresh", 2, Signal::Kill).is_err());
}

#[tokio::test]
async fn functions_that_refuse_their_configuration_say_so() {
    let options = StackOptions { concurrency: 1, ..StackOptions::default() }
        .with("RATCHET_RETRY_WINDOW_SECONDS", 4);
    let error = Stack::start(options).await.unwrap_err();
    assert!(matches!(error, StartError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("RATCHET_RETRY_WINDOW_SECONDS"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Stack::start(StackOptions { port, ..StackOptions::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse(_)), "{error}");
}
