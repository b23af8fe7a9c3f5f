//! `cargo local`: the whole stack on loopback, and a guided tour.

mod command;

use std::process::ExitCode;

use command::{Arguments, Command, Failure, demo, logs, mail, ratchet, up};
use local::{dynamodb::developers_endpoint, toolbox::Toolbox, workspace::Workspace};

fn install() -> Result<(), Failure> {
    let with_dynamodb = developers_endpoint()?.is_none();
    Toolbox::install(&Workspace::locate(), with_dynamodb)?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::of_command_line();
    // The tour makes one request at a time, and the stack waits for Ctrl-C: one thread is enough.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("local: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match &arguments.command {
        None => up::run(&runtime, arguments.port, &arguments.up),
        Some(Command::Demo(options)) => demo::run(&runtime, options),
        Some(Command::Mail) => mail::run(&runtime, arguments.port),
        Some(Command::Logs(options)) => logs::run(options, arguments.port),
        Some(Command::Ratchet(words)) => ratchet::run(words, arguments.port),
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
