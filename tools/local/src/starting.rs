//! Starting a program and waiting until it answers, and what can go wrong.

use std::{
    io,
    net::TcpListener,
    ops::Range,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use crate::{process::Process, template::TemplateError, toolbox::ToolboxError};

/// Why the stack, or a part of it, did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tools cannot be installed.
    #[error(transparent)]
    Toolbox(#[from] ToolboxError),
    /// `template.yaml` cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// `cargo build` failed; it has printed why.
    #[error("cargo build failed ({0}); its messages are above")]
    Build(String),
    /// A program cannot be started, or its log cannot be written.
    #[error("cannot start {name}: {cause}")]
    Spawn {
        /// The program.
        name: String,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A program has ended that should still run.
    #[error("{name} has ended ({status}), but it should run. The end of {}:\n{tail}", log.display())]
    Ended {
        /// The program.
        name: String,
        /// Its exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },
    /// A program runs but does not answer.
    #[error("{name} did not answer within {seconds} seconds. The end of {}:\n{tail}", log.display())]
    Silent {
        /// The program.
        name: String,
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },
    /// The developer's own endpoint is not a URL.
    #[error(
        "AWS_ENDPOINT_URL_DYNAMODB is {0}, which has no scheme: set it to http://{0} (or https://{0})"
    )]
    NoScheme(String),
    /// The developer's own endpoint does not answer.
    #[error(
        "no DynamoDB answers at {endpoint}. Start one there, or unset AWS_ENDPOINT_URL_DYNAMODB to use the local one"
    )]
    NoDynamoDb {
        /// What `AWS_ENDPOINT_URL_DYNAMODB` says.
        endpoint: String,
    },
    /// The requested port is taken.
    #[error("port {0} is in use. End what uses it, or choose another with --port")]
    PortInUse(u16),
    /// The folder of `--persist` cannot be used.
    #[error("cannot keep anything in {folder}: {cause}")]
    Keep {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Another stack keeps its data in the same folder.
    #[error("another stack uses {0}: stop it, or choose another folder")]
    KeptElsewhere(PathBuf),
    /// A table or secret cannot be created.
    #[error("cannot create {what}: {cause}")]
    Create {
        /// Which.
        what: String,
        /// What the service says.
        cause: String,
    },
    /// An override of a variable that the template does not give to the functions.
    #[error("the functions have no variable {0}: template.yaml does not name it")]
    UnknownVariable(String),
}

impl StartError {
    pub(crate) fn spawn(name: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let name = name.to_owned();
        move |cause| Self::Spawn { name, cause }
    }

    /// Why a program that should run does not, or `None` if it does.
    pub(crate) fn if_ended(process: &Process) -> Option<Self> {
        let status = match process.exit_status() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Some(Self::Ended {
            name: process.name().to_owned(),
            status,
            log: process.log().to_path_buf(),
            tail: process.log_tail(20),
        })
    }

    pub(crate) fn create(what: &str) -> impl FnOnce(String) -> Self + use<> {
        let what = what.to_owned();
        move |cause| Self::Create { what, cause }
    }
}

/// The ports to choose from. They lie below the ephemeral ports (Linux: from 32768; RFC 6335 §6: from
/// 49152), so the system does not assign a chosen one before the program listens.
const PORTS: Range<u16> = 20_000..32_000;

/// A free port of the loopback interface. A process gets each port once.
///
/// # Errors
/// If there is none.
pub fn free_port() -> io::Result<u16> {
    /// How many were tried so far.
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes with adjacent ids start far from each other.
    let first = process::id().wrapping_mul(7_417) % count;
    for _ in PORTS {
        let tried = u32::from(TRIED.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((first + tried) % count).map_err(io::Error::other)?;
        let port = PORTS.start + offset;
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}

/// Whether a port of the loopback interface is free.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// An HTTP client for loopback, without a proxy and with a timeout.
pub(crate) fn http_client() -> Result<reqwest::Client, StartError> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| StartError::create("an HTTP client")(error.to_string()))
}

/// Waits until `ready` returns true. Fails if `process` ends first, or takes longer than `within`.
pub(crate) async fn until_ready(
    process: &Process,
    within: Duration,
    ready: impl AsyncFn() -> bool,
) -> Result<(), StartError> {
    let waiting = async {
        loop {
            if let Some(error) = StartError::if_ended(process) {
                return Err(error);
            }
            if ready().await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(within, waiting).await {
        Ok(result) => result,
        Err(_) => Err(StartError::Silent {
            name: process.name().to_owned(),
            seconds: within.as_secs(),
            log: process.log().to_path_buf(),
            tail: process.log_tail(20),
        }),
    }
}

/// Starts a program on a free port. Tries again if it ends early, because another program may have
/// taken the port.
pub(crate) async fn on_a_free_port<T>(
    name: &str,
    start: impl AsyncFn(u16) -> Result<T, StartError>,
) -> Result<T, StartError> {
    let mut attempts = 3_u8;
    loop {
        attempts -= 1;
        match start(free_port().map_err(StartError::spawn(name))?).await {
            Err(StartError::Ended { .. }) if attempts > 0 => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_below_what_systems_hand_out_and_is_given_once() {
        let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
        assert!(ports.iter().all(|port| PORTS.contains(port) && is_free(*port)));
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
    }
}
