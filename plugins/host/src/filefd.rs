//! `filefd`: open files of the whole host (PROC/sys/fs/file-nr).
//!
//! The second column, free file handles, is always 0 since Linux 2.6 and not told. It must not know which
//! process holds them open.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{count, words};

static ALLOCATED: Family = Family::gauge("node_filefd_allocated", "File handles in use.", []);
static MAXIMUM: Family =
    Family::gauge("node_filefd_maximum", "Most file handles that may be in use.", []);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("filefd", "Open files of the whole host.")
        .reads("PROC/sys/fs/file-nr")
        .families(&[ALLOCATED.doc(), MAXIMUM.doc()]),
    build: |setting| {
        Ok(Box::new(FileFd { file: FileReader::kept_open(setting.paths.proc("sys/fs/file-nr")) }))
    },
};

struct FileFd {
    file: FileReader,
}

impl Collector for FileFd {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let columns = parse(self.file.read()?);
        let (allocated, maximum) =
            columns.map_err(|what| CollectError::parse(self.file.path(), 1, what))?;
        ALLOCATED.emit(sink, [], allocated);
        MAXIMUM.emit(sink, [], maximum);
        Ok(())
    }
}

/// The first and the third column.
fn parse(text: &[u8]) -> Result<(u64, u64), String> {
    let mut words = words(text);
    Ok((count(words.next())?, count(words.nth(1))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn the_first_and_the_third_column_come_out() {
        let host = Host::new(&[("proc/sys/fs/file-nr", "1024\t0\t9223372036854775807\n")]);
        let text = lines(&host, &DEF);
        assert_eq!(text, "node_filefd_allocated 1024\nnode_filefd_maximum 9223372036854775807\n");
    }

    #[test]
    fn a_short_file_is_named() {
        let host = Host::new(&[("proc/sys/fs/file-nr", "1024\t0\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.is_empty());
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("file-nr:1: expected a count, found \"\""), "{error}");
    }
}
