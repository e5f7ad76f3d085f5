//! Why vigie did not start, or kept what it had.
//!
//! One enum over the errors of the parts, each of which already says what was attempted and where.
//! It must not know how an error is shown.

use vigie_core::collect::BuildError;
use vigie_core::config::{ConfigError, FlagError, Place};
use vigie_core::http::ServerError;
use vigie_core::storage::StorageError;

/// An error of [`Vigie`](crate::Vigie).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something in a file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Collectors that cannot be built, by name.
    #[error("{}", collectors(.0))]
    Collectors(Vec<(String, BuildError)>),
    /// A flag that is unknown or has a wrong value.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// State that cannot be kept.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An address that cannot be bound.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A plugin file that cannot be loaded.
    #[error("{0}")]
    Plugin(String),
}

fn collectors(errors: &[(String, BuildError)]) -> String {
    let lines = errors.iter().map(|(name, error)| format!("collector {name}: {error}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a file a user named; a directory or unreadable file says so with its name.
pub(crate) fn read_file(path: &std::path::Path) -> Result<String, ConfigError> {
    let shown = path.display().to_string();
    std::fs::read(path)
        .map_err(|error| format!("cannot read: {error}"))
        .and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
                format!("not UTF-8 text on line {line}")
            })
        })
        .map_err(|what| ConfigError::new(Place::file(shown), what))
}
