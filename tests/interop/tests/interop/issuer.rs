//! A running service under an https URL.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use local::{
    binaries::Binaries,
    demo_users,
    progress::Progress,
    services::{Preparation, Services},
    stack::{Stack, StackOptions},
    workspace::Workspace,
};
use ratchet_core::{jws::SignatureAlgorithm, key_ring::NewKey};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

/// What all issuers share.
pub(crate) struct Fixture {
    pub(crate) services: Arc<Services>,
    pub(crate) root: PathBuf,
    /// Where things are installed.
    pub(crate) folder: PathBuf,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let folder = root.join("target/interop");
        std::fs::create_dir_all(&folder).unwrap();
        let preparation = Preparation::complete("dev", Progress::LongSteps).unwrap();
        let services = Services::start(preparation).await.unwrap();
        Self { services, root, folder }
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("python/bin/python")
    }
}

/// An issuer that signs with one algorithm.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) key: Value,
    pub(crate) algorithm: SignatureAlgorithm,
    stack: Stack,
    key_ring: String,
    user_id: std::sync::Mutex<String>,
    _front: (Child, ChildStdin),
}

impl Issuer {
    pub(crate) async fn start(fixture: &Fixture, algorithm: SignatureAlgorithm) -> Self {
        super::verifiers::install_python(fixture).await;
        let name = format!("interop-{}-{}", algorithm.name(), std::process::id());
        let folder = fixture.services.run().folder().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut front = Command::new(fixture.python())
            .arg(fixture.root.join("tests/interop/python/tls.py"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut port = String::new();
        let output = front.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut port).await.unwrap();
        let url = format!("https://localhost:{}", port.trim());

        let key = NewKey::signing(algorithm).unwrap().expose();
        let ring = json!({"keys": [key, NewKey::tag().unwrap().expose()]}).to_string();
        let secrets = fixture.services.secrets().client();
        let unique = format!("{name}-{}", port.trim());
        secrets.create_secret().name(&unique).secret_string(ring).send().await.unwrap();
        let options = StackOptions {
            name: unique.clone(),
            concurrency: 1,
            services: Some(Arc::clone(&fixture.services)),
            ..StackOptions::default()
        };
        let options = options
            .with("RATCHET_ISSUER", &url)
            .with("RATCHET_KEY_RING_SECRET", &unique)
            .with("RATCHET_ARGON2_MEMORY_KIB", 64)
            .with("RATCHET_ARGON2_ITERATIONS", 1);
        let stack = Stack::start(options).await.unwrap();
        demo_users::create(&stack).await.unwrap();
        let (_, target) = stack.base_url().rsplit_once(':').unwrap();
        let mut input = front.stdin.take().unwrap();
        input.write_all(format!("{target}\n").as_bytes()).await.unwrap();
        Self {
            url,
            ca: folder.join("ca.pem"),
            key,
            algorithm,
            stack,
            key_ring: unique,
            user_id: std::sync::Mutex::default(),
            _front: (front, input),
        }
    }

    /// An access token for a demo user.
    pub(crate) async fn sign_in(&self) -> String {
        self.tokens().await.0
    }

    /// An access token and a refresh token for a demo user.
    pub(crate) async fn tokens(&self) -> (String, String) {
        let body = json!({"name": "ada", "password": "correct horse battery staple"});
        let url = format!("{}/authenticate", self.stack.base_url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let token = text("access_token");
        let (_, claims) = super::adversarial::parts(&token);
        claims["sub"].as_str().unwrap().clone_into(&mut self.user_id.lock().unwrap());
        (token, text("refresh_token"))
    }

    /// The id and the secret of a new client, made with the command line.
    pub(crate) async fn client(&self, fixture: &Fixture) -> (String, String) {
        let data = self.stack.data();
        let ratchet = Binaries::build_ratchet(&Workspace::locate()).unwrap();
        let output = Command::new(ratchet)
            .args(["--json", "--region", "us-east-1", "--key-ring-secret", &self.key_ring])
            .args(["--users-table", &data.users_table, "--tokens-table", &data.tokens_table])
            .args(["clients", "create", "interop"])
            .env("AWS_ENDPOINT_URL_DYNAMODB", fixture.services.dynamodb().endpoint())
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", fixture.services.secrets().endpoint())
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    pub(crate) fn user_id(&self) -> String {
        self.user_id.lock().unwrap().clone()
    }

    /// Whether the service itself accepts a token.
    pub(crate) async fn service_accepts(&self, token: &str) -> bool {
        let url = format!("{}/users?limit=1", self.stack.base_url());
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
        match answer.status().as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other} for {token}"),
        }
    }
}
