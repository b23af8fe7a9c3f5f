//! Running functions.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use local::functions::Environment;
use serde::Deserialize;

use crate::{
    Failure, clock,
    resources::{self, Resources},
    runtime_api::{Line, RuntimeApi, Step},
    share::Share,
};

/// Nothing that is measured takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A function's program and what it is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// What it is given on its command line.
    pub arguments: Vec<PathBuf>,
    /// Its variables.
    pub environment: Environment,
    /// The folder for its log.
    pub logs: PathBuf,
    /// The memory size whose share of a processor it gets. Without one, it has all of them.
    pub memory_mib: Option<u32>,
}

/// One process of a function. Ended when dropped.
#[derive(Debug)]
pub struct Instance {
    name: &'static str,
    process: Child,
    line: Line,
    log: PathBuf,
    spawned: Instant,
    // Dropped after the process has ended.
    share: Option<Share>,
}

/// What a client would see.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The HTTP status.
    pub status_code: u16,
    /// The body.
    pub body: Option<String>,
    /// When the event was sent; not part of the answer.
    #[serde(skip, default = "clock::now")]
    pub begun: Instant,
    /// When the answer was there; not part of it.
    #[serde(skip, default = "clock::now")]
    pub ended: Instant,
}

impl Answer {
    /// From the event to the answer.
    pub fn duration(&self) -> Duration {
        self.ended.duration_since(self.begun)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is something else.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        Ok(serde_json::from_str(self.body.as_deref().unwrap_or_default())?)
    }
}

/// How long a cold start took.
#[derive(Clone, Copy, Debug)]
pub struct ColdStart {
    /// From the start of the process until it asks for an event.
    pub init: Duration,
    /// From the start of the process until the first answer.
    pub first_answer: Duration,
}

impl Program {
    /// Starts the program; it initialises while we return.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, api: &RuntimeApi) -> io::Result<Instance> {
        let line = api.line();
        let log = self.logs.join(format!("bench-{}.log", self.name));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(&self.path);
        self.environment.apply(&mut command);
        let memory_mib = self.memory_mib.unwrap_or(256);
        command
            .args(&self.arguments)
            .env("AWS_LAMBDA_RUNTIME_API", &line.url)
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mib.to_string())
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "1")
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let spawned = clock::now();
        let process = command.spawn()?;
        let mut instance = Instance { name: self.name, process, line, log, spawned, share: None };
        if let Some(memory_mib) = self.memory_mib {
            instance.share = Some(Share::limit(instance.process.id(), memory_mib)?);
        }
        Ok(instance)
    }

    /// Starts the program and waits until it has initialised.
    ///
    /// # Errors
    /// If it does not.
    pub fn warm(&self, api: &RuntimeApi) -> Result<Instance, Failure> {
        let instance = self.start(api)?;
        instance.until_ready()?;
        Ok(instance)
    }

    /// Starts the program, has it answer one event, and ends it.
    ///
    /// # Errors
    /// If it does not answer with a success.
    pub fn cold_start(&self, api: &RuntimeApi, event: String) -> Result<ColdStart, Failure> {
        let instance = self.start(api)?;
        let spawned = instance.spawned;
        let ready = instance.until_ready()?;
        let answer = instance.answer(event)?;
        instance.expect(&answer, 200)?;
        Ok(ColdStart {
            init: ready.duration_since(spawned),
            first_answer: answer.ended.duration_since(spawned),
        })
    }
}

impl Instance {
    /// One event and its answer, which must have `status`; the function waits for the next event
    /// when this returns.
    ///
    /// # Errors
    /// If there is another answer, or none.
    pub fn invoke(&self, event: String, status: u16) -> Result<Answer, Failure> {
        let answer = self.answer(event)?;
        self.until_ready()?;
        self.expect(&answer, status)?;
        Ok(answer)
    }

    /// What its program is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What limits its use of the processors.
    pub fn limited_by(&self) -> &'static str {
        self.share.as_ref().map_or("nothing", Share::means)
    }

    /// What the process has used so far, where the operating system tells.
    pub fn resources(&self) -> Option<Resources> {
        resources::of(self.process.id())
    }

    fn answer(&self, event: String) -> Result<Answer, Failure> {
        self.line.events.send(event)?;
        match self.step()? {
            Step::Answered(exchange) => {
                let answer: Answer = serde_json::from_slice(&exchange.answer)?;
                Ok(Answer { begun: exchange.begun, ended: exchange.ended, ..answer })
            }
            step => Err(self.failure(&format!("answers with {step:?}"))),
        }
    }

    fn until_ready(&self) -> Result<Instant, Failure> {
        match self.step()? {
            Step::Ready(at) => Ok(at),
            step => Err(self.failure(&format!("does not get ready: {step:?}"))),
        }
    }

    fn expect(&self, answer: &Answer, status: u16) -> Result<(), Failure> {
        if answer.status_code == status {
            return Ok(());
        }
        let body = answer.body.as_deref().unwrap_or_default();
        Err(self.failure(&format!("answers {}, not {status}: {body}", answer.status_code)))
    }

    fn step(&self) -> Result<Step, Failure> {
        self.line.steps.recv_timeout(PATIENCE).map_err(|error| {
            self.failure(match error {
                RecvTimeoutError::Timeout => "does nothing any more",
                RecvTimeoutError::Disconnected => "has lost its connection",
            })
        })
    }

    fn failure(&self, what: &str) -> Failure {
        format!("{} {what}. The end of {}:\n{}", self.name, self.log.display(), tail(&self.log))
            .into()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("bench: cannot end {}: {error}", self.name);
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
}
