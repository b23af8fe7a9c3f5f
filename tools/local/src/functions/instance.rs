//! One process of one function.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
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
        let name = format!("the function {function} (instance {number})");
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

    /// Why it ended, if it did. During the start it should not.
    pub(crate) fn early_end(&self) -> Option<StartError> {
        StartError::if_ended(&self.process)
    }

    /// Sends a signal; after [`Signal::Kill`] the process is gone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
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
