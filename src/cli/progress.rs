//! A bar for long work.
//!
//! Reading gigabytes of logs takes a while, and a person wants to know how long; a script does
//! not. It must not know what is read.

use std::io::{IsTerminal, Write};

/// A bar on standard error while a long work goes on; nothing where no terminal is.
pub(crate) struct Progress {
    shown: Option<u64>,
    visible: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress { shown: None, visible: std::io::stderr().is_terminal() }
    }

    /// Shows that `done` of `total` bytes are read; redraws only when a percent is new.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        let Some(percent) = (done.min(total) * 100).checked_div(total) else { return };
        if !self.visible || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let filled = usize::try_from(percent / 4).unwrap_or(0);
        let bar = format!("{}{}", "#".repeat(filled), "-".repeat(25 - filled));
        drop(write!(std::io::stderr(), "\r[{bar}] {percent:>3} %"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
    }
}
