//! Attributes of sysfs: small files, one value each, found below directories of devices.
//!
//! One buffer and one path serve all of them, so that a walk over many devices allocates little. It must not
//! know what an attribute means.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use vigie_core::collect::CollectError;

use crate::parse;

/// The kernel gives no attribute more than a page.
const PAGE: usize = 4096;

/// Reads attributes, one after the other.
#[derive(Debug)]
pub(crate) struct Attributes {
    path: PathBuf,
    buffer: Box<[u8; PAGE]>,
}

impl Attributes {
    pub(crate) fn new() -> Self {
        Attributes { path: PathBuf::new(), buffer: Box::new([0; PAGE]) }
    }

    /// `DIRECTORY/name` without the blanks around it, in one read(2): some drivers answer a second one with an
    /// error.
    pub(crate) fn read(&mut self, directory: &Path, name: &str) -> io::Result<&[u8]> {
        self.path.as_mut_os_string().clear();
        self.path.push(directory);
        self.path.push(name);
        let length = File::open(&self.path)?.read(&mut self.buffer[..])?;
        Ok(self.buffer[..length].trim_ascii())
    }

    /// An attribute that may be missing, and that a sleeping device may refuse: that costs its own series only.
    pub(crate) fn optional(&mut self, directory: &Path, name: &str) -> Option<&[u8]> {
        self.read(directory, name).ok()
    }

    /// An optional attribute that is a decimal number without sign.
    pub(crate) fn number(&mut self, directory: &Path, name: &str) -> Option<u64> {
        self.optional(directory, name).and_then(parse::number)
    }

    /// An optional attribute that is a decimal number with or without sign.
    pub(crate) fn signed(&mut self, directory: &Path, name: &str) -> Option<i64> {
        self.optional(directory, name).and_then(parse::signed)
    }

    /// An optional attribute as text for a label; empty when it is missing.
    pub(crate) fn text(&mut self, directory: &Path, name: &str) -> String {
        self.optional(directory, name)
            .map(|bytes| parse::text(bytes).into_owned())
            .unwrap_or_default()
    }
}

/// The names in a directory, sorted; those that are not UTF-8 are no names of the kernel.
///
/// # Errors
/// [`CollectError::Read`] with the path; [`CollectError::missing_is_no_data`] where devices of the kind need not
/// exist.
pub(crate) fn entries(directory: &Path) -> Result<Vec<String>, CollectError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|source| CollectError::read(directory, source))
}

/// The same, and none where the directory does not exist: for devices whose absence is no failure.
///
/// # Errors
/// [`CollectError::Read`] with the path.
pub(crate) fn entries_if_any(directory: &Path) -> Result<Vec<String>, CollectError> {
    match entries(directory).map_err(CollectError::missing_is_no_data) {
        Err(CollectError::NoData(_)) => Ok(Vec::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn attributes_are_trimmed_numbers_and_texts() {
        let host = Host::new(&[
            ("sys/a/size", "12\n"),
            ("sys/a/temp", "-4000\n"),
            ("sys/a/name", " a b \n"),
            ("sys/a/big", "99999999999999999999\n"),
        ]);
        let directory = host.dir.path().join("sys/a");
        let mut attributes = Attributes::new();
        assert_eq!(attributes.number(&directory, "size"), Some(12));
        assert_eq!(attributes.number(&directory, "big"), None);
        assert_eq!(attributes.signed(&directory, "temp"), Some(-4000));
        assert_eq!(attributes.text(&directory, "name"), "a b");
        assert_eq!(attributes.text(&directory, "missing"), "");
        assert!(attributes.read(&directory, "missing").is_err());
        assert!(attributes.optional(&directory, ".").is_none(), "a directory is no attribute");
    }

    #[test]
    fn entries_are_sorted_and_a_missing_directory_is_named() {
        let host = Host::new(&[("sys/a/z", ""), ("sys/a/b", "")]);
        assert_eq!(entries(&host.dir.path().join("sys/a")).unwrap(), ["b", "z"]);
        let error = entries(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"));
        assert_eq!(error.missing_is_no_data().kind(), "no_data");
        assert!(entries_if_any(Path::new("/nowhere/at/all")).unwrap().is_empty());
        assert!(entries_if_any(Path::new("/proc/version")).is_err(), "a file is no directory");
    }
}
