//! `cargo local` as a developer uses it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use local::{
    progress::Progress,
    services::{Preparation, Services},
    starting::free_port,
    workspace::Workspace,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A stack that is up.
struct Stack {
    port: u16,
    printed: String,
    process: Child,
}

impl Stack {
    async fn start(port: u16, options: &[&str]) -> Self {
        Self::start_with(port, options, |command| command).await
    }

    async fn start_with(
        port: u16,
        options: &[&str],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let port_text = port.to_string();
        let mut local = command(&["--port", &port_text, "--page-port", "0"]);
        let mut process = change(local.args(options)).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            printed.extend([line.as_str(), "\n"]);
            if line.starts_with("Ctrl-C stops") {
                return Self { port, printed, process };
            }
        }
        panic!("it ended: {printed}");
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(self.url(path)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The body of a successful answer. Hashing on a busy machine may take longer than an answer may.
    async fn post(&self, path: &str, body: &Value) -> Value {
        for _ in 0..10 {
            let request = reqwest::Client::new().post(self.url(path)).json(body);
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            if status != 503 {
                assert!(status < 300, "{status} of {path}");
                return answer.json().await.unwrap_or(Value::Null);
            }
        }
        panic!("{path} is not available");
    }

    async fn sign_in(&self) -> Value {
        let body = json!({"name": "ada", "password": "correct horse battery staple"});
        self.post("/authenticate", &body).await
    }

    /// What another command prints about this stack.
    async fn ask(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = command(&[&["--port", &port], arguments].concat()).output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn stop(mut self) {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").arg(&id).status().await.unwrap().success());
        assert!(self.process.wait().await.unwrap().success());
    }
}

/// How `cargo local` ends when it cannot start.
async fn refusal(local: &mut Command) -> String {
    let output = tokio::time::timeout(Duration::from_secs(60), local.output()).await.unwrap();
    let output = output.unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Workspace::locate().local().join("tests").join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn register(stack: &Stack, name: &str) {
    let body = json!({
        "name": name, "email": format!("{name}@example.com"), "password": "sixteen words or so",
    });
    stack.post("/users", &body).await;
}

#[tokio::test]
async fn two_stacks_have_their_own_users_messages_and_logs() {
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let first = Stack::start(ports[0], &[]).await;
    let second = Stack::start(ports[1], &[]).await;
    register(&first, "linus").await;
    register(&second, "dennis").await;
    for (stack, own, other) in [(&first, "linus", "dennis"), (&second, "dennis", "linus")] {
        let mut mail = String::new();
        for _ in 0..100 {
            mail = stack.ask(&["mail"]).await;
            if mail.contains(own) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(mail.contains(&format!("{own}@example.com")) && !mail.contains(other), "{mail}");
        let user = stack.ask(&["users", "show", own]).await;
        assert!(user.contains(own), "{user}");
        let keys = stack.ask(&["keys", "list"]).await;
        assert!(keys.contains("access tokens") && keys.contains("refresh tokens"), "{keys}");
        let logs = stack.ask(&["logs", "accounts"]).await;
        assert!(logs.lines().any(|line| line.contains("accounts     POST /users 202 ")), "{logs}");
    }
    let again = refusal(&mut command(&["--port", &ports[0].to_string()])).await;
    let id = first.process.id().unwrap();
    assert!(again.contains(&format!("Ratchet already runs here (pid {id})")), "{again}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn options_and_parameters_change_what_the_functions_do() {
    let port = free_port().unwrap();
    let options = [
        "--revocations",
        "--signing-algorithm=EdDSA",
        "--dpop=disabled",
        "--set=AccessTokenSeconds=77",
        "--cors-origin=https://app.example",
    ];
    let stack = Stack::start(port, &options).await;
    assert_eq!(stack.sign_in().await["expires_in"], 77);
    assert_eq!(stack.get("/.well-known/revocations").await.0, 200);
    let (_, keys) = stack.get("/.well-known/jwks.json").await;
    assert!(keys.contains("EdDSA"), "{keys}");
    let (_, metadata) = stack.get("/.well-known/oauth-authorization-server").await;
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["dpop_signing_alg_values_supported"], Value::Null);
    let request = reqwest::Client::new().get(stack.url("/health"));
    let answer = request.header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example");
    assert!(stack.printed.contains("An access token lives 77 seconds."), "{}", stack.printed);
    stack.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_as_api_gateway_would_by_every_name_of_this_machine() {
    let port = free_port().unwrap();
    let stack = Stack::start(port, &[]).await;
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        if host == "[::1]" && TcpListener::bind(("::1", 0)).is_err() {
            continue;
        }
        let answer = reqwest::get(format!("http://{host}:{port}/nowhere")).await.unwrap();
        assert_eq!(answer.status(), 404, "{host}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.text().await.unwrap(), r#"{"message":"Not Found"}"#);
        let health = reqwest::get(format!("http://{host}:{port}/health")).await.unwrap();
        assert_eq!(health.status(), 200, "{host}");
    }
    assert_eq!(stack.get("/refresh").await.0, 405);
    stack.stop().await;
}

#[tokio::test]
async fn kept_users_and_sessions_outlive_a_stop_and_a_kill() {
    let folder = folder("persist");
    let keep = ["--persist", folder.to_str().unwrap()];
    let port = free_port().unwrap();
    let stack = Stack::start(port, &keep).await;
    assert!(stack.printed.contains("Users, sessions and keys are kept in"), "{}", stack.printed);
    register(&stack, "linus").await;
    let mut pair = stack.sign_in().await;
    let taken = refusal(&mut command(&["--port", "0", keep[0], keep[1]])).await;
    assert!(taken.contains("another stack uses"), "{taken}");
    stack.stop().await;

    let mut stack = Stack::start(port, &keep).await;
    let refresh = |pair: &Value| json!({"refresh_token": pair["refresh_token"]});
    pair = stack.post("/refresh", &refresh(&pair)).await;
    assert!(stack.ask(&["users", "show", "linus"]).await.contains("linus@example.com"));
    stack.ask(&["keys", "rotate", "--now"]).await;
    // The ring is looked at twice a second.
    let ring = folder.join("key-ring.json");
    let before = fs::read_to_string(&ring).unwrap();
    for _ in 0..100 {
        if fs::read_to_string(&ring).unwrap() != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pair = stack.post("/refresh", &refresh(&pair)).await;
    stack.process.kill().await.unwrap();

    let stack = Stack::start(port, &keep).await;
    pair = stack.post("/refresh", &refresh(&pair)).await;
    assert!(pair["access_token"].is_string());
    stack.stop().await;
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_dynamodb_of_ones_own_gets_stable_names_and_no_litter() {
    let preparation = Preparation::complete("dev", Progress::default()).unwrap();
    let services = Services::start(preparation).await.unwrap();
    let tables = async || {
        let listed = services.dynamodb().client().list_tables().send().await.unwrap();
        listed.table_names.unwrap_or_default()
    };
    let endpoint = services.dynamodb().endpoint();
    let port = free_port().unwrap();
    let expected =
        [format!("ratchet-local-{port}-TokensTable"), format!("ratchet-local-{port}-UsersTable")];
    let start = async || {
        Stack::start_with(port, &[], |command| command.env("AWS_ENDPOINT_URL_DYNAMODB", endpoint))
            .await
    };
    let mut killed = start().await;
    assert_eq!(tables().await, expected);
    register(&killed, "linus").await;
    killed.process.kill().await.unwrap();
    assert_eq!(tables().await, expected, "a kill leaves them");

    let stack = start().await;
    assert_eq!(tables().await, expected);
    let nobody = stack.ask(&["users", "list"]).await;
    assert!(!nobody.contains("linus"), "{nobody}");
    assert!(stack.printed.contains("Nothing is kept when it stops"), "{}", stack.printed);
    stack.stop().await;
    assert_eq!(tables().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_seed_adds_users_and_one_that_is_refused_stops_the_start() {
    let folder = folder("seed");
    let seed = |text: &str| {
        let file = folder.join("users.jsonl");
        fs::write(&file, text).unwrap();
        file
    };
    // 'a password of another system', with the least cost.
    let hash = "$2b$04$abcdefghijklmnopqrstuuHmvP9Nh3ORC1MuMLTnW2LuIrQwaFSPC";
    let line = json!({"name": "legacy", "email": "legacy@example.com", "password_hash": hash});
    let good = seed(&line.to_string());
    let stack = Stack::start(free_port().unwrap(), &["--seed", good.to_str().unwrap()]).await;
    assert!(stack.ask(&["users", "list"]).await.contains("legacy"));
    stack.stop().await;

    let bad = seed(r#"{"name": "legacy"}"#);
    let said = refusal(&mut command(&["--port", "0", "--seed", bad.to_str().unwrap()])).await;
    assert!(said.contains("was not imported whole") && said.contains("password_hash"), "{said}");
    let missing = Path::new("/nowhere/users.jsonl");
    let said = refusal(&mut command(&["--port", "0", "--seed", missing.to_str().unwrap()])).await;
    assert!(said.contains("is not a file"), "{said}");
}

#[tokio::test]
async fn both_ports_are_taken_before_anything_starts() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, option) in [
        (["--port", port.as_str(), "--page-port", "0"], "--port"),
        (["--port", "0", "--page-port", port.as_str()], "--page-port"),
    ] {
        let said = refusal(&mut command(&arguments)).await;
        assert!(said.contains(&format!("cannot listen on port {port}")), "{said}");
        assert!(said.contains(&format!("Choose another with {option}")), "{said}");
        assert!(!said.contains("building"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_starts() {
    for (arguments, endpoint, said) in [
        (vec!["--set", "MaxSession=3"], "", "template.yaml has no parameter MaxSession"),
        (vec!["--set", "MaxSessions"], "", "expected NAME=VALUE"),
        (vec!["--cors-origin", "app.example"], "", "RATCHET_CORS_ORIGINS has \"app.example\""),
        (vec!["--signing-algorithm", "none"], "", "SigningAlgorithm is \"none\""),
        (vec![], "localhost:8000", "has no scheme: set it to http://localhost:8000"),
    ] {
        let mut local = command(&["--port", "0"]);
        local.args(arguments).env("AWS_ENDPOINT_URL_DYNAMODB", endpoint);
        let error = refusal(&mut local).await;
        assert!(error.contains(said) && !error.contains("building"), "{error}");
    }
    let unused = free_port().unwrap().to_string();
    for arguments in [["--port", unused.as_str(), "mail"], ["--port", unused.as_str(), "logs"]] {
        let error = refusal(&mut command(&arguments)).await;
        assert!(error.contains(&format!("no stack is running on port {unused}")), "{error}");
    }
    let error = refusal(&mut command(&["--persist", "x", "mail"])).await;
    assert!(error.contains("a command takes no options of the stack"), "{error}");
}

#[tokio::test]
async fn logs_are_followed() {
    let stack = Stack::start(free_port().unwrap(), &[]).await;
    let port = stack.port.to_string();
    let mut follow = command(&["--port", &port, "logs", "authenticate", "--follow"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = follow.stdout.take().unwrap();
    stack.sign_in().await;
    let mut seen = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !seen.contains("POST /authenticate 200") {
            let read = output.read(&mut buffer).await.unwrap();
            seen += &String::from_utf8_lossy(buffer.get(..read).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
    assert!(seen.contains("session_created"), "{seen}");
    follow.kill().await.unwrap();
    stack.stop().await;
}
