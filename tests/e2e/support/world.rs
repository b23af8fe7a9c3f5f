//! The stack that the tests share, and additional stacks.

use std::{
    future::Future,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use local::{
    services::{Data, Preparation, Services},
    stack::{Stack, StackOptions},
};
use tokio::{runtime::Runtime, sync::OnceCell};

use serde_json::Value;

use super::{
    Answer, Api, logs,
    proxy::Proxy,
    recorder::{self, Recorder, Tally},
};

/// The bus that every account has.
pub(crate) const EVENT_BUS: &str = "default";

/// All tests run on one runtime, because connections belong to the runtime that opened them.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime for all tests"));

static SHARED: OnceCell<World> = OnceCell::const_new();

/// Logs of all stacks that were started.
static LOGS: Mutex<Vec<std::path::PathBuf>> = Mutex::new(Vec::new());

/// A runtime for a test that would block the shared one.
static APART: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime for histories"));

/// Runs a test. Then fails if any log contains a secret, or if a call to AWS was made that the
/// template does not allow.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_on(&RUNTIME, test)
}

/// The same, on a separate runtime.
pub(crate) fn run_apart<F: Future>(test: F) -> F::Output {
    // Start the shared stack on the shared runtime.
    RUNTIME.block_on(World::shared());
    run_on(&APART, test)
}

fn run_on<F: Future>(runtime: &Runtime, test: F) -> F::Output {
    let output = runtime.block_on(test);
    let files = LOGS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for file in files {
        if let Some(found) = logs::unwanted_in(&file) {
            panic!("in {}: {found}", file.display());
        }
    }
    let refused = recorder::take_refused();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    output
}

/// A running stack with its tables.
pub(crate) struct World {
    stack: Stack,
    /// The proxies between each function and the services.
    _guards: Vec<Proxy>,
}

impl World {
    /// The shared stack, for tests that need nothing special.
    pub(crate) async fn shared() -> &'static Self {
        SHARED
            .get_or_init(async || {
                let options = StackOptions {
                    name: "shared".to_owned(),
                    concurrency: 3,
                    ..StackOptions::default()
                };
                Self::start(cheap(options)).await
            })
            .await
    }

    /// A stack beside the shared one: its own functions and settings, the same tables and keys.
    pub(crate) async fn beside(name: &str, settings: &[(&str, &str)]) -> Self {
        let shared = Self::shared().await;
        let options = StackOptions { concurrency: 1, ..StackOptions::beside(&shared.stack, name) };
        let options = settings
            .iter()
            .fold(options, |options, (variable, value)| options.with(variable, value));
        Self::start(cheap(options)).await
    }

    /// A stack beside the shared one that calls DynamoDB through a proxy.
    pub(crate) async fn behind_proxy(name: &str, settings: &[(&str, &str)]) -> (Self, Proxy) {
        let shared = Self::shared().await;
        let proxy = Proxy::before(shared.stack.services().dynamodb().endpoint()).await;
        let endpoint = proxy.endpoint();
        let through = [("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str())];
        (Self::beside(name, &[&through, settings].concat()).await, proxy)
    }

    /// A stack with these options.
    pub(crate) async fn start(options: StackOptions) -> Self {
        Self::guarded(options, None).await
    }

    /// A stack whose calls are added to `tally`.
    pub(crate) async fn recorded(options: StackOptions, tally: Tally) -> Self {
        Self::guarded(options, Some(tally)).await
    }

    /// A stack whose functions may only do what their roles in the template allow. Services for
    /// which the test sets an endpoint are not checked.
    async fn guarded(mut options: StackOptions, tally: Option<Tally>) -> Self {
        let services = if let Some(services) = options.services.take() {
            services
        } else {
            let preparation = Preparation::complete("dev", options.progress);
            let preparation = preparation.unwrap_or_else(|error| panic!("{error}"));
            Services::start(preparation).await.unwrap_or_else(|error| panic!("{error}"))
        };
        options.services = Some(Arc::clone(&services));
        let data = match options.data.take() {
            Some(data) => data,
            None => Data::create(&services).await.unwrap_or_else(|error| panic!("{error}")),
        };
        let key_ring = options.environment.get("RATCHET_KEY_RING_SECRET");
        let bus = options.own_environment.get("publisher");
        let bus = bus.and_then(|own| own.get("RATCHET_EVENT_BUS")).cloned();
        let names = [
            (data.users_table.clone(), "UsersTable"),
            (data.tokens_table.clone(), "TokensTable"),
            (key_ring.unwrap_or(&data.key_ring_secret).clone(), "KeyRingSecret"),
            (bus.unwrap_or_else(|| EVENT_BUS.to_owned()), "EventBus"),
        ];
        options.data = Some(data);
        let endpoints = [
            ("AWS_ENDPOINT_URL_DYNAMODB", services.dynamodb().endpoint()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", services.secrets().endpoint()),
            ("AWS_ENDPOINT_URL_SESV2", services.secrets().endpoint()),
            // Also served by moto.
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", services.secrets().endpoint()),
        ];
        let mut guards = Vec::new();
        for (function, described) in &services.preparation().template().functions {
            let recorder = Recorder {
                function: function.clone(),
                grants: Arc::new(described.grants.clone()),
                names: names.to_vec(),
                tally: tally.clone(),
            };
            for (variable, endpoint) in endpoints {
                let own = options.own_environment.entry(function.clone()).or_default();
                // Where a test has put something in between, the guard is before that.
                let between = own.get(variable).or_else(|| options.environment.get(variable));
                let endpoint = between.map_or(endpoint, String::as_str);
                let proxy = Proxy::recording(endpoint, recorder.clone()).await;
                own.insert(variable.to_owned(), proxy.endpoint());
                guards.push(proxy);
            }
        }
        let stack = Stack::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        LOGS.lock().unwrap_or_else(PoisonError::into_inner).extend(stack.logs());
        Self { stack, _guards: guards }
    }

    pub(crate) const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// A client without state between requests.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.stack.base_url())
    }

    /// Invokes a function as another AWS service does. Returns its result or its error.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Value {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        Answer::of(self.api().request("POST", &path).json(event)).await.json()
    }

    /// The metric lines in a function's log.
    pub(crate) fn metric_lines(&self, function: &str) -> Vec<Value> {
        let text = self.log_text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["_aws"].is_object() && line["FunctionName"] == function).collect()
    }

    /// The log lines of all functions of this stack.
    pub(crate) fn log_text(&self) -> String {
        self.stack.logs().iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }
}

/// Hashes at the lowest cost, because these tests do not measure it. Allows many failures per
/// network, because all tests come from one network and many fail on purpose.
pub(crate) fn cheap(options: StackOptions) -> StackOptions {
    let defaults = [
        ("RATCHET_ARGON2_MEMORY_KIB", "64"),
        ("RATCHET_ARGON2_ITERATIONS", "1"),
        ("RATCHET_NETWORK_FREE_FAILURES", "1000000"),
        ("RATCHET_PASSKEY_RP_ID", "example.com"),
        ("RATCHET_EMAIL_SIGN_IN", "enabled"),
    ];
    defaults.into_iter().fold(options, |options, (variable, value)| {
        if options.environment.contains_key(variable) {
            options
        } else {
            options.with(variable, value)
        }
    })
}
