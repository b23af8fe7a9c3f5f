//! `cargo local` as a developer starts it.

use std::process::Stdio;

use local::workspace::Workspace;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// A running `cargo local`.
pub(crate) struct LocalStack {
    pub(crate) api: String,
    pub(crate) page: String,
    _process: Child,
}

impl LocalStack {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["local", "--port", "0", "--page-port", "0"])
            .args(options)
            .current_dir(Workspace::locate().root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut api, mut page) = (String::new(), String::new());
        loop {
            let line = lines.next_line().await.unwrap().expect("cargo local ended");
            if let Some(urls) = line.strip_prefix("Ratchet is up at ") {
                let (first, second) = urls.split_once(", with a page to try it at ").unwrap();
                first.clone_into(&mut api);
                second.clone_into(&mut page);
            }
            if line.starts_with("Ctrl-C stops") {
                return Self { api, page, _process: process };
            }
        }
    }

    /// An access token.
    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> String {
        let body = json!({"name": name, "password": password});
        // Hashing on a busy machine may take longer than an answer may.
        for _ in 0..10 {
            let url = format!("{}/authenticate", self.api);
            let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
            let status = answer.status();
            if status != 503 {
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(status, 200, "{answer}");
                return answer["access_token"].as_str().unwrap().to_owned();
            }
        }
        panic!("nobody could sign in");
    }

    /// The same token when its time is over.
    pub(crate) async fn expired(&self, token: &str) -> String {
        let url = format!("{}/expired-token", self.page);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}
