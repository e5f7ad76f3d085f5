//! A family whose value is a kernel file of its own.
//!
//! PROC/sys is full of such files. It must not know what the numbers mean.

use std::path::PathBuf;

use vigie_core::collect::{CollectError, FileReader};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{count, words};

/// The family and its file.
pub(crate) struct Scalar {
    family: &'static Family,
    file: FileReader,
}

impl Scalar {
    pub(crate) fn new(family: &'static Family, path: PathBuf) -> Self {
        Scalar { family, file: FileReader::kept_open(path) }
    }

    /// Reads and emits the first word of the file, which other words may follow.
    pub(crate) fn emit(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let value = count(words(self.file.read()?).next());
        let value = value.map_err(|what| CollectError::parse(self.file.path(), 1, what))?;
        self.family.emit(sink, [], value);
        Ok(())
    }
}
