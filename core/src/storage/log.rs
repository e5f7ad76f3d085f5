//! An append-only log of checksummed records.
//!
//! What was acknowledged must be found again after `kill -9`, and a torn tail must not cost the
//! records before it. It must not know what a record says.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

use super::{Storage, StorageError};

/// Length and CRC-32 of the payload, both 32 bits little-endian, before each payload.
const HEADER: usize = 8;
/// No record is larger; a length beyond it is damage.
const RECORD_LIMIT: usize = 64 << 20;

/// What was found when a log was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Whole records in the order they were appended.
    pub records: Vec<Vec<u8>>,
    /// Bytes after them that are no record; they were set aside.
    pub damaged: u64,
}

/// A log open for appending.
#[derive(Debug)]
pub struct Log {
    storage: Storage,
    name: String,
    file: Option<File>,
    /// Bytes of whole records: a failed append is cut back to here.
    length: u64,
}

impl Log {
    /// Opens or makes a log, keeping every whole record. Damage is copied to `NAME.bad-N`, logged
    /// with its offset, and cut off.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(storage: &Storage, name: &str) -> Result<(Log, Recovered), StorageError> {
        let bytes = storage.read(name).unwrap_or_default();
        let (records, whole) = split(&bytes);
        let damaged = (bytes.len() - whole) as u64;
        if damaged > 0 {
            tracing::error!(
                log = name,
                offset = whole,
                damaged,
                kept = records.len(),
                "log damaged"
            );
            storage.set_aside(name, "damaged records");
            storage.write(name, &bytes[..whole])?;
        }
        let mut log = Log {
            storage: storage.clone(),
            name: name.to_owned(),
            file: None,
            length: whole as u64,
        };
        log.file = log.open_file()?;
        Ok((log, Recovered { records, damaged }))
    }

    /// Appends records and waits until the disk has them.
    ///
    /// # Errors
    /// When they are not safely stored; the log then stands as before.
    pub fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), StorageError> {
        if self.file.is_none() {
            self.file = self.open_file()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        let outcome = file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        match outcome {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(source) => {
                // A half record would hide all that follow it; where even this fails the
                // checksum finds it at the next start.
                drop(file.set_len(self.length));
                self.file = None;
                Err(self.error("append to", source))
            }
        }
    }

    /// Bytes in the log.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Empties the log, once a snapshot holds what it said.
    ///
    /// # Errors
    /// When the file cannot be replaced; the log then stands as before.
    pub fn clear(&mut self) -> Result<(), StorageError> {
        self.storage.write(&self.name, b"")?;
        self.length = 0;
        self.file = self.open_file()?;
        Ok(())
    }

    fn open_file(&self) -> Result<Option<File>, StorageError> {
        let Some(dir) = self.storage.dir() else { return Ok(None) };
        let path = dir.join(&self.name);
        fs::create_dir_all(dir)
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path))
            .and_then(|file| {
                fs::File::open(dir)?.sync_all()?;
                Ok(Some(file))
            })
            .map_err(|source| StorageError::new("open", &path, source))
    }

    fn error(&self, what: &'static str, source: std::io::Error) -> StorageError {
        let path = self.storage.dir().unwrap_or(std::path::Path::new("")).join(&self.name);
        StorageError { what, path, source }
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum(payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// The whole records of `bytes`, and how many bytes they take.
fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(payload) = record_at(&bytes[at..]) {
        at += HEADER + payload.len();
        records.push(payload.to_vec());
    }
    (records, at)
}

fn record_at(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let sum = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    let payload = bytes.get(HEADER..HEADER.checked_add(length)?)?;
    // Zeroes would otherwise read as endless empty records: the CRC of nothing is 0.
    (length > 0 && length <= RECORD_LIMIT && checksum(payload) == sum).then_some(payload)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_was_appended_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        let (mut log, found) = Log::open(&storage, "j").unwrap();
        assert_eq!(found, Recovered::default());
        log.append(&records(&["a", "bb"])).unwrap();
        log.append(&records(&["ccc"])).unwrap();
        drop(log);
        let (mut log, found) = Log::open(&storage, "j").unwrap();
        assert_eq!(found.records, records(&["a", "bb", "ccc"]));
        log.clear().unwrap();
        log.append(&records(&["d"])).unwrap();
        assert_eq!(Log::open(&storage, "j").unwrap().1.records, records(&["d"]));
    }

    #[test]
    fn damage_costs_only_what_it_hit() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        let whole: Vec<u8> = records(&["a", "bb"]).iter().flat_map(|r| frame(r)).collect();
        let zeroes = [0; 64];
        let torn = &frame(b"ccc")[..9];
        for tail in [&zeroes[..], torn, b"garbage garbage"] {
            storage.write("j", &[&whole[..], tail].concat()).unwrap();
            let (mut log, found) = Log::open(&storage, "j").unwrap();
            assert_eq!((found.records, found.damaged), (records(&["a", "bb"]), tail.len() as u64));
            log.append(&records(&["e"])).unwrap();
            assert_eq!(Log::open(&storage, "j").unwrap().1.records, records(&["a", "bb", "e"]));
        }
        assert!(dir.path().join("j.bad-2").exists());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, whole) = split(&bytes);
            prop_assert!(whole <= bytes.len());
        }
    }
}
