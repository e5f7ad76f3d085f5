//! When the file is read: at the start, and again whenever it or a file it names has changed.
//!
//! A look costs one `stat` per file, on a thread beside the server, because a file may lie on a
//! mount that does not answer. What is broken leaves the old state. It must not know any key.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest;
use tokio::time::timeout;

use super::WebConfig;
use crate::config::{ConfigError, Place, read_bounded};

/// Most bytes of one file.
const FILE_LIMIT: u64 = 1 << 20;
/// How long a request waits for a look; then it takes what is known.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// A file that was changed so shortly before it was read may change again within the same tick of
/// the file system's clock, without any trace.
const TICK: i128 = 100_000_000;

/// A web configuration file that is kept up to date. Clones are the same one.
#[derive(Clone, Debug)]
pub struct WebConfigFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    current: RwLock<Arc<WebConfig>>,
    last: Mutex<Look>,
    looking: AtomicBool,
}

/// What was found when the file was last read.
#[derive(Debug)]
struct Look {
    files: Files,
    /// Of the state in force.
    digest: [u8; 32],
    /// What is wrong with the file, and has been said.
    complaint: Option<String>,
}

impl WebConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// For anything that is wrong in it or in a file it names, with its place.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let mut files = Files::default();
        let config = WebConfig::read(path, &mut files)?;
        let look = Look { digest: files.digest(), files, complaint: None };
        Ok(WebConfigFile(Arc::new(Inner {
            path: path.to_owned(),
            current: RwLock::new(Arc::new(config)),
            last: Mutex::new(look),
            looking: AtomicBool::new(false),
        })))
    }

    /// Whether connections are secured by TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.0.current().tls().is_some()
    }

    /// The state to judge by, after a look at the files. One look at a time: who comes meanwhile takes
    /// what is known, and so does everybody while a look hangs.
    pub(in crate::http) async fn current(&self) -> Arc<WebConfig> {
        if !self.0.looking.swap(true, Ordering::AcqRel) {
            let looker = Looker(self.0.clone());
            let look = tokio::task::spawn_blocking(move || looker.0.look());
            if matches!(timeout(LOOK_LIMIT, look).await, Ok(Err(_))) {
                tracing::error!(file = %self.0.path.display(), "reading the web configuration failed");
            }
        }
        self.0.current()
    }
}

/// Looks; when it is done, or does not come to it, the next one may.
struct Looker(Arc<Inner>);

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.looking.store(false, Ordering::Release);
    }
}

impl Inner {
    fn current(&self) -> Arc<WebConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn last(&self) -> MutexGuard<'_, Look> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let mut last = self.last();
        if !last.files.have_changed() {
            return;
        }
        let mut files = Files::default();
        let read = self.read(&mut files);
        let digest = files.digest();
        last.files = files;
        match read {
            Ok(_) if digest == last.digest => last.complaint = None,
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                last.digest = digest;
                last.complaint = None;
                tracing::info!(file = %self.path.display(), "web configuration read again");
            }
            Err(error) => {
                let complaint = error.to_string();
                if last.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "web configuration refused, the old one stays");
                }
                last.complaint = Some(complaint);
            }
        }
    }

    /// A file that is being written is empty for a moment, which must not open the door: protection
    /// is only added while we run.
    fn read(&self, files: &mut Files) -> Result<WebConfig, ConfigError> {
        let config = WebConfig::read(&self.path, files)?;
        match config.drops(&self.current()) {
            None => Ok(config),
            Some(key) => Err(ConfigError::new(
                Place::file(self.path.display().to_string()),
                format!("{key} is gone; only a restart switches it off"),
            )),
        }
    }
}

/// The files that one state was read from.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    path: PathBuf,
    stamp: Option<Stamp>,
    digest: Option<digest::Digest>,
    read_at: i128,
}

impl Files {
    /// Reads a file and notes that it belongs to the state, be it readable or not.
    ///
    /// # Errors
    /// As [`read_bounded`].
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        // The stamp first: a change after it shows at the next look.
        let (stamp, read_at) = (Stamp::of(path), now());
        let content = read_bounded(path, FILE_LIMIT);
        let digest = content.as_ref().ok().map(|bytes| digest::digest(&digest::SHA256, bytes));
        self.0.push(Seen { path: path.to_owned(), stamp, digest, read_at });
        content
    }

    fn have_changed(&self) -> bool {
        self.0.iter().any(|seen| {
            let stamp = Stamp::of(&seen.path);
            stamp != seen.stamp || stamp.is_some_and(|stamp| stamp.changed > seen.read_at - TICK)
        })
    }

    /// Of all contents together.
    fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for seen in &self.0 {
            context.update(seen.digest.as_ref().map_or(&[0; 32], AsRef::as_ref));
        }
        context.finish().as_ref().try_into().unwrap_or_default()
    }
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// The later of content and attributes, in nanoseconds since 1970.
    changed: i128,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        let time = |seconds: i64, more: i64| i128::from(seconds) * 1_000_000_000 + i128::from(more);
        let written = time(data.mtime(), data.mtime_nsec());
        let touched = time(data.ctime(), data.ctime_nsec());
        Some(Stamp {
            device: data.dev(),
            inode: data.ino(),
            size: data.len(),
            changed: written.max(touched),
        })
    }
}

fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const USER: &str =
        "basic_auth_users: {a: $2y$04$.....................................................}\n";

    async fn status(file: &WebConfigFile) -> Option<u16> {
        let refusal = file.current().await.refuses(&HeaderMap::new()).await;
        refusal.map(|response| response.status.as_u16())
    }

    #[tokio::test]
    async fn a_change_counts_at_the_next_request_and_a_broken_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.yml");
        std::fs::write(&path, "rate_limit: {interval: 1h, burst: 1}\n").unwrap();
        let file = WebConfigFile::open(&path).unwrap();
        assert_eq!((status(&file).await, status(&file).await), (None, Some(429)));
        std::fs::write(&path, USER).unwrap();
        assert_eq!(status(&file).await, Some(401));
        for broken in ["", "{", "basic_auth_users: {a: x}\n", "other: 1\n"] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(status(&file).await, Some(401), "{broken:?}");
            assert!(file.0.last().complaint.is_some(), "{broken:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(status(&file).await, Some(401));
        std::fs::write(&path, USER).unwrap();
        let before = file.current().await;
        assert!(file.0.last().complaint.is_none());
        assert!(Arc::ptr_eq(&before, &file.current().await), "equal content is no change");
    }

    #[tokio::test]
    async fn a_look_that_hangs_delays_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.yml");
        std::fs::write(&path, USER).unwrap();
        let file = WebConfigFile::open(&path).unwrap();
        let hanging = Looker(file.0.clone());
        file.0.looking.store(true, Ordering::Release);
        std::fs::write(&path, "rate_limit: {interval: 1h, burst: 0}\n").unwrap();
        assert_eq!(status(&file).await, Some(401));
        drop(hanging);
        assert!(!file.0.looking.load(Ordering::Acquire));
    }

    #[test]
    fn a_file_that_is_old_enough_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.yml");
        std::fs::write(&path, USER).unwrap();
        let mut files = Files::default();
        files.read(&path).unwrap();
        assert!(files.have_changed(), "it was written just now");
        files.0[0].read_at += 10 * TICK;
        assert!(!files.have_changed());
        std::fs::rename(&path, dir.path().join("other")).unwrap();
        assert!(files.have_changed());
    }
}
