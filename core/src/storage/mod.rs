//! State on disk that survives `kill -9`, a torn write and a flipped bit.
//!
//! Whole files are replaced atomically, logs carry a checksum per record, and what cannot be read
//! is set aside under another name instead of stopping vigie. It must not know what the bytes mean.

mod log;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use log::{Log, Recovered};

/// A directory for state, or memory only.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    dir: Option<PathBuf>,
    /// Held as long as any clone lives.
    lock: Option<Arc<File>>,
}

/// What failed, and on which file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct StorageError {
    /// `read`, `write`, ...
    pub what: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl StorageError {
    fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        StorageError { what, path: path.to_owned(), source }
    }

    /// Whether the disk is full or a quota reached, rather than the directory not writable.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// No state file is larger; one that is was not written by us.
const LIMIT: u64 = 1 << 30;

impl Storage {
    /// Nothing is kept.
    #[must_use]
    pub const fn memory() -> Self {
        Storage { dir: None, lock: None }
    }

    /// Keeps state in `dir`, made when missing; a probe file shows whether it is writable.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn open(dir: &Path) -> Result<Self, StorageError> {
        fs::create_dir_all(dir).map_err(|e| StorageError::new("create directory", dir, e))?;
        let probe = dir.join(".probe.tmp");
        File::create(&probe).map_err(|e| StorageError::new("write into", dir, e))?;
        fs::remove_file(&probe).map_err(|e| StorageError::new("write into", dir, e))?;
        Ok(Storage { dir: Some(dir.to_owned()), lock: None })
    }

    /// As [`Storage::open`], refusing a directory that another process holds: two writers would
    /// undo each other's state.
    ///
    /// # Errors
    /// When the directory cannot be made, written or locked.
    pub fn open_exclusive(dir: &Path) -> Result<Self, StorageError> {
        let storage = Storage::open(dir)?;
        let path = dir.join("lock");
        let file = File::create(&path).map_err(|e| StorageError::new("write", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Storage { lock: Some(Arc::new(file)), ..storage }),
            Err(TryLockError::WouldBlock) => {
                let taken = io::Error::new(io::ErrorKind::ResourceBusy, "another process holds it");
                Err(StorageError::new("lock", &path, taken))
            }
            Err(TryLockError::Error(error)) => Err(StorageError::new("lock", &path, error)),
        }
    }

    /// The directory, if state is kept.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// A part of this storage in a directory of its own, made when something is written there.
    #[must_use]
    pub fn sub(&self, name: &str) -> Self {
        Storage { dir: self.dir.as_ref().map(|dir| dir.join(name)), lock: self.lock.clone() }
    }

    /// The content of a file; `None` when there is none. A directory or an unreadable file in its
    /// place is set aside and logged, and counts as none.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.as_ref()?.join(name);
        match read_limited(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.set_aside(name, &error.to_string());
                None
            }
        }
    }

    /// Replaces a file whole: temporary file, fsync, rename, fsync of the directory. Does nothing
    /// in memory.
    ///
    /// # Errors
    /// When any step fails; the old content then stands.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let path = dir.join(name);
        let temporary = dir.join(format!(".{name}.tmp"));
        let outcome = fs::create_dir_all(dir)
            .and_then(|()| write_synced(&temporary, bytes))
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| File::open(dir)?.sync_all());
        outcome.map_err(|error| {
            // Best effort: what is left is only a hidden temporary file.
            drop(fs::remove_file(&temporary));
            StorageError::new("write", &path, error)
        })
    }

    /// Renames what cannot be used to `NAME.bad-N` and logs why.
    pub fn set_aside(&self, name: &str, reason: &str) {
        let Some(dir) = &self.dir else { return };
        let path = dir.join(name);
        let free = (0..1000).map(|n| dir.join(format!("{name}.bad-{n}"))).find(|p| !p.exists());
        let Some(aside) = free else { return };
        match fs::rename(&path, &aside) {
            Ok(()) => tracing::error!(
                file = %path.display(), kept_as = %aside.display(), reason,
                "a state file cannot be used and was set aside"
            ),
            Err(error) => tracing::error!(
                file = %path.display(), reason, %error,
                "a state file cannot be used nor set aside"
            ),
        }
    }
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&dir.path().join("a/b")).unwrap();
        assert_eq!(storage.read("x"), None);
        storage.write("x", b"one").unwrap();
        storage.write("x", b"two").unwrap();
        assert_eq!(storage.read("x").unwrap(), b"two");
        let names = fs::read_dir(storage.dir().unwrap()).unwrap().count();
        assert_eq!(names, 1, "no temporary file stays");
    }

    #[test]
    fn a_directory_in_the_place_of_a_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("x")).unwrap();
        assert_eq!(storage.read("x"), None);
        assert!(dir.path().join("x.bad-0").is_dir());
        storage.write("x", b"new").unwrap();
    }

    #[test]
    fn a_directory_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let first = Storage::open_exclusive(dir.path()).unwrap();
        let sub = first.sub("a");
        assert!(!dir.path().join("a").exists(), "made when it is needed");
        sub.write("x", b"1").unwrap();
        drop(first);
        assert!(Storage::open_exclusive(dir.path()).is_err(), "a part holds it too");
        drop(sub);
        assert!(Storage::open_exclusive(dir.path()).is_ok());
    }

    #[test]
    fn memory_keeps_nothing_and_never_fails() {
        let storage = Storage::memory();
        storage.write("x", b"1").unwrap();
        assert_eq!(storage.read("x"), None);
        assert!(storage.sub("y").dir().is_none());
    }
}
