//! The folder of one run of the stack, for its logs and temporary files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::workspace::Workspace;

/// How many folders of earlier runs are kept.
const KEPT: usize = 20;
/// A folder that was written to this recently may belong to a running stack.
const PERHAPS_IN_USE: Duration = Duration::from_hours(24);

/// `target/local/runs/<process id>-<number>`.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// Creates a new folder, and removes old ones.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn begin(workspace: &Workspace) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let runs = workspace.local().join("runs");
        fs::create_dir_all(&runs)?;
        remove_old(&runs);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = runs.join(format!("{}-{number}", std::process::id()));
        // Process ids are reused.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The folder with the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log file of a program.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Makes the folder for temporary files.
    pub(crate) fn temporary(&self) -> io::Result<Temporary> {
        let folder = self.folder.join("tmp");
        fs::create_dir_all(&folder)?;
        Ok(Temporary(folder))
    }
}

/// A folder that is removed when this value is dropped. If we are killed it stays until the run's
/// folder is removed.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("local: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Best effort: the next run tries again to remove a folder that cannot be removed now.
fn remove_old(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else { return };
    let mut folders: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    folders.sort();
    let surplus = folders.len().saturating_sub(KEPT);
    for (modified, folder) in folders.into_iter().take(surplus) {
        let in_use = modified.elapsed().map_or(true, |age| age < PERHAPS_IN_USE);
        if !in_use && let Err(error) = fs::remove_dir_all(&folder) {
            eprintln!("local: cannot remove {}: {error}", folder.display());
        }
    }
}
