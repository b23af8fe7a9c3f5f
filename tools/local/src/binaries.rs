//! The functions' programs, built before anything starts.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{starting::StartError, workspace::Workspace};

/// The built functions by name.
#[derive(Clone, Debug)]
pub struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    /// Builds the named functions with a profile (`dev`, `release`, …); cargo's progress and
    /// messages go to standard error.
    ///
    /// This is the selection of packages and features that `cargo lambda watch` makes with its
    /// `cargo run --bin <function>`, so that nothing is compiled at the first request.
    ///
    /// # Errors
    /// If they do not build.
    pub fn build<'a>(
        workspace: &Workspace,
        profile: &str,
        functions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StartError> {
        let bins = functions.into_iter().flat_map(|function| ["--bin", function]);
        Self::build_with(workspace, profile, bins)
    }

    /// Builds the operators' command line, which is not among the default packages: its features
    /// must not get into the functions.
    ///
    /// # Errors
    /// If it does not build.
    pub fn build_ratchet(workspace: &Workspace) -> Result<PathBuf, StartError> {
        let built = Self::build_with(workspace, "dev", ["--package", "ratchet-cli"])?;
        let missing = || StartError::Build("cargo named no program `ratchet`".to_owned());
        built.get("ratchet").map(Path::to_path_buf).ok_or_else(missing)
    }

    fn build_with<'a>(
        workspace: &Workspace,
        profile: &str,
        selection: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StartError> {
        let mut cargo = cargo(workspace);
        cargo.args(["build", "--message-format=json-render-diagnostics", "--profile", profile]);
        cargo.args(selection);
        let mut child = cargo
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(StartError::spawn("cargo build"))?;
        let mut binaries = BTreeMap::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(Message { executable: Some(path), target }) = serde_json::from_str(&line)
                {
                    binaries.insert(target.name, path);
                }
            }
        }
        match child.wait() {
            Ok(status) if status.success() => Ok(Self(binaries)),
            Ok(status) => Err(StartError::Build(status.to_string())),
            Err(cause) => Err(StartError::spawn("cargo build")(cause)),
        }
    }

    /// The program of a function.
    #[must_use]
    pub fn get(&self, function: &str) -> Option<&Path> {
        self.0.get(function).map(PathBuf::as_path)
    }

    /// The names of the functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The parts of a `cargo build` message that are needed.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// `cargo` in the workspace, as if called from a shell.
///
/// We run under `cargo run` or `cargo test`, which describe *our* package in the environment. The
/// next build must not see that.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo.current_dir(workspace.root());
    remove_cargos_variables(&mut cargo);
    cargo
}

/// Removes what cargo sets for the program that it runs.
pub(crate) fn remove_cargos_variables(command: &mut Command) {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if text == "CARGO_PRIMARY_PACKAGE"
            || text == "OUT_DIR"
            || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
}
