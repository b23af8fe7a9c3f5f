//! One process of one function.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    process::{Process, Signal},
    starting::StartError,
};

/// A function's process, which can be ended and started again.
#[derive(Debug)]
pub(crate) struct Instance {
    function: String,
    number: usize,
    command: Command,
    process: Process,
}

impl Instance {
    pub(crate) fn start(
        function: &str,
        number: usize,
        command: Command,
        log: &Path,
    ) -> Result<Self, StartError> {
        let name = format!("{function} {number}");
        let process = Process::spawn(&name, &command, log).map_err(StartError::spawn(&name))?;
        Ok(Self { function: function.to_owned(), number, command, process })
    }

    pub(crate) fn is(&self, function: &str, number: usize) -> bool {
        self.function == function && self.number == number
    }

    pub(crate) fn function(&self) -> &str {
        &self.function
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.process.log().to_path_buf()
    }

    /// Why it ended, if it did: during the start there is no good reason.
    pub(crate) fn early_end(&mut self) -> Option<StartError> {
        let status = match self.process.exit_status() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Some(StartError::Ended {
            name: format!("the function {}", self.function),
            status,
            log: self.log(),
            tail: self.process.log_tail(20),
        })
    }

    /// Sends a signal; after [`Signal::Kill`] the process is gone.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Kill => self.process.kill().map(|_| ()),
            Signal::Terminate | Signal::Stop | Signal::Continue => self.process.signal(signal),
        }
    }

    /// Ends the process if it runs, and starts a new one with the same environment and log.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.process.kill()?;
        let log = self.log();
        self.process = Process::spawn(self.process.name(), &self.command, &log)?;
        Ok(())
    }
}

/// A panic elsewhere leaves a handle on a process as usable as before.
pub(crate) fn locked(instance: &Mutex<Instance>) -> MutexGuard<'_, Instance> {
    instance.lock().unwrap_or_else(PoisonError::into_inner)
}
