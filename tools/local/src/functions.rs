//! The functions behind an emulator of Lambda and its HTTP gateway: `cargo lambda watch`.
//!
//! Either `watch` starts the functions itself, rebuilds them when a file changes and starts more of
//! them under load. Or it only emulates Lambda, and we start a fixed number of functions, which
//! tests can freeze, kill and restart one by one.

mod environment;
mod instance;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    process::{Process, Signal, locked},
    services::{Preparation, Services},
    starting::{StartError, free_port, http_client, is_free, until_ready},
};

pub use environment::Environment;
use instance::Instance;

/// Who starts the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// We do, from the programs as they were built.
    #[default]
    Spawned,
    /// `cargo lambda watch` does, and again after every change of a file.
    Watched,
}

/// Running functions and the emulator before them.
#[derive(Debug)]
pub(crate) struct Functions {
    // Fields are dropped in this order.
    instances: Vec<Mutex<Instance>>,
    emulator: Process,
    base_url: String,
}

/// Special settings for starting functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    /// Variables of some, by their names.
    pub(crate) environment: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// A command that each function's program is started by.
    pub(crate) launcher: &'a [String],
}

/// The longest that functions may take to their first answer. On a busy machine, cargo alone, which the
/// emulator calls for each of them, takes most of a minute.
const FIRST_ANSWER: Duration = Duration::from_secs(180);

impl Functions {
    /// Starts the emulator on a port and `concurrency` instances of each function (with
    /// [`Mode::Watched`]: up to this many, on demand).
    pub(crate) async fn start(
        services: &Services,
        name: &str,
        mode: Mode,
        port: u16,
        concurrency: usize,
        environment: &Environment,
        own: Own<'_>,
    ) -> Result<Self, StartError> {
        let preparation = services.preparation();
        let command = emulator(preparation, mode, port, concurrency, environment);
        let log = services.run().log(&format!("{name}-emulator"));
        let title = "cargo lambda watch";
        let emulator = Process::spawn(title, &command, &log).map_err(StartError::spawn(title))?;
        let base_url = format!("http://127.0.0.1:{port}");
        until_listening(&emulator, port).await?;

        let mut instances = Vec::new();
        if mode == Mode::Spawned {
            for (function, described) in &preparation.template().functions {
                let program = preparation
                    .binaries()
                    .get(function)
                    .map_or_else(|| PathBuf::from(function), Path::to_path_buf);
                for number in 1..=concurrency {
                    let mut command = launched(own.launcher, &program);
                    environment.apply(&mut command);
                    command.envs(own.environment.get(function).into_iter().flatten());
                    command
                        .env("AWS_LAMBDA_RUNTIME_API", format!("{base_url}/.rt/{function}"))
                        .env("AWS_LAMBDA_FUNCTION_NAME", function)
                        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
                        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", described.memory_mib.to_string())
                        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
                        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}"))
                        .env("AWS_LAMBDA_LOG_STREAM_NAME", number.to_string());
                    let log = services.run().log(&format!("{name}-{function}-{number}"));
                    instances.push(Mutex::new(Instance::start(function, number, command, &log)?));
                }
            }
        }
        let functions = Self { instances, emulator, base_url };
        functions.until_each_answers(preparation, mode).await?;
        Ok(functions)
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn instances(&self) -> &[Mutex<Instance>] {
        &self.instances
    }

