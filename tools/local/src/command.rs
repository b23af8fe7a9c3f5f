//! The command line.

pub mod demo;
pub mod logs;
pub mod mail;
pub mod ratchet;
pub mod settings;
pub mod up;
mod welcome;

use std::{ffi::OsString, future::Future, pin::pin};

use clap::Parser as _;
use local::{
    keep::Keep,
    progress::Progress,
    services::{Data, Preparation, Services},
    stack::{Stack, StackOptions},
    starting::StartError,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

/// Ratchet on this machine: DynamoDB Local, a Secrets Manager and the functions.
#[derive(Debug, clap::Parser)]
#[command(
    name = "cargo local",
    bin_name = "cargo local",
    after_help = "Without a command the stack starts and stays up until Ctrl-C. Every other word is a \
                  command of\n`ratchet`, which works on the running stack: cargo local users list\n\n\
                  AWS_ENDPOINT_URL_DYNAMODB  use this DynamoDB instead of starting one\n\
                  PYTHON, JAVA_HOME          the Python and the Java to use"
)]
pub struct Arguments {
    /// Port of the API: of the stack to start (default 9000; 0 for a free one), or of the running
    /// stack that a command is for
    #[arg(long, global = true, value_name = "PORT")]
    pub port: Option<u16>,
    /// What to do instead of starting the stack.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to start the stack.
    #[command(flatten)]
    pub up: up::Options,
}

impl Arguments {
    /// Reads the command line, and ends the program if it is wrong.
    pub fn of_command_line() -> Self {
        let arguments = Self::parse();
        let without = Self::try_parse_from(["cargo local"]).map(|arguments| arguments.up);
        if arguments.command.is_some() && !without.is_ok_and(|none| none == arguments.up) {
            let conflict = "a command takes no options of the stack but --port";
            let error = clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, conflict);
            error.format(&mut <Self as clap::CommandFactory>::command()).exit()
        }
        arguments
    }
}

/// What to do instead of starting the stack and staying up.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Walks through sign-in, use, expiry and refresh, and prints each request and response.
    Demo(demo::Options),
    /// Shows the messages that the running stack has sent.
    Mail,
    /// Shows the functions' log of the running stack in readable lines.
    Logs(logs::Options),
    /// Installs the tools into `target/` and starts nothing.
    Install,
    /// A command of `ratchet`.
    #[command(external_subcommand)]
    Ratchet(Vec<OsString>),
}

/// The error of a command: a message for the developer.
pub type Failure = Box<dyn std::error::Error>;

/// How a stack of `cargo local` is started.
pub struct Start {
    /// The stack itself.
    pub stack: StackOptions,
    /// The prefix of its tables; `None` for unique names.
    pub tables: Option<String>,
    /// The folder that outlives the run.
    pub keep: Option<Keep>,
}

/// Starts a stack, runs `task` with it, and stops everything, even if a signal to end comes first.
fn with_stack(
    runtime: &Runtime,
    start: Start,
    task: impl AsyncFnOnce(&Stack) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Before signals are caught: pip, Maven and cargo are in our process group, so a Ctrl-C during
    // the installation ends them and us.
    let preparation = Preparation::complete("dev", Progress::EveryStep)?;
    runtime.block_on(async {
        let mut asked = pin!(asked_to_end()?);
        let starting = async {
            let services = Services::start_with(preparation, start.keep).await?;
            let data = match &start.tables {
                Some(prefix) => Some(Data::named(&services, prefix).await?),
                None => None,
            };
            Stack::start(StackOptions { services: Some(services), data, ..start.stack }).await
        };
        let stack = tokio::select! {
            started = starting => started?,
            () = &mut asked => {
                stopping();
                return Ok(());
            }
        };
        let result = tokio::select! {
            result = task(&stack) => result,
            () = &mut asked => {
                stopping();
                Ok(())
            }
        };
        stack.stop().await?;
        result
    })
}

fn stopping() {
    eprintln!("\nlocal: stopping …");
}

/// Completes with the first of the signals that ask a program to end.
fn asked_to_end() -> Result<impl Future<Output = ()>, StartError> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(|kind| {
        signal(kind).map_err(|cause| StartError::Spawn { name: "signal handlers".into(), cause })
    });
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests;
