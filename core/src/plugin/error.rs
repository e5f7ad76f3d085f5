//! Why a file could not be loaded as a plugin.
//!
//! A user who names a wrong file reads these lines, so each says which file, what is wrong with it
//! and, where there is one, what to do. It must not know how files are loaded.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
#[error("cannot load plugin {}: {reason}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// What is wrong with a plugin file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// This vigie is a static binary.
    #[error(
        "this vigie was built without the feature \"dynamic\", as static binaries are, and loads \
         no plugins; use a dynamically linked build"
    )]
    Unsupported,
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// A directory, a FIFO, a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// The dynamic linker refuses it.
    #[error("{0}")]
    Library(String),
    /// It exports no plugin under the name of the file.
    #[error(
        "it exports no symbol {0:?}: is it a vigie plugin, and does it still have the name that \
         cargo gave it?"
    )]
    NoSymbol(String),
    /// It was built for another version of the interface.
    #[error("it speaks version {theirs} of the plugin interface, this vigie speaks {ours}")]
    Abi {
        /// The plugin's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// Its table is too small.
    #[error(
        "its table has {theirs} bytes, version {} of the plugin interface has {ours}",
        super::abi::ABI
    )]
    Size {
        /// The plugin's.
        theirs: u32,
        /// Ours.
        ours: usize,
    },
    /// A function is missing in its table.
    #[error("its table has no function {0:?}")]
    Missing(&'static str),
    /// It does not say what it is.
    #[error("its description is broken: {0}")]
    Description(String),
    /// It panicked while it described itself.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// It did not return.
    #[error("it did not return within {} s", .0.as_secs())]
    Hung(Duration),
}