    /// The logs of the emulator and of the instances.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        let of_instances = self.instances.iter().map(|instance| locked(instance).log());
        std::iter::once(self.emulator.log().to_path_buf()).chain(of_instances).collect()
    }

    async fn until_each_answers(
        &self,
        preparation: &Preparation,
        mode: Mode,
    ) -> Result<(), StartError> {
        let http = http_client()?;
        // At the same time: each of them may take a moment to start.
        let mut waiting = JoinSet::new();
        for described in preparation.template().functions.values() {
            // The last route, because `/health` is early in the alphabet and may answer 503.
            if let Some(path) = described.paths.iter().rfind(|path| !path.contains(['{', ' '])) {
                let url = format!("{}{path}", self.base_url);
                waiting.spawn(first_answer(http.clone(), url));
            }
        }
        if mode == Mode::Spawned {
            for source in &preparation.template().event_sources {
                let path = format!("2015-03-31/functions/{}/invocations", source.function);
                let url = format!("{}/{path}", self.base_url);
                waiting.spawn(first_batch(http.clone(), url));
            }
        }
        let outcome = tokio::time::timeout(FIRST_ANSWER, async {
            tokio::select! {
                () = async { while waiting.join_next().await.is_some() {} } => Ok(()),
                error = self.one_ended() => Err(error),
            }
        });
        outcome.await.unwrap_or_else(|_| {
            Err(StartError::Silent {
                name: "one of the functions".to_owned(),
                seconds: FIRST_ANSWER.as_secs(),
                log: self.emulator.log().to_path_buf(),
                tail: self.emulator.log_tail(20),
            })
        })
    }

    /// Completes when the emulator or one of our instances has ended.
    async fn one_ended(&self) -> StartError {
        loop {
            let ended = self.instances.iter().find_map(|instance| locked(instance).early_end());
            if let Some(error) = ended.or_else(|| self.early_end()) {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Why the emulator ended, if it did.
    pub(crate) fn early_end(&self) -> Option<StartError> {
        StartError::if_ended(&self.emulator)
    }

    pub(crate) fn signal(
        &self,
        function: &str,
        number: usize,
        signal: Signal,
    ) -> std::io::Result<()> {
        self.instance(function, number, |instance| instance.signal(signal))
    }

    pub(crate) fn restart(&self, function: &str, number: usize) -> std::io::Result<()> {
        self.instance(function, number, Instance::restart)
    }

    fn instance(
        &self,
        function: &str,
        number: usize,
        act: impl FnOnce(&mut Instance) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let found =
            self.instances.iter().map(locked).find(|instance| instance.is(function, number));
        match found {
            Some(mut instance) => act(&mut instance),
            None => Err(std::io::Error::other(format!("there is no {function} {number} of ours"))),
        }
    }
}

fn launched(launcher: &[String], program: &Path) -> Command {
    let Some((first, rest)) = launcher.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    command
}

/// Port 0 stands for a free one.
pub(crate) fn choose_port(port: u16) -> Result<u16, StartError> {
    match port {
        0 => free_port().map_err(StartError::spawn("cargo lambda watch")),
        port if is_free(port) => Ok(port),
        port => Err(StartError::PortInUse(port)),
    }
}

fn emulator(
    preparation: &Preparation,
    mode: Mode,
    port: u16,
    concurrency: usize,
    environment: &Environment,
) -> Command {
    let toolbox = &preparation.toolbox;
    let mut watch = Command::new(toolbox.bin().join("cargo-lambda"));
    crate::binaries::remove_cargos_variables(&mut watch);
    environment.apply(&mut watch);
    watch
        .args(["lambda", "watch", "--disable-cors", "--invoke-address", "127.0.0.1"])
        .args(["--invoke-port", &port.to_string(), "--color", "never"])
        .env("PATH", toolbox.path_variable())
        .current_dir(preparation.workspace.root());
    match mode {
        Mode::Spawned => watch.args(["--only-lambda-apis", "--ignore-changes"]),
        Mode::Watched => watch.args(["--concurrency", &concurrency.to_string()]),
    };
    watch
}

/// Repeats a request until a function has answered.
async fn first_answer(http: reqwest::Client, url: String) {
    loop {
        // 404 and 5xx may come from the emulator; every other status is the function's own, and so
        // is a problem: a function without a key ring is up and says 503.
        if let Ok(answer) = http.get(&url).send().await {
            let problem = answer.headers().get("content-type");
            let problem = problem.is_some_and(|kind| kind == "application/problem+json");
            let status = answer.status();
            if problem || status != reqwest::StatusCode::NOT_FOUND && !status.is_server_error() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Invokes a function without routes with an empty batch, until it has answered.
async fn first_batch(http: reqwest::Client, url: String) {
    let invoke = || http.post(&url).timeout(Duration::from_secs(2)).json(&json!({"Records": []}));
    while !invoke().send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_listening(emulator: &Process, port: u16) -> Result<(), StartError> {
    until_ready(emulator, Duration::from_secs(30), async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await
}
