//! An error in something a user wrote, with its place.
//!
//! All configuration ends here, so that every message reads the same: file, line, column, what is
//! wrong, what was probably meant. It never quotes a value, which could be a secret.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File name as the user gave it, or `<inline>`.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column, from 1; 0 when the whole line is meant.
    pub column: usize,
}

impl Place {
    /// A whole file.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Place { file: file.into(), line: 0, column: 0 }
    }

    /// A path a user wrote here: a relative one starts at the folder of the file.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        Path::new(&*self.file).parent().unwrap_or(Path::new("")).join(path)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What; names keys and kinds, never values.
    pub what: String,
}

impl ConfigError {
    /// An error at a place.
    pub fn new(place: Place, what: impl Into<String>) -> Self {
        ConfigError { place, what: what.into() }
    }

    /// An unknown key, with the nearest of the known ones.
    pub fn unknown_key<'a>(
        place: Place,
        key: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let key: String = key.chars().take(64).collect();
        let what = match super::nearest(&key, known) {
            Some(meant) => format!("unknown key {key:?}; did you mean {meant:?}?"),
            None => format!("unknown key {key:?}"),
        };
        ConfigError { place, what }
    }
}
