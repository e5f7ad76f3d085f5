//! One open file of a log.
//!
//! It knows how far it has read and by what the file is recognised. It must not know the other
//! files of the log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::lines::{Line, Lines};

/// Bytes of the first line that are looked at; a request's time and number stand within them.
const HEAD: usize = 1024;
/// Bytes read at once.
const CHUNK: usize = 128 << 10;

/// A place in a file, and how to find the file again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    dev: u64,
    ino: u64,
    prefix: Prefix,
    /// Behind the last line that was counted.
    pub(crate) offset: u64,
}

/// The first bytes of a file, as a hash: they do not change while it only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Prefix {
    len: usize,
    hash: u64,
}

impl Prefix {
    const EMPTY: Prefix = Prefix { len: 0, hash: FNV_OFFSET };

    /// The prefix of the file as it is now; `None` when it no longer begins with this one.
    fn grown(self, file: &File) -> Option<Prefix> {
        let mut buffer = [0; HEAD];
        let size = file.read_at(&mut buffer, 0).ok()?;
        let begins = fnv(FNV_OFFSET, buffer[..size].get(..self.len)?) == self.hash;
        begins.then(|| Prefix { len: size, hash: fnv(FNV_OFFSET, &buffer[..size]) })
    }
}

#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    id: (u64, u64),
    head: Option<u64>,
    prefix: Prefix,
    /// Where the next byte is read.
    offset: u64,
    lines: Lines,
    /// When it last grew; 0 before the first read.
    grew: i64,
}

impl Reader {
    /// Opens a regular file at its beginning. A pipe or device could block for ever and has no
    /// place to come back to, so it is not even opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}")));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let id = (metadata.dev(), metadata.ino());
        let (prefix, lines) = (Prefix::EMPTY, Lines::default());
        Ok(Reader { file, id, head: None, prefix, offset: 0, lines, grew: 0 })
    }

    /// Opens `path` at `place` if it is the very file that was left there. Devices get other numbers
    /// when they are mounted again, so the beginning can stand in for the number.
    pub(super) fn resume(path: &Path, place: &Place) -> Option<Self> {
        let mut reader = Reader::open(path).ok()?;
        let (dev, ino) = reader.id;
        let same = ino == place.ino && (dev == place.dev || place.prefix.len > 0);
        (same && reader.go_to(place)).then_some(reader)
    }

    /// Opens `path` at `place` if it begins with the same line: a copy.
    pub(super) fn resume_copy(path: &Path, place: &Place) -> Option<Self> {
        (place.prefix.len > 0).then_some(())?;
        let mut reader = Reader::open(path).ok()?;
        reader.go_to(place).then_some(reader)
    }

    fn go_to(&mut self, place: &Place) -> bool {
        (self.offset, self.prefix) = (place.offset, place.prefix);
        !self.was_truncated()
    }

    pub(super) fn skip_to_end(&mut self) -> io::Result<()> {
        self.offset = self.file.metadata()?.len();
        Ok(())
    }

    pub(super) fn place(&self) -> Place {
        let (dev, ino) = self.id;
        let offset = self.offset - self.lines.pending();
        Place { dev, ino, prefix: self.prefix, offset }
    }

    /// Device and inode.
    pub(super) fn id(&self) -> (u64, u64) {
        self.id
    }

    pub(super) fn is_same(&self, other: &Reader) -> bool {
        self.id == other.id
    }

    /// Whether no name leads to the file any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Whether what was read is no longer in it. Notes how it begins now, read or not, so that it is
    /// known again.
    pub(super) fn was_truncated(&mut self) -> bool {
        match self.prefix.grown(&self.file) {
            Some(prefix) => {
                self.prefix = prefix;
                self.size() < self.offset
            }
            None => true,
        }
    }

    /// Goes back to the beginning, as if nothing had been read.
    pub(super) fn restart(&mut self) {
        (self.head, self.prefix) = (None, Prefix::EMPTY.grown(&self.file).unwrap_or(Prefix::EMPTY));
        (self.offset, self.lines) = (0, Lines::default());
    }

    pub(super) fn has_content(&self) -> bool {
        self.size() > 0
    }

    pub(super) fn silent_since(&self) -> i64 {
        self.grew
    }

    pub(super) fn unread(&self) -> u64 {
        self.size().saturating_sub(self.offset) + self.lines.pending()
    }

    /// The hash of its first line, once there is a whole one.
    pub(super) fn head(&mut self) -> Option<u64> {
        if self.head.is_none() {
            self.head = head_of(&self.file);
        }
        self.head
    }

    /// Reads until the end, or until `budget` is used up; says which.
    pub(super) fn read(
        &mut self,
        now: i64,
        budget: &mut usize,
        on: &mut dyn FnMut(Line<'_>),
    ) -> io::Result<bool> {
        if self.grew == 0 {
            self.grew = now;
        }
        if self.size() <= self.offset {
            return Ok(true);
        }
        let at_end = self.read_chunks(now, budget, on)?;
        if self.prefix.len < HEAD {
            self.prefix = self.prefix.grown(&self.file).unwrap_or(self.prefix);
        }
        Ok(at_end)
    }

    fn read_chunks(
        &mut self,
        now: i64,
        budget: &mut usize,
        on: &mut dyn FnMut(Line<'_>),
    ) -> io::Result<bool> {
        let mut buffer = vec![0; CHUNK];
        while *budget > 0 {
            let size = match self.file.read_at(&mut buffer, self.offset) {
                Ok(0) => return Ok(true),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.lines.push(&buffer[..size], &mut *on);
            self.offset += size as u64;
            self.grew = now;
            *budget = budget.saturating_sub(size);
        }
        Ok(false)
    }

    /// Nothing more will come: what has no newline is a line too.
    pub(super) fn finish(&mut self, on: &mut dyn FnMut(Line<'_>)) {
        self.lines.finish(on);
    }

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

/// FNV-1a of the first line with its newline, cut to [`HEAD`] bytes; `None` without a whole one.
pub(super) fn head_of(file: &File) -> Option<u64> {
    let mut buffer = [0; HEAD];
    let size = file.read_at(&mut buffer, 0).ok()?;
    let line = match memchr::memchr(b'\n', &buffer[..size]) {
        Some(end) => &buffer[..=end],
        None if size == HEAD => &buffer[..],
        None => return None,
    };
    Some(fnv(FNV_OFFSET, line))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with 64 bits: stable over versions, as a checkpoint needs it.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(hash, step)
}
