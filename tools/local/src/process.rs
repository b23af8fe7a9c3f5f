//! Child processes that never outlive us.
//!
//! `Drop` is not enough: a test run may be interrupted, a terminal closed, a process killed. Every
//! program therefore runs under a small shell script (`process/supervise.sh`) that holds the other
//! end of a pipe of ours. The kernel closes the pipe when we are gone, and the script then ends the
//! program and everything below it.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::Duration,
};

#[cfg(unix)]
use std::os::unix::process::CommandExt;

const SUPERVISE: &str = include_str!("process/supervise.sh");

/// A signal for a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends the program at once, without a chance to finish anything.
    Kill,
    /// Asks the program to end.
    Terminate,
    /// Freezes the program, as Lambda does between two invocations.
    Stop,
    /// Thaws a frozen program.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running program that ends, with all its descendants, when this value is dropped or when our
/// own process ends.
pub struct Process {
    name: String,
    id: u32,
    supervisor: Mutex<Child>,
    control: Mutex<Option<Control>>,
    log: PathBuf,
}

/// The pipes to the supervisor.
struct Control {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `command`, whose output is appended to the file `log`.
    ///
    /// # Errors
    /// If there is no `sh`, or the log file cannot be written. If the program itself does not
    /// exist, it appears to end early ([`Process::exit_status`]), and its log says why.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> io::Result<Self> {
        let errors = File::options().create(true).append(true).open(log)?;
        let mut supervisor = Command::new("sh");
        supervisor
            .args(["-c", SUPERVISE, "supervise"])
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        // Only we handle Ctrl-C in a terminal, and stop the programs in our own order.
        #[cfg(unix)]
        supervisor.process_group(0);
        if let Some(folder) = command.get_current_dir() {
            supervisor.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => supervisor.env(name, value),
                None => supervisor.env_remove(name),
            };
        }

        let mut supervisor = supervisor.spawn()?;
        let mut control = match (supervisor.stdin.take(), supervisor.stdout.take()) {
            (Some(input), Some(output)) => Control { input, output: BufReader::new(output) },
            _ => return Err(io::Error::other("there is no pipe to the supervisor")),
        };
        let mut id = String::new();
        control.output.read_line(&mut id)?;
        let id = id.trim().parse().map_err(|_| {
            io::Error::other(format!("the supervisor of {name} did not report a process id"))
        })?;
        Ok(Self {
            name: name.to_owned(),
            id,
            supervisor: Mutex::new(supervisor),
            control: Mutex::new(Some(control)),
            log: log.to_path_buf(),
        })
    }

    /// What the program is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id of the program.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The file that the program's output goes to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How the program ended, or `None` while it runs.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        locked(&self.supervisor).try_wait()
    }

    /// Sends a signal to the program before it returns. Does nothing if the program has ended.
    ///
    /// # Errors
    /// If the supervisor cannot be reached although it runs.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut control = locked(&self.control);
        let Some(control) = control.as_mut() else { return Ok(()) };
        let sent = writeln!(control.input, "{}", signal.name())
            .and_then(|()| control.output.read_line(&mut String::new()));
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Kills the program and waits until it is gone.
    ///
    /// # Errors
    /// As [`Process::signal`].
    pub fn kill(&self) -> io::Result<ExitStatus> {
        self.signal(Signal::Kill)?;
        // Not `Child::wait`: it would close the pipe, which ends the descendants as well.
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(2));
        }
    }

    /// The last lines of the program's output.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closes the pipe, and the script ends the program.
        drop(locked(&self.control).take());
        if let Err(error) = locked(&self.supervisor).wait() {
            eprintln!("local: cannot wait for {} to end: {error}", self.name);
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Ignores poisoning: a handle on a process stays usable after a panic elsewhere.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines of a file; empty if it cannot be read.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests;
