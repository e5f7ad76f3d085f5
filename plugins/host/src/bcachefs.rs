//! `bcachefs`: what bcachefs file systems and their devices did (SYS/fs/bcachefs).
//!
//! Every file of the directory `counters` is a family, also those of kernels newer than the table of texts; the
//! others are small tables of text. It must not know sizes: those are the collector `filesystem`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Desc, Family, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::parse::{lines, number, shown, text, words};
use crate::sysfs::{Attributes, entries, entries_if_any};

mod catalogue;
mod device;
mod human;

use human::sizes;

static INFO: Family<1> =
    Family::gauge("node_bcachefs_info", "The mounted bcachefs file systems; always 1.", ["uuid"]);
static CACHE_SIZE: Family<1> = Family::gauge(
    "node_bcachefs_btree_cache_size_bytes",
    "Memory taken by cached btree nodes.",
    ["uuid"],
);
static COMPRESSED: Family<2> = Family::gauge(
    "node_bcachefs_compression_compressed_bytes",
    "Data as it lies on disk, by how it is compressed.",
    ["algorithm", "uuid"],
);
static UNCOMPRESSED: Family<2> = Family::gauge(
    "node_bcachefs_compression_uncompressed_bytes",
    "The same data before compression.",
    ["algorithm", "uuid"],
);
static WRITES: Family<2> = Family::counter(
    "node_bcachefs_btree_writes_total",
    "Writes of btree nodes, by what caused them.",
    ["type", "uuid"],
);
static WRITE_SIZE: Family<2> = Family::gauge(
    "node_bcachefs_btree_write_average_size_bytes",
    "Average size of writes of btree nodes, by what caused them.",
    ["type", "uuid"],
);
static ERRORS: Family<2> = Family::counter(
    "node_bcachefs_errors_total",
    "Errors found in the file system, by what was wrong.",
    ["error_type", "uuid"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new(
        "bcachefs",
        "Operations, errors and devices of bcachefs file systems.",
    )
    .needs("a mounted bcachefs")
    .reads("SYS/fs/bcachefs")
    .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(Bcachefs {
            directory: setting.paths.sys("fs/bcachefs"),
            attributes: Attributes::new(),
        }))
    },
};

static FAMILIES: [FamilyDoc; catalogue::COUNTERS.len() + 13] = {
    let mut all = [INFO.doc(); catalogue::COUNTERS.len() + 13];
    let mut i = 0;
    while i < catalogue::COUNTERS.len() {
        all[i] = catalogue::COUNTERS[i];
        i += 1;
    }
    let others = [
        CACHE_SIZE.doc(),
        COMPRESSED.doc(),
        UNCOMPRESSED.doc(),
        WRITES.doc(),
        WRITE_SIZE.doc(),
        ERRORS.doc(),
        device::INFO.doc(),
        device::BUCKET_SIZE.doc(),
        device::BUCKETS.doc(),
        device::DURABILITY.doc(),
        device::DONE.doc(),
        device::ERRORS.doc(),
    ];
    let mut i = 0;
    while i < others.len() {
        all[catalogue::COUNTERS.len() + 1 + i] = others[i];
        i += 1;
    }
    all
};

struct Bcachefs {
    directory: PathBuf,
    attributes: Attributes,
}

impl Collector for Bcachefs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let uuids = entries(&self.directory).map_err(CollectError::missing_is_no_data)?;
        if uuids.is_empty() {
            return Err(CollectError::no_data("no bcachefs file system is mounted"));
        }
        let mut result = Ok(());
        for uuid in &uuids {
            let directory = self.directory.join(uuid);
            let filesystem = Filesystem { directory: &directory, uuid };
            result = result.and(filesystem.emit(&mut self.attributes, sink));
        }
        result
    }
}

/// One that is mounted.
struct Filesystem<'a> {
    directory: &'a Path,
    uuid: &'a str,
}

