//! Reading small kernel files again and again.
//!
//! A reader keeps its buffer, and where asked its descriptor, so that a scrape allocates nothing
//! in the steady state. It must not know what the bytes mean.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::collect::CollectError;

/// Nothing a kernel prints is larger; a file that is was not meant for us.
const LIMIT: usize = 64 << 20;

/// A file that is read whole on every scrape into a buffer of its own.
#[derive(Debug)]
pub struct FileReader {
    path: PathBuf,
    buffer: Vec<u8>,
    keep_open: bool,
    file: Option<File>,
}

impl FileReader {
    /// Opens the file anew for each read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        FileReader { path: path.into(), buffer: Vec::new(), keep_open: false, file: None }
    }

    /// Keeps the descriptor and reads from offset 0: for files of procfs that are never replaced.
    pub fn kept_open(path: impl Into<PathBuf>) -> Self {
        FileReader { keep_open: true, ..FileReader::new(path) }
    }

    /// Where it reads.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// [`CollectError::Read`] with the path.
    pub fn read(&mut self) -> Result<&[u8], CollectError> {
        match self.fill() {
            Ok(()) => Ok(&self.buffer),
            Err(source) => {
                self.file = None;
                Err(CollectError::read(&self.path, source))
            }
        }
    }

    /// Reads another file into the same buffer: for collectors that walk a directory.
    ///
    /// # Errors
    /// [`CollectError::Read`] with the path.
    pub fn read_from(&mut self, path: &Path) -> Result<&[u8], CollectError> {
        self.file = None;
        self.keep_open = false;
        self.path.as_mut_os_string().clear();
        self.path.push(path);
        self.read()
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        if !self.keep_open {
            // `take` bounds a file that grows while it is read.
            File::open(&self.path)?.take(LIMIT as u64).read_to_end(&mut self.buffer)?;
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        read_from_start(file, &mut self.buffer)
    }
}

fn read_from_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = 0;
    buffer.resize(buffer.capacity().max(4096), 0);
    loop {
        if filled == buffer.len() {
            if filled >= LIMIT {
                break;
            }
            buffer.resize(filled * 2, 0);
        }
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_read_from_its_start_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stat");
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        let mut reader = FileReader::kept_open(&path);
        assert_eq!(reader.read().unwrap().len(), 10_000);
        assert_eq!(reader.read().unwrap().len(), 10_000);
        std::fs::write(&path, "ab").unwrap();
        assert_eq!(reader.read().unwrap(), b"ab");
    }

    #[test]
    fn errors_name_the_path() {
        let error = FileReader::new("/nowhere/at/all").read().unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"));
        assert_eq!(error.missing_is_no_data().kind(), "no_data");
        let mut reader = FileReader::new("/nowhere");
        assert!(reader.read_from(Path::new("/")).is_err(), "a directory is not a file");
    }
}
