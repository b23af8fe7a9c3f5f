//! The data that outlives a run: a folder with the tables and the key ring.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::starting::StartError;

/// The folder of `--persist`. One stack at a time can use it.
#[derive(Debug)]
pub struct Keep {
    folder: PathBuf,
    _lock: File,
}

impl Keep {
    /// Locks a folder, after creating it if necessary.
    ///
    /// # Errors
    /// If it cannot be written, or another stack uses it.
    pub fn open(folder: &Path) -> Result<Self, StartError> {
        let cannot = |cause| StartError::Keep { folder: folder.to_path_buf(), cause };
        fs::create_dir_all(folder).map_err(cannot)?;
        // Programs of the stack run in other folders.
        let folder = folder.canonicalize().map_err(cannot)?;
        let lock = File::create(folder.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::KeptElsewhere(folder)),
            Err(TryLockError::Error(cause)) => return Err(cannot(cause)),
        }
        let keep = Self { folder, _lock: lock };
        fs::create_dir_all(keep.database()).map_err(cannot)?;
        Ok(keep)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where DynamoDB Local keeps the tables.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("dynamodb")
    }

    fn ring(&self) -> PathBuf {
        self.folder.join("key-ring.json")
    }

    /// The key ring of the last run; `None` in a new folder.
    pub(crate) fn load_ring(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.ring()) {
            Ok(ring) => Ok(Some(ring)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the key ring atomically. Only the developer can read the file.
    pub(crate) fn save_ring(&self, ring: &str) -> io::Result<()> {
        if self.load_ring()?.as_deref() == Some(ring) {
            return Ok(());
        }
        let next = self.folder.join("key-ring.json.new");
        let mut open = File::options();
        let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(ring.as_bytes())?;
        file.sync_all()?;
        fs::rename(next, self.ring())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn a_folder_belongs_to_one_stack_and_keeps_its_ring_from_others_eyes() {
        let folder = Workspace::locate().local().join("tests/keep");
        drop(fs::remove_dir_all(&folder));
        let keep = Keep::open(&folder).unwrap();
        assert_eq!(keep.load_ring().unwrap(), None);
        keep.save_ring("one").unwrap();
        keep.save_ring("two").unwrap();
        assert_eq!(keep.load_ring().unwrap().as_deref(), Some("two"));
        let mode = fs::metadata(keep.ring()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(Keep::open(&folder), Err(StartError::KeptElsewhere(_))));
        drop(keep);
        assert_eq!(Keep::open(&folder).unwrap().load_ring().unwrap().as_deref(), Some("two"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
