//! `cargo local logs`: what the functions of the running stack have logged.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    thread::sleep,
    time::Duration,
};

use local::{logs::Reader, running, template::Template, workspace::Workspace};

use super::Failure;

/// Which lines.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only this function's (authenticate, refresh, …)
    function: Option<String>,
    /// Follow new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// How often the log is read.
const PERIOD: Duration = Duration::from_millis(200);

/// Prints the log.
pub fn run(options: &Options, port: Option<u16>) -> Result<(), Failure> {
    let workspace = Workspace::locate();
    let template = Template::read(&workspace.template())?;
    let mut reader = Reader::new(&template, options.function.as_deref())
        .map_err(|known| format!("there is no such function; there are {known}"))?;
    let stack = running::find(&workspace, port)?;
    let mut log = BufReader::new(File::open(&stack.log)?);
    let mut line = Vec::new();
    loop {
        let read = log.read_until(b'\n', &mut line)?;
        // The last line may be incomplete.
        if line.ends_with(b"\n") || read == 0 && !options.follow && !line.is_empty() {
            if let Some(text) = reader.read(String::from_utf8_lossy(&line).trim_end()) {
                match writeln!(io::stdout(), "{text}") {
                    Ok(()) => {}
                    // The reader, for example `| head`, has closed the pipe.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            line.clear();
        } else if read == 0 {
            if !options.follow {
                return Ok(());
            }
            sleep(PERIOD);
        }
    }
}
