//! The devices of a bcachefs (SYS/fs/bcachefs/UUID/dev-*).
//!
//! A device tells its buckets, and what was read, written and got wrong since the file system was made. It must
//! not know the file system that it belongs to.

use std::path::Path;

use vigie_core::collect::CollectError;
use vigie_core::metric::{Family, MetricSink};

use super::human::sizes;
use super::{Row, each, keyed};
use crate::parse::lines;
use crate::sysfs::Attributes;

pub(super) static INFO: Family<4> = Family::gauge(
    "node_bcachefs_device_info",
    "Label and state of each device; always 1.",
    ["device", "label", "state", "uuid"],
);
pub(super) static BUCKET_SIZE: Family<2> =
    gauge("node_bcachefs_device_bucket_size_bytes", "Size of a bucket of the device.");
pub(super) static BUCKETS: Family<2> =
    gauge("node_bcachefs_device_buckets", "Buckets of the device.");
pub(super) static DURABILITY: Family<2> =
    gauge("node_bcachefs_device_durability", "For how many copies one on the device counts.");
pub(super) static DONE: Family<4> = Family::counter(
    "node_bcachefs_device_io_done_bytes_total",
    "Bytes read from and written to the device, by what they were.",
    ["data_type", "device", "operation", "uuid"],
);
pub(super) static ERRORS: Family<3> = Family::counter(
    "node_bcachefs_device_io_errors_total",
    "Errors of the device since the file system was made.",
    ["device", "type", "uuid"],
);

const fn gauge(name: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(name, help, ["device", "uuid"])
}

/// Files that hold one size or number.
static FIGURES: [(&str, &Family<2>); 3] =
    [("bucket_size", &BUCKET_SIZE), ("nbuckets", &BUCKETS), ("durability", &DURABILITY)];

/// Emits the device in `directory`; `labels` are its name and the UUID of the file system.
pub(super) fn emit(
    directory: &Path,
    labels: [&str; 2],
    files: &mut Attributes,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    let [device, uuid] = labels;
    let state = files.text(directory, "state");
    INFO.emit(sink, [device, &files.text(directory, "label"), &state, uuid], true);
    for (file, family) in FIGURES {
        if let Some(value) = files.optional(directory, file).and_then(|text| sizes(text).next()) {
            family.emit(sink, labels, value);
        }
    }
    let done = emit_done(directory, labels, files, sink);
    done.and(emit_errors(directory, labels, files, sink))
}

/// `read:` and `write:`, each followed by `journal :  4096` and others.
fn emit_done(
    directory: &Path,
    [device, uuid]: [&str; 2],
    files: &mut Attributes,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    const FILE: &str = "io_done";
    let file = files.optional(directory, FILE).unwrap_or_default();
    let mut result = Ok(());
    for operation in ["read", "write"] {
        let rows = section(file, |line| line.strip_suffix(b":") == Some(operation.as_bytes()));
        let emitted = each(rows, &directory.join(FILE), |data, rest| {
            DONE.emit(sink, [data, device, operation, uuid], sizes(rest).next()?);
            Some(())
        });
        result = result.and(emitted);
    }
    result
}

/// Lines `checksum:  2` below a heading that says since when; a second table is about the last reset.
fn emit_errors(
    directory: &Path,
    [device, uuid]: [&str; 2],
    files: &mut Attributes,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    const FILE: &str = "io_errors";
    let file = files.optional(directory, FILE).unwrap_or_default();
    let rows = section(file, |line| line.ends_with(b"since filesystem creation"));
    each(rows, &directory.join(FILE), |kind, rest| {
        ERRORS.emit(sink, [device, kind, uuid], sizes(rest).next()?);
        Some(())
    })
}

/// The rows `key: value` after the line that is the heading, up to the next line that has no value.
fn section(file: &[u8], is_heading: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = Row<'_>> {
    lines(file)
        .skip_while(move |(_, line)| !is_heading(line.trim_ascii()))
        .skip(1)
        .map_while(|(number, line)| Some((number, pair(line)?)))
}

/// `journal   :  4096`, `read:0`.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (key, value) = (keyed(&line[..colon], b"")?.0, line[colon + 1..].trim_ascii());
    (!value.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines};

    fn emitted(files: &[(&str, &str)]) -> (String, Result<(), CollectError>) {
        let host = Host::new(&[]);
        for (name, text) in files {
            host.write(&format!("dev-0/{name}"), text);
        }
        let mut sink = Lines::default();
        let directory = host.dir.path().join("dev-0");
        let result = emit(&directory, ["0", "u"], &mut Attributes::new(), &mut sink);
        (sink.text, result)
    }

    #[test]
    fn a_device_tells_its_buckets_and_what_it_did() {
        let (text, result) = emitted(&[
            ("label", "ssd.a\n"),
            ("state", "rw [ro] evacuating spare\n"),
            ("bucket_size", "512k\n"),
            ("nbuckets", "380000\n"),
            ("durability", "1\n"),
            (
                "io_done",
                "read:\nsb          :        3989504\njournal     :   0\nwrite:\nsb  : 31417344\n",
            ),
            (
                "io_errors",
                "IO errors since filesystem creation\n  read:    197346\n  checksum:0\nIO errors since 8 y ago\n  read:    4\n",
            ),
        ]);
        result.unwrap();
        assert_eq!(
            text,
            "node_bcachefs_device_info{device=\"0\",label=\"ssd.a\",state=\"rw [ro] evacuating spare\",uuid=\"u\"} 1\n\
             node_bcachefs_device_bucket_size_bytes{device=\"0\",uuid=\"u\"} 524288\n\
             node_bcachefs_device_buckets{device=\"0\",uuid=\"u\"} 380000\n\
             node_bcachefs_device_durability{device=\"0\",uuid=\"u\"} 1\n\
             node_bcachefs_device_io_done_bytes_total{data_type=\"sb\",device=\"0\",operation=\"read\",uuid=\"u\"} 3989504\n\
             node_bcachefs_device_io_done_bytes_total{data_type=\"journal\",device=\"0\",operation=\"read\",uuid=\"u\"} 0\n\
             node_bcachefs_device_io_done_bytes_total{data_type=\"sb\",device=\"0\",operation=\"write\",uuid=\"u\"} 31417344\n\
             node_bcachefs_device_io_errors_total{device=\"0\",type=\"read\",uuid=\"u\"} 197346\n\
             node_bcachefs_device_io_errors_total{device=\"0\",type=\"checksum\",uuid=\"u\"} 0\n"
        );
    }

    #[test]
    fn a_bad_row_is_named() {
        let (text, result) =
            emitted(&[("state", "rw\n"), ("io_done", "read:\nsb : x\nbtree : 7\n")]);
        assert!(text.contains("state=\"rw\"") && text.contains("data_type=\"btree\""), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(
            error.ends_with("io_done:2: expected numbers after \"sb\", found \"x\""),
            "{error}"
        );
    }
}