impl Filesystem<'_> {
    fn emit(&self, files: &mut Attributes, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        INFO.emit(sink, [self.uuid], true);
        let mut result = self.emit_cache_size(files, sink);
        result = result.and(self.emit_compression(files, sink));
        result = result.and(self.emit_errors(files, sink));
        result = result.and(self.emit_writes(files, sink));
        result = result.and(self.emit_counters(files, sink));
        for name in entries_if_any(self.directory)? {
            if let Some(device) = name.strip_prefix("dev-") {
                let directory = self.directory.join(&name);
                result = result.and(device::emit(&directory, [device, self.uuid], files, sink));
            }
        }
        result
    }

    fn emit_cache_size(
        &self,
        files: &mut Attributes,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        const FILE: &str = "btree_cache_size";
        let Some(size) = files.optional(self.directory, FILE) else { return Ok(()) };
        let value = sizes(size).next().ok_or_else(|| {
            let what = format!("expected a size, found {}", shown(size));
            CollectError::parse(self.directory.join(FILE), 1, what)
        })?;
        CACHE_SIZE.emit(sink, [self.uuid], value);
        Ok(())
    }

    /// A heading, then `lz4  1.03G  3.02G  32.9k`.
    fn emit_compression(
        &self,
        files: &mut Attributes,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        const FILE: &str = "compression_stats";
        let table = files.optional(self.directory, FILE).unwrap_or_default();
        let rows = lines(table).filter_map(|(number, line)| Some((number, keyed(line, b"")?)));
        let rows = rows.filter(|(_, (algorithm, _))| *algorithm != b"type");
        each(rows, &self.directory.join(FILE), |algorithm, rest| {
            let mut sizes = sizes(rest);
            let (compressed, uncompressed) = (sizes.next()?, sizes.next()?);
            COMPRESSED.emit(sink, [algorithm, self.uuid], compressed);
            UNCOMPRESSED.emit(sink, [algorithm, self.uuid], uncompressed);
            Some(())
        })
    }

    /// `btree_node_data_missing  5  Fri Jan  3 ...`.
    fn emit_errors(
        &self,
        files: &mut Attributes,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        const FILE: &str = "errors";
        let table = files.optional(self.directory, FILE).unwrap_or_default();
        let rows = lines(table).filter_map(|(number, line)| Some((number, keyed(line, b"")?)));
        each(rows, &self.directory.join(FILE), |error, rest| {
            ERRORS.emit(sink, [error, self.uuid], words(rest).next().and_then(number)?);
            Some(())
        })
    }

    /// A heading, then `initial:  19088  108k`.
    fn emit_writes(
        &self,
        files: &mut Attributes,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        const FILE: &str = "btree_write_stats";
        let table = files.optional(self.directory, FILE).unwrap_or_default();
        let rows = lines(table).filter_map(|(number, line)| Some((number, keyed(line, b":")?)));
        each(rows, &self.directory.join(FILE), |cause, rest| {
            let mut sizes = sizes(rest);
            let (writes, size) = (sizes.next()?, sizes.next()?);
            WRITES.emit(sink, [cause, self.uuid], writes);
            WRITE_SIZE.emit(sink, [cause, self.uuid], size);
            Some(())
        })
    }

    fn emit_counters(
        &self,
        files: &mut Attributes,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let directory = self.directory.join("counters");
        let labels = [("uuid", self.uuid)];
        let mut result = Ok(());
        for name in entries_if_any(&directory)?.iter().filter(|name| is_plain(name)) {
            let Some(file) = files.optional(&directory, name) else { continue };
            let Some(count) = since_creation(file) else {
                let what = format!("expected a count since creation, found {}", shown(file));
                result = result.and(Err(CollectError::parse(directory.join(name), 0, what)));
                continue;
            };
            let family = format!("node_bcachefs_{name}_total");
            let help = catalogue::help(&family).unwrap_or("A counter of bcachefs.");
            sink.family(&Desc { name: &family, help, kind: Kind::Counter });
            sink.sample(&Sample::new(&labels, Value::F64(count)));
        }
        result
    }
}

/// Whether a file name can be part of the name of a family.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `since mount:  123` and `since filesystem creation:  1.2M`.
fn since_creation(file: &[u8]) -> Option<f64> {
    let count = |line: &[u8]| sizes(line.strip_prefix(b"since filesystem creation:")?).next();
    lines(file).find_map(|(_, line)| count(line.trim_ascii()))
}

