//! `cargo local users list` and all other commands of `ratchet`, on the running stack.

use std::{
    collections::BTreeMap, ffi::OsString, os::unix::process::CommandExt as _, path::Path,
    process::Command,
};

use local::{binaries::Binaries, functions::Environment, running, workspace::Workspace};

use super::Failure;

/// Becomes `ratchet` with these arguments.
pub fn run(arguments: &[OsString], port: Option<u16>) -> Result<(), Failure> {
    let workspace = Workspace::locate();
    let stack = running::find(&workspace, port)?;
    let mut ratchet = command(&Binaries::build_ratchet(&workspace)?, &stack.environment);
    Err(ratchet.args(arguments).exec().into())
}

/// The program with the names and endpoints of a stack.
pub fn command(program: &Path, environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program);
    Environment::of(environment.clone()).apply(&mut command);
    command
}
