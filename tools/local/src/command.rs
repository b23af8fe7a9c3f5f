//! The command line.

pub mod demo;
pub mod mail;
pub mod up;

use std::future::Future;

use local::{
    progress::Progress,
    services::{Preparation, Services},
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
    args_conflicts_with_subcommands = true,
    after_help = "Without a command the stack starts and stays up until Ctrl-C.\n\
                  AWS_ENDPOINT_URL_DYNAMODB  use this DynamoDB instead of starting one\n\
                  PYTHON, JAVA_HOME          the Python and the Java to use"
)]
pub struct Arguments {
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to start the stack.
    #[command(flatten)]
    pub up: up::Options,
}

/// What to do instead of starting the stack and staying up.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Walks through sign-in, use, expiry and refresh, and prints each request and response.
    Demo(demo::Options),
    /// Shows the messages that the running stack has sent.
    Mail,
    /// Installs the tools into `target/` and starts nothing.
    Install,
}

/// What a command fails with: a message for the developer.
pub type Failure = Box<dyn std::error::Error>;

/// Starts a stack with demo users, runs `task` with it, and stops everything: also when a signal
/// to end comes first, at any moment.
fn with_stack(
    runtime: &Runtime,
    options: StackOptions,
    task: impl AsyncFnOnce(&Stack) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Before signals are caught: pip, Maven and cargo belong to our process group, and a Ctrl-C
    // during the installation ends them and us.
    let preparation = Preparation::complete("dev", Progress::EveryStep)?;
    runtime.block_on(async {
        let work = async {
            let services = Some(Services::start(preparation).await?);
            let stack = Stack::start(StackOptions { services, ..options }).await?;
            let result = task(&stack).await;
            stack.stop().await?;
            result
        };
        let asked_to_end = asked_to_end()?;
        tokio::select! {
            result = work => result,
            () = asked_to_end => {
                eprintln!("\nlocal: stopping …");
                Ok(())
            }
        }
    })
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
