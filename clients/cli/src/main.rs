//! `ratchet`: the operators' command line for users, sessions, clients and keys. It works directly on
//! the tables and the key ring.
//!
//! It may do what its AWS credentials may do. docs/operators.md describes it.

mod arguments;
mod clients;
mod connection;
mod failure;
mod keys;
mod output;
mod password;
mod restore;
mod sessions;
mod time;
mod users;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser as _;
use connection::Connection;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = async {
        if let Command::Keys(command) = arguments.command {
            let versions = connection::key_ring(&arguments.connection).await?;
            return keys::run(&versions, command, arguments.json).await;
        }
        if let Command::Restore(restore) = arguments.command {
            return restore::run(&arguments.connection, restore, arguments.json).await;
        }
        let connection = Connection::open(&arguments.connection).await?;
        match arguments.command {
            Command::Keys(_) | Command::Restore(_) => Ok(()),
            Command::Users(command) => users::run(&connection, command, arguments.json).await,
            Command::Sessions(command) => sessions::run(&connection, command, arguments.json).await,
            Command::Clients(command) => {
                clients::run(&arguments.connection, &connection, command, arguments.json).await
            }
        }
    };
    match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ratchet: {}", failure.message());
            failure.exit_code()
        }
    }
}
