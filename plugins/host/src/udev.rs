//! Records of the udev database (UDEV/bMAJOR:MINOR for block devices).
//!
//! udev replaces a record when its device changes, so a record is read again only when its file is
//! another one. It must not know which of the properties are exported.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::parse::{lines, text};

/// The properties of one device; empty while there is no record.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    stamp: Option<Stamp>,
    properties: Vec<(String, String)>,
}

/// What tells one version of a file from another: inode, size, time of change.
type Stamp = (u64, u64, i64, i64);

impl Record {
    /// The record in file `path`, not yet read.
    pub(crate) fn new(path: PathBuf) -> Self {
        Record { path, stamp: None, properties: Vec::new() }
    }

    /// Reads the file if it is not the one read last; without a file the record is empty.
    pub(crate) fn refresh(&mut self) {
        let stamp = std::fs::metadata(&self.path).ok().map(|file| stamp(&file));
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        self.properties = std::fs::read(&self.path).map(|file| parse(&file)).unwrap_or_default();
    }

    /// The value of a property, empty when the record has none.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.properties.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    }
}

fn stamp(file: &Metadata) -> Stamp {
    (file.ino(), file.size(), file.ctime(), file.ctime_nsec())
}

/// Lines `E:KEY=VALUE`; all others are tags, links and priorities.
fn parse(file: &[u8]) -> Vec<(String, String)> {
    let property = |line: &[u8]| {
        let property = line.strip_prefix(b"E:")?;
        let equals = memchr::memchr(b'=', property)?;
        let (key, value) = (&property[..equals], &property[equals + 1..]);
        Some((text(key).into_owned(), text(value).into_owned()))
    };
    lines(file).filter_map(|(_, line)| property(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_follows_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b8:0");
        let mut record = Record::new(path.clone());
        record.refresh();
        assert_eq!(record.get("ID_MODEL"), "");
        std::fs::write(&path, "S:disk/by-id/x\nE:ID_MODEL=Disk=1\nE:ID_PATH=\nE:broken\n").unwrap();
        record.refresh();
        assert_eq!((record.get("ID_MODEL"), record.get("ID_PATH")), ("Disk=1", ""));
        std::fs::write(dir.path().join("new"), "E:ID_MODEL=Other\n").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        record.refresh();
        assert_eq!(record.get("ID_MODEL"), "Other");
        std::fs::remove_file(&path).unwrap();
        record.refresh();
        assert_eq!(record.get("ID_MODEL"), "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
