//! `cargo local`: the whole stack on loopback, and a walk through it.

mod command;

use std::process::ExitCode;

use clap::Parser;

use command::{Arguments, Command, Failure, demo, mail, up};
use local::{dynamodb::developers_endpoint, toolbox::Toolbox, workspace::Workspace};

fn install() -> Result<(), Failure> {
    let with_dynamodb = developers_endpoint().is_none();
    Toolbox::install(&Workspace::locate(), with_dynamodb)?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The walk makes one request at a time, the stack waits for Ctrl-C: one thread is enough.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("local: can not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match &arguments.command {
        None => up::run(&runtime, &arguments.up),
        Some(Command::Demo(options)) => demo::run(&runtime, options),
        Some(Command::Mail) => mail::run(&runtime),
        Some(Command::Install) => install(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
