//! Plugins of this workspace as `.so` files.
//!
//! cargo builds no shared library for a test that does not link it, so it is asked to. It must not know
//! what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Builds a package of the workspace and gives its shared library.
///
/// # Panics
/// When it cannot be built or makes none.
#[must_use]
pub fn cdylib(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(cargo)
        .args(["build", "--offline", "--quiet", "--message-format=json", "--package", package])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files: Vec<PathBuf> = messages
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .collect();
    let mut libraries =
        files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "so"));
    // Dependencies come first, procedural macros among them.
    libraries.next_back().unwrap_or_else(|| panic!("{package} makes no .so"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_becomes_a_shared_library() {
        let library = cdylib("vigie-example-dice");
        assert!(library.ends_with("libvigie_example_dice.so"), "{}", library.display());
    }
}
