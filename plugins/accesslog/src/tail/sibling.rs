//! The files beside a log that rotation left.
//!
//! `access.log.1`, `access.log-20261120`, `access-2026-11-20.log`: what logrotate and its kind make of
//! a name. It must not know how far anything was read.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::reader::{Place, Reader, head_of};

/// A file that rotation left.
#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) id: (u64, u64),
    /// Hash of its first line.
    pub(super) head: u64,
    modified: SystemTime,
}

/// What was seen beside a log.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// Inode and time of change: enough to open no file twice that did not change.
    seen: HashSet<(u64, i64, i64)>,
}

impl Siblings {
    /// The files that rotation left and that changed since the last look, oldest first; compressed
    /// ones and those without a whole line are not among them.
    pub(super) fn changed(&mut self, log: &Path) -> Vec<Sibling> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for path in beside(log) {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if !is_dated(log, &path) {
                continue;
            }
            let state = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
            seen.insert(state);
            if !self.seen.contains(&state) {
                found.extend(look(path, &metadata));
            }
        }
        self.seen = seen;
        found.sort_by_key(|sibling| sibling.modified);
        found
    }
}

fn look(path: PathBuf, metadata: &fs::Metadata) -> Option<Sibling> {
    let head = head_of(&File::open(&path).ok()?)?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Sibling { path, id: (metadata.dev(), metadata.ino()), head, modified })
}

/// The file that was left at `place`, under whatever name it now has beside `log`; else a copy of
/// it that goes on at least as far.
pub(super) fn find(log: &Path, place: &Place) -> Option<Reader> {
    let paths = beside(log);
    let same = paths.iter().find_map(|path| Reader::resume(path, place));
    same.or_else(|| {
        let mut copies: Vec<&PathBuf> = paths.iter().collect();
        copies.sort_by_key(|path| std::cmp::Reverse(modified(path)));
        copies.into_iter().find_map(|path| Reader::resume_copy(path, place))
    })
}

/// Regular files in the same directory whose names begin alike.
fn beside(log: &Path) -> Vec<PathBuf> {
    let (Some(dir), Some(stem)) = (log.parent(), log.file_stem()) else { return Vec::new() };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let alike = |name: &std::ffi::OsStr| {
        name.as_encoded_bytes().starts_with(stem.as_encoded_bytes())
            && Some(name) != log.file_name()
    };
    entries
        .flatten()
        .filter(|entry| alike(&entry.file_name()))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect()
}

fn modified(path: &Path) -> SystemTime {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether a name is the log's with a number or a date: `access.log.1`, `access.1.log`,
/// `access-20261120.log`. A short number behind a dash is another log, not an older one.
fn is_dated(log: &Path, path: &Path) -> bool {
    let text = |part: Option<&std::ffi::OsStr>| part.and_then(|p| p.to_str()).map(str::to_owned);
    let (Some(name), Some(full), Some(stem)) =
        (text(path.file_name()), text(log.file_name()), text(log.file_stem()))
    else {
        return false;
    };
    let extension = text(log.extension()).map(|e| format!(".{e}")).unwrap_or_default();
    let behind = name.strip_prefix(&full);
    let between = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(&extension));
    [behind, between].into_iter().flatten().any(|rest| {
        let digits = rest.chars().filter(char::is_ascii_digit).count();
        let enough = if rest.starts_with('.') { 1 } else { 6 };
        rest.starts_with(['.', '-', '_'])
            && digits >= enough
            && rest.chars().all(|c| c.is_ascii_digit() || "-_.:T".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rotation_gives_are_known() {
        let log = Path::new("/l/access.log");
        for name in [
            "access.log.1",
            "access.log-20261120",
            "access.log.2026-11-20T16:10:03",
            "access-20261120.log",
            "access.1.log",
        ] {
            assert!(is_dated(log, Path::new(name)), "{name}");
        }
        for name in [
            "access.log",
            "access.log.1.gz",
            "access.log.bak",
            "access-errors.log",
            "access2.log",
            "access-2.log",
            "access2.txt",
            "other.log.1",
        ] {
            assert!(!is_dated(log, Path::new(name)), "{name}");
        }
    }
}
