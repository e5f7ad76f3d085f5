//! The one method a source of metrics has, and how it may fail.
//!
//! Timing, success metrics, panics and hangs belong to the lane, so that no collector repeats
//! them. A collector must not know who scrapes it, nor in which format.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::metric::MetricSink;

/// A source of metrics; see the [lane](crate::collect) for what surrounds a call.
///
/// `&mut self` lets a collector keep buffers and last values without locks: it is never called
/// twice at once. It is synchronous, as files are; what is not is a
/// [`Service`](crate::plugin::Service) that leaves a snapshot.
pub trait Collector: Send {
    /// Pushes the current samples. Samples pushed before an error are kept.
    ///
    /// # Errors
    /// [`CollectError::NoData`] where this host has nothing to report, any other variant for a
    /// failure. Both give `node_scrape_collector_success` 0; only the latter is logged as a warning.
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError>;
}

/// What one scrape tells its collectors.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Scrape {
    /// Wall clock at the start of the scrape.
    pub now: SystemTime,
    /// When the lane will give up on the collector called; there is no need to watch it.
    pub deadline: Instant,
}

impl Scrape {
    /// A scrape at `now`, bounded by `deadline`.
    #[must_use]
    pub const fn new(now: SystemTime, deadline: Instant) -> Self {
        Scrape { now, deadline }
    }
}

/// Why a collector gave no (or not all) samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// This host has nothing of the kind; the text says what was looked for.
    #[error("no data: {0}")]
    NoData(Cow<'static, str>),
    /// A file or directory could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file said something that was not understood.
    #[error("{}:{line}: {what}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; 0 where the file has no lines.
        line: usize,
        /// What was expected and what was found.
        what: String,
    },
    /// Anything else; the text says what was attempted.
    #[error("{0}")]
    Other(String),
}

impl CollectError {
    /// Nothing to report here, because of `what`.
    pub fn no_data(what: impl Into<Cow<'static, str>>) -> Self {
        CollectError::NoData(what.into())
    }

    /// `path` could not be read.
    pub fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        CollectError::Read { path: path.into(), source }
    }

    /// Line `line` of `path` was not understood.
    pub fn parse(path: impl AsRef<Path>, line: usize, what: impl Into<String>) -> Self {
        CollectError::Parse { path: path.as_ref().to_owned(), line, what: what.into() }
    }

    /// [`Read`](Self::Read), or [`NoData`](Self::NoData) when the file is simply not there.
    pub fn missing_is_no_data(self) -> Self {
        match self {
            CollectError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                CollectError::NoData(format!("{} does not exist", path.display()).into())
            }
            other => other,
        }
    }

    /// The label `reason` of `vigie_collector_failures_total`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            CollectError::NoData(_) => "no_data",
            CollectError::Read { .. } => "read",
            CollectError::Parse { .. } => "parse",
            CollectError::Other(_) => "other",
        }
    }
}
