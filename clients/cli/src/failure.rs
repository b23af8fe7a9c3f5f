//! What goes wrong, and the exit code that says so.

use std::{io, process::ExitCode};

use ratchet_core::{error_chain::ErrorChain, password::PasswordRule};
use ratchet_store::StoreError;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line leaves out what is needed.
    #[error("{0}")]
    Usage(String),
    /// A table can not be reached, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the terminal can not be read or written.
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// No hash or id could be made.
    #[error("{0}")]
    Machine(String),
    /// There is no user of that name, or no such session.
    #[error("{0}")]
    NotFound(String),
    /// The name or the address is somebody else's.
    #[error("{0}")]
    Taken(String),
    /// The name, the address or a line is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// The password misses rules.
    #[error("the password is refused:{}", list(.0))]
    Password(Vec<PasswordRule>),
    /// A list or an export is not whole.
    #[error("the items of {0} users can not be read")]
    Damaged(u64),
    /// An import went through, but not for every line.
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

    pub(crate) fn machine(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Machine(ErrorChain(error).to_string())
    }

    pub(crate) fn message(&self) -> String {
        ErrorChain(self).to_string()
    }

    /// As docs/operators.md has them; 2 is also what clap says of a wrong command line.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Store(_) | Self::Io { .. } | Self::Machine(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Taken(_) => 4,
            Self::Refused(_) | Self::Password(_) => 5,
            Self::Damaged(_) | Self::SomeLinesRefused(_) => 6,
        })
    }
}
