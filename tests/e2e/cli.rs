//! `ratchet`, the operators' command line: the real binary against the local stack.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell};

use crate::support::World;

mod clients;
mod keys;
mod transfer;
mod users;

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// The result of a run of the binary.
#[derive(Debug)]
pub(crate) struct Run {
    code: i32,
    pub(crate) out: String,
    err: String,
    peak_kib: u64,
}

/// A client as the command line shows it once.
#[derive(Debug, Clone)]
pub(crate) struct NewClient {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn done(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.out
    }
}

/// Builds the current binary.
async fn binary() -> &'static PathBuf {
    BINARY
        .get_or_init(async || {
            let cargo = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--locked", "-p", "ratchet-cli"])
                .args(["--message-format", "json"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .stderr(Stdio::inherit())
                .output()
                .await
                .expect("cargo");
            assert!(cargo.status.success(), "ratchet-cli is built");
            let messages = String::from_utf8(cargo.stdout).expect("text");
            let executable = messages.lines().find_map(|line| {
                let message: Value = serde_json::from_str(line).ok()?;
                let executable = message["executable"].as_str()?;
                (message["target"]["name"] == "ratchet").then(|| PathBuf::from(executable))
            });
            executable.expect("the binary")
        })
        .await
}

impl World {
    pub(crate) async fn ratchet(&self, arguments: &[&str]) -> Run {
        self.ratchet_with(arguments, "", self.stack().services().dynamodb().endpoint()).await
    }

    async fn ratchet_with(&self, arguments: &[&str], stdin: &str, endpoint: &str) -> Run {
        let arguments = [&["--endpoint-url", endpoint], arguments].concat();
        self.ratchet_at(&arguments, stdin, &[]).await
    }

    /// Runs a command with the endpoint of each service in its environment.
    async fn ratchet_at(&self, arguments: &[&str], stdin: &str, endpoints: &[(&str, &str)]) -> Run {
        let data = self.stack().data();
        let mut child = Command::new(binary().await)
            .args(["--region", "us-east-1"])
            .args(["--users-table", &data.users_table, "--tokens-table", &data.tokens_table])
            .args(arguments)
            .envs(endpoints.iter().copied())
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ratchet");
        let mut input = child.stdin.take().expect("standard input");
        input.write_all(stdin.as_bytes()).await.expect("input");
        drop(input);
        let status = format!("/proc/{}/status", child.id().expect("a process"));
        let watch = tokio::spawn(async move {
            let mut peak_kib = 0;
            while let Ok(text) = fs::read_to_string(&status) {
                let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
                let Some(peak) = peak else { break };
                peak_kib = peak;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            peak_kib
        });
        let output = child.wait_with_output().await.expect("an end");
        Run {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
            peak_kib: watch.await.expect("a peak"),
        }
    }

    /// Makes a client with the command line, with a key of this ring.
    async fn make_client(&self, key_ring: &str, name: &str) -> Run {
        let services = self.stack().services();
        let endpoints = [
            ("AWS_ENDPOINT_URL_DYNAMODB", services.dynamodb().endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", services.secrets().endpoint()),
        ];
        let arguments = ["--json", "--key-ring-secret", key_ring, "clients", "create", name];
        self.ratchet_at(&arguments, "", &endpoints).await
    }

    /// A new client of a world that has this ring.
    pub(crate) async fn client_of(&self, key_ring: &str) -> NewClient {
        let made = self.make_client(key_ring, "tests").await.json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        NewClient { id: text("client_id"), secret: text("client_secret") }
    }

    /// A new client of a world with the shared ring.
    pub(crate) async fn client(&self) -> NewClient {
        self.client_of(&self.stack().data().key_ring_secret).await
    }

    /// Adds a user with the command line.
    async fn add(&self, name: &str, password: &str, further: &[&str]) -> Run {
        let email = format!("{name}@example.com");
        let arguments = ["users", "add", name, &email, "--confirmed", "--password-stdin"];
        let arguments = [&arguments, further].concat();
        let endpoint = self.stack().services().dynamodb().endpoint();
        self.ratchet_with(&arguments, &format!("{password}\n"), endpoint).await
    }
}

fn unique(what: &str) -> String {
    let random: [u8; 6] = ratchet_core::entropy::random().expect("random bytes");
    format!("{what}-{}", random.map(|byte| format!("{byte:02x}")).concat())
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(unique(name));
    fs::write(&path, text).expect("a file");
    path
}
