//! The registry of stacks that run from this checkout, and how to reach them.
//!
//! Each `cargo local` holds a lock on one file, named after the port of its API. The kernel
//! releases the lock with the process, so the file of a killed stack is recognised as stale.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

/// A stack that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Process id of its `cargo local`.
    pub pid: u32,
    /// URL of the API.
    pub api: String,
    /// Endpoint of moto, which keeps the messages.
    pub moto: String,
    /// The log that the functions write to.
    pub log: PathBuf,
    /// Environment of the functions, which the operators' command line uses too.
    pub environment: BTreeMap<String, String>,
}

/// Why a stack cannot be registered, or none was found.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// Another `cargo local` of this checkout has the port.
    #[error(
        "Ratchet already runs here (pid {pid}), at http://127.0.0.1:{port}. \
         Stop it, or start a second one with another --port"
    )]
    AlreadyRuns {
        /// Its process id.
        pid: u32,
        /// The port of its API.
        port: u16,
    },
    /// No stack runs, or none on the port that was named.
    #[error("no stack is running{}: start one with `cargo local`", at(*.0))]
    None(Option<u16>),
    /// Several stacks run, and none of them on the usual port.
    #[error("several stacks are running: choose one with --port ({})", ports(.0))]
    Several(Vec<u16>),
    /// A file of the registry cannot be read or written.
    #[error("cannot use {path}: {cause}")]
    Files {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
}

fn at(port: Option<u16>) -> String {
    port.map(|port| format!(" on port {port}")).unwrap_or_default()
}

fn ports(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// A port that is reserved within this checkout until this value is dropped.
#[derive(Debug)]
pub struct Registration {
    file: File,
    path: PathBuf,
}

/// The first contents of a registration, while the stack is still starting.
#[derive(Serialize, Deserialize)]
struct Owner {
    pid: u32,
}

impl Registration {
    /// Takes the port of an API.
    ///
    /// # Errors
    /// [`RunningError::AlreadyRuns`], or if the file cannot be written.
    pub fn claim(workspace: &Workspace, port: u16) -> Result<Self, RunningError> {
        let folder = folder(workspace);
        let path = folder.join(format!("{port}.json"));
        fs::create_dir_all(&folder).map_err(files(&folder))?;
        loop {
            let open =
                File::options().create(true).truncate(false).read(true).write(true).open(&path);
            let mut file = open.map_err(files(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).map_err(files(&path))?;
                    // A process that only reads also holds the lock, for a moment.
                    let Ok(Owner { pid }) = serde_json::from_str(&text) else {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    };
                    return Err(RunningError::AlreadyRuns { pid, port });
                }
                Err(TryLockError::Error(cause)) => return Err(RunningError::Files { path, cause }),
            }
            // The previous owner may have removed the file after we opened it.
            if !is_at(&file, &path) {
                continue;
            }
            let mut registration = Self { file, path };
            registration.write(&Owner { pid: process::id() })?;
            return Ok(registration);
        }
    }

    /// Publishes how to reach the stack, now that it is up.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn publish(&mut self, running: &Running) -> Result<(), RunningError> {
        self.write(running)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), RunningError> {
        let text = serde_json::to_string(value).map_err(io::Error::other);
        text.and_then(|text| {
            self.file.rewind()?;
            self.file.set_len(0)?;
            self.file.write_all(text.as_bytes())
        })
        .map_err(files(&self.path))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A file that stays is not locked, so it is not taken for a running stack.
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("local: cannot remove {}: {error}", self.path.display());
        }
    }
}

/// The stack whose API has this port; without a port, the only stack or the one on port 9000.
///
/// # Errors
/// If there is none, or more than one to choose from.
pub fn find(workspace: &Workspace, port: Option<u16>) -> Result<Running, RunningError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder(workspace)).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        let port =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(port), Some(running)) = (port, read(&path)) {
            found.insert(port, running);
        }
    }
    let ports: Vec<u16> = found.keys().copied().collect();
    let wanted = match (port, ports.as_slice()) {
        (Some(port), _) => port,
        (None, [only]) => *only,
        (None, _) => DEFAULT_PORT,
    };
    found.remove(&wanted).ok_or(match port {
        None if ports.len() > 1 => RunningError::Several(ports),
        _ => RunningError::None(port),
    })
}

/// The default port of the API.
pub const DEFAULT_PORT: u16 = 9000;

/// The contents of a registration, if its stack is up.
fn read(path: &Path) -> Option<Running> {
    let mut file = File::open(path).ok()?;
    let owned = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok().filter(|_| owned)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.local().join("stacks")
}

fn files(path: &Path) -> impl FnOnce(io::Error) -> RunningError + use<> {
    let path = path.to_path_buf();
    move |cause| RunningError::Files { path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(port: u16) -> Running {
        Running {
            pid: process::id(),
            api: format!("http://127.0.0.1:{port}"),
            moto: "http://127.0.0.1:1".to_owned(),
            log: PathBuf::from("log"),
            environment: BTreeMap::new(),
        }
    }

    /// A workspace of the test's own, removed with it.
    struct Checkout(Workspace);

    impl Checkout {
        fn new(name: &str) -> Self {
            let root = Workspace::locate().local().join("tests").join(name);
            drop(fs::remove_dir_all(&root));
            Self(Workspace::at(&root))
        }
    }

    impl Drop for Checkout {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(self.0.root()));
        }
    }

    #[test]
    fn a_port_has_one_owner_who_is_named() {
        let Checkout(workspace) = &Checkout::new("one-owner");
        let first = Registration::claim(workspace, 9000).unwrap();
        let error = Registration::claim(workspace, 9000).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("Ratchet already runs here (pid {})", process::id())),
            "{error}"
        );
        drop(first);
        drop(Registration::claim(workspace, 9000).unwrap());
    }

    #[test]
    fn commands_find_the_stack_that_they_name_and_else_the_only_or_the_usual_one() {
        let Checkout(workspace) = &Checkout::new("find");
        let api = |port| find(workspace, port).map(|running| running.api);
        assert!(matches!(api(None), Err(RunningError::None(None))));
        let mut other = Registration::claim(workspace, 9100).unwrap();
        // It is still starting.
        assert!(matches!(api(None), Err(RunningError::None(None))));
        other.publish(&running(9100)).unwrap();
        assert_eq!(api(None).unwrap(), "http://127.0.0.1:9100");
        let mut third = Registration::claim(workspace, 9200).unwrap();
        third.publish(&running(9200)).unwrap();
        assert!(matches!(api(None), Err(RunningError::Several(ports)) if ports == [9100, 9200]));
        assert_eq!(api(Some(9200)).unwrap(), "http://127.0.0.1:9200");
        assert!(matches!(api(Some(9300)), Err(RunningError::None(Some(9300)))));
        let mut usual = Registration::claim(workspace, DEFAULT_PORT).unwrap();
        usual.publish(&running(DEFAULT_PORT)).unwrap();
        assert_eq!(api(None).unwrap(), "http://127.0.0.1:9000");
    }

    #[test]
    fn a_stack_that_was_killed_is_not_found() {
        let Checkout(workspace) = &Checkout::new("killed");
        let mut registration = Registration::claim(workspace, 9000).unwrap();
        registration.publish(&running(9000)).unwrap();
        registration.file.unlock().unwrap();
        assert!(matches!(find(workspace, None), Err(RunningError::None(None))));
        drop(Registration::claim(workspace, 9000).unwrap());
    }
}