/// The first word of a line, less the `end` that it must have, and what follows.
fn keyed<'a>(line: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let line = line.trim_ascii();
    let blank = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(blank);
    Some((word.strip_suffix(end)?, rest)).filter(|(key, _)| !key.is_empty())
}

/// A row of a table: the number of its line, its key and the rest.
type Row<'a> = (usize, (&'a [u8], &'a [u8]));

/// Hands the first row of each key to `emit`; the first that it does not understand is the error.
fn each<'a>(
    rows: impl Iterator<Item = Row<'a>>,
    path: &Path,
    mut emit: impl FnMut(&str, &[u8]) -> Option<()>,
) -> Result<(), CollectError> {
    let mut met = HashSet::new();
    let mut result = Ok(());
    for (line_number, (key, rest)) in rows.filter(|(_, (key, _))| met.insert(*key)) {
        if emit(&text(key), rest).is_none() {
            let what = format!("expected numbers after {}, found {}", shown(key), shown(rest));
            result = result.and(Err(CollectError::parse(path, line_number, what)));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const COUNTER: &str =
        "since mount:                    3\nsince filesystem creation:      1.5M\n";

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(&[]);
        for (name, text) in files {
            host.write(&format!("sys/fs/bcachefs/dead-beef/{name}"), text);
        }
        host
    }

    #[test]
    fn tables_of_text_come_out() {
        let text = lines(
            &host(&[
                ("btree_cache_size", "524M\n"),
                (
                    "compression_stats",
                    "type       compressed  uncompressed  average extent size\nnone  1.5k  2k  52.5k\nlz4_old 0 0 0\n",
                ),
                ("errors", "btree_node_data_missing  5  Fri Jan  3 10:00:00 2025\n"),
                ("btree_write_stats", "       nr     size\ninitial:   19088   108k\n"),
            ]),
            &DEF,
        );
        assert_eq!(
            text,
            "node_bcachefs_info{uuid=\"dead-beef\"} 1\n\
             node_bcachefs_btree_cache_size_bytes{uuid=\"dead-beef\"} 549453824\n\
             node_bcachefs_compression_compressed_bytes{algorithm=\"none\",uuid=\"dead-beef\"} 1536\n\
             node_bcachefs_compression_uncompressed_bytes{algorithm=\"none\",uuid=\"dead-beef\"} 2048\n\
             node_bcachefs_compression_compressed_bytes{algorithm=\"lz4_old\",uuid=\"dead-beef\"} 0\n\
             node_bcachefs_compression_uncompressed_bytes{algorithm=\"lz4_old\",uuid=\"dead-beef\"} 0\n\
             node_bcachefs_errors_total{error_type=\"btree_node_data_missing\",uuid=\"dead-beef\"} 5\n\
             node_bcachefs_btree_writes_total{type=\"initial\",uuid=\"dead-beef\"} 19088\n\
             node_bcachefs_btree_write_average_size_bytes{type=\"initial\",uuid=\"dead-beef\"} 110592\n"
        );
    }

    #[test]
    fn counters_of_newer_kernels_pass_and_since_mount_is_not_told() {
        let files =
            [("counters/fsync", COUNTER), ("counters/brand_new", COUNTER), ("counters/a b", "")];
        let text = lines(&host(&files), &DEF);
        assert!(text.contains("node_bcachefs_fsync_total{uuid=\"dead-beef\"} 1572864\n"), "{text}");
        assert!(text.contains("node_bcachefs_brand_new_total{uuid=\"dead-beef\"} 1572864\n"));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn what_is_not_understood_is_named_after_the_rest() {
        let host = host(&[
            ("counters/copygc", COUNTER),
            ("errors", "a 1\nb x\na 2\n"),
            ("counters/fsync", "7\n"),
        ]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("errors_total{error_type=\"a\",uuid=\"dead-beef\"} 1\n"), "{text}");
        assert!(text.contains("copygc_total"));
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("errors:2: expected numbers after \"b\", found \" x\""), "{error}");
    }

    #[test]
    fn without_bcachefs_there_is_no_data() {
        let (_, result) = scrape(&mut *host(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
