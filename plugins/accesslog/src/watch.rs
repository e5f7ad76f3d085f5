//! Waking up when something happens in a log's directory.
//!
//! inotify tells at once what a look every second would find as well: where it is not to be had
//! (limits, network file systems) nothing but a second is lost. It must not know what changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventStream, Inotify, WatchMask};

/// Watches directories.
#[derive(Debug)]
pub(crate) struct Watcher {
    events: Option<EventStream<[u8; 4096]>>,
}

impl Watcher {
    /// Inside a tokio runtime.
    pub(crate) fn new() -> Self {
        let opened = Inotify::init().and_then(|inotify| inotify.into_event_stream([0; 4096]));
        if let Err(error) = &opened {
            tracing::info!(%error, "no inotify: access logs are looked at once a second");
        }
        Watcher { events: opened.ok() }
    }

    /// Watches the directories of `files`, also behind symbolic links. Cheap to repeat, and has to
    /// be: a directory may come later or be replaced.
    pub(crate) fn watch(&mut self, files: &[PathBuf]) {
        let Some(events) = &self.events else { return };
        let mask = WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVE | WatchMask::DELETE;
        let real = files.iter().filter_map(|file| fs::canonicalize(file).ok());
        let dirs: BTreeSet<PathBuf> =
            files.iter().cloned().chain(real).filter_map(|file| dir(&file)).collect();
        for dir in dirs {
            if let Err(error) = events.watches().add(&dir, mask) {
                tracing::debug!(dir = %dir.display(), %error, "cannot watch");
            }
        }
    }

    /// Resolves when something happened; never without inotify.
    pub(crate) async fn changed(&mut self) {
        let Some(events) = &mut self.events else { return std::future::pending().await };
        if events.next().await.is_none_or(|event| event.is_err()) {
            // Whatever broke it will break it again: the look every second remains.
            self.events = None;
            return;
        }
        // What happened does not matter, the files are looked at anyway: drop what is queued.
        while let Some(Some(Ok(_))) = events.next().now_or_never() {}
    }
}

fn dir(file: &Path) -> Option<PathBuf> {
    let dir = file.parent()?;
    Some(if dir.as_os_str().is_empty() { Path::new(".").into() } else { dir.to_owned() })
}
