//! Errors of commands, and their exit codes.

use std::{io, process::ExitCode};

use ratchet_core::{error_chain::ErrorChain, password::PasswordRule};
use ratchet_service::{Fault, accounts::AdministrationError, end_sessions::EndAllError};
use ratchet_store::StoreError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line lacks something.
    #[error("{0}")]
    Usage(String),
    /// A table cannot be reached, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same, in a use case.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A file or the terminal cannot be read or written.
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// This machine could not make a hash or an id.
    #[error("{0}")]
    Machine(String),
    /// There is no such user, session, client or key.
    #[error("{0}")]
    NotFound(String),
    /// The name or the address is taken, or the user was changed meanwhile.
    #[error("{0}")]
    Taken(String),
    /// The input is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// The password does not meet the policy.
    #[error("the password is refused:{}", list(.0))]
    Password(Vec<PasswordRule>),
    /// A list or an export is incomplete.
    #[error("the items of {0} users cannot be read")]
    Damaged(u64),
    /// An import refused some lines.
    #[error("{0} lines were refused")]
    SomeLinesRefused(u64),
}

fn list(rules: &[PasswordRule]) -> String {
    let lines: Vec<_> = rules.iter().map(|rule| format!("\n  {}: {rule}", rule.code())).collect();
    lines.concat()
}

impl Failure {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn no_such_user(name: &str) -> Self {
        Self::NotFound(format!("there is no user called {name}"))
    }

    /// Why the user with this name was not changed.
    pub(crate) fn administration(name: &str) -> impl FnOnce(AdministrationError) -> Self {
        move |error| match error {
            AdministrationError::NoSuchUser => Self::no_such_user(name),
            AdministrationError::OwnAccount => Self::Refused(error.to_string()),
            AdministrationError::ChangedMeanwhile => {
                Self::Taken(format!("{name} was changed meanwhile; try again"))
            }
            AdministrationError::Fault(fault) => Self::Fault(fault),
        }
    }

    /// Why the sessions of the user with this name were not ended.
    pub(crate) fn end_all(name: &str) -> impl FnOnce(EndAllError) -> Self {
        move |error| match error {
            EndAllError::NoSuchUser => Self::no_such_user(name),
            EndAllError::Fault(fault) => Self::Fault(fault),
        }
    }

    pub(crate) fn machine(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Machine(ErrorChain(error).to_string())
    }

    pub(crate) fn message(&self) -> String {
        ErrorChain(self).to_string()
    }

    /// The codes of docs/operators.md. clap also uses 2 for a wrong command line.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Store(_) | Self::Fault(_) | Self::Io { .. } | Self::Machine(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Taken(_) => 4,
            Self::Refused(_) | Self::Password(_) => 5,
            Self::Damaged(_) | Self::SomeLinesRefused(_) => 6,
        })
    }
}
