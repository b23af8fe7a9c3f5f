//! `cargo local` as a developer starts it.

use std::process::Stdio;

use local::workspace::Workspace;
use ratchet_core::{
    second_factor::{SECRET_LEN, TotpSecret},
    time::UnixSeconds,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::adversarial;

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

    /// The access token of a step-up with a second factor, which it switches on.
    pub(crate) async fn step_up(&self, token: &str, password: &str) -> String {
        let begun = self.post("/users/me/totp", token, json!({"password": password})).await;
        let secret = TotpSecret::new(from_base32(begun["secret"].as_str().unwrap()));
        // The code of the moment, which the token's time is close to.
        let (_, claims) = adversarial::parts(token);
        let now = UnixSeconds::new(claims["iat"].as_u64().unwrap());
        let code = json!({"code": secret.code_at(now)});
        let confirmed = self.post("/users/me/totp/confirm", token, code).await;
        let code = json!({"recovery_code": confirmed["recovery_codes"][0]});
        let stepped_up = self.post("/users/me/step-up", token, code).await;
        stepped_up["access_token"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.api);
        let request = reqwest::Client::new().post(url).bearer_auth(token).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The same token when its time is over.
    pub(crate) async fn expired(&self, token: &str) -> String {
        let url = format!("{}/expired-token", self.page);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }
}

/// Reads a secret as it is typed into an app (RFC 4648 §6).
fn from_base32(text: &str) -> [u8; SECRET_LEN] {
    let bits = text.bytes().flat_map(|sign| {
        let value = match sign {
            b'A'..=b'Z' => sign - b'A',
            _ => sign - b'2' + 26,
        };
        (0..5).rev().map(move |place| (value >> place) & 1)
    });
    let bits: Vec<u8> = bits.collect();
    let byte = |bits: &[u8]| bits.iter().fold(0, |byte, bit| (byte << 1) | bit);
    let bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    bytes.try_into().unwrap()
}
