//! Where state lives.
//!
//! A directory that was named must work; the usual places are tried, and where none can be
//! written vigie runs in memory and says so once. It must not know what is stored.

use std::path::PathBuf;

use vigie::core::storage::Storage;

/// Opens the directory named, or the first usual one that works.
pub(crate) fn open(named: &str) -> anyhow::Result<Storage> {
    if !named.is_empty() {
        return Ok(Storage::open_exclusive(named.as_ref())?);
    }
    let mut reasons = Vec::new();
    for dir in usual() {
        match Storage::open_exclusive(&dir) {
            Ok(storage) => return Ok(storage),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    tracing::warn!(reason = reasons.join("; "), "state is kept in memory only");
    Ok(Storage::memory())
}

/// The system's directory, then the user's (XDG Base Directory Specification 0.8).
fn usual() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || variable("HOME").map(|home| home.join(".local/state"));
    let user = variable("XDG_STATE_HOME").or_else(home).map(|state| state.join("vigie"));
    std::iter::once(PathBuf::from("/var/lib/vigie")).chain(user).collect()
}
