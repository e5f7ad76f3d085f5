//! A small file that the configuration names.
//!
//! Certificates, passwords and templates are read whole, so each has a limit, and what is no file
//! must not block. It must not know what is in the file.

use std::path::Path;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger; the text names it.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let fail = |what: String| format!("cannot read {}: {what}", path.display());
    // A FIFO would block here for ever.
    let size = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if !size.is_file() {
        return Err(fail("not a regular file".into()));
    }
    if size.len() > limit {
        return Err(fail(format!("larger than {limit} bytes")));
    }
    std::fs::read(path).map_err(|error| fail(error.to_string()))
}
