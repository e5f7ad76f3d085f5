//! `tapestats`: reads, writes and times of tape drives (SYS/class/scsi_tape/stN/stats).
//!
//! A drive has several device nodes that differ in how they rewind and compress; only `stN` is counted, for all of
//! them share its numbers. It must not know what is on the tape.

use std::path::PathBuf;

use regex::Regex;
use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::attribute::{Attribute, Unit, docs};
use crate::parse;
use crate::sysfs::{Attributes, Devices};

const IGNORED: &str = "collector.tapestats.ignored-devices";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("tapestats", "Reads, writes and times of tape drives.")
        .needs("a SCSI tape drive")
        .reads("SYS/class/scsi_tape/st*/stats")
        .flags(&[FlagDef::text(IGNORED, "^$", "Regular expression of tape drives to leave out.")])
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(TapeStats {
            ignored: setting.flags.regex(IGNORED)?,
            drives: Devices::new(setting.paths.sys("class/scsi_tape")),
            attributes: Attributes::new(),
        }))
    },
};

const fn counter(
    file: &'static str,
    name: &'static str,
    help: &'static str,
    unit: Unit,
) -> Attribute {
    Attribute::new(file, Family::counter(name, help, ["device"]), unit)
}

/// Documentation/ABI/testing/sysfs-class-scsi_tape.
static ATTRIBUTES: [Attribute; 10] = [
    Attribute::new(
        "in_flight",
        Family::gauge("node_tape_io_now", "I/Os in progress.", ["device"]),
        Unit::One,
    ),
    counter("io_ns", "node_tape_io_time_seconds_total", "Time of all I/O.", Unit::Nanoseconds),
    counter(
        "other_cnt",
        "node_tape_io_others_total",
        "I/Os that neither read nor wrote, such as rewinding.",
        Unit::One,
    ),
    counter("read_byte_cnt", "node_tape_read_bytes_total", "Bytes read.", Unit::One),
    counter("read_cnt", "node_tape_reads_completed_total", "Reads completed.", Unit::One),
    counter(
        "read_ns",
        "node_tape_read_time_seconds_total",
        "Time spent by all reads.",
        Unit::Nanoseconds,
    ),
    counter(
        "resid_cnt",
        "node_tape_residual_total",
        "Reads and writes that moved fewer bytes than asked for.",
        Unit::One,
    ),
    counter("write_byte_cnt", "node_tape_written_bytes_total", "Bytes written.", Unit::One),
    counter("write_cnt", "node_tape_writes_completed_total", "Writes completed.", Unit::One),
    counter(
        "write_ns",
        "node_tape_write_time_seconds_total",
        "Time spent by all writes.",
        Unit::Nanoseconds,
    ),
];

static FAMILIES: [FamilyDoc; ATTRIBUTES.len()] = docs(&[], &ATTRIBUTES);

struct TapeStats {
    ignored: Option<Regex>,
    /// With the directory of the statistics.
    drives: Devices<PathBuf>,
    attributes: Attributes,
}

impl Collector for TapeStats {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.drives.list(|name, path| {
            let is_ignored = || self.ignored.as_ref().is_some_and(|regex| regex.is_match(name));
            (is_drive(name) && !is_ignored()).then(|| path.join("stats"))
        });
        listed.map_err(CollectError::missing_is_no_data)?;
        for attribute in &ATTRIBUTES {
            let drives = self.drives.iter().map(|drive| ([drive.name.as_str()], &*drive.kept));
            attribute.emit(&mut self.attributes, drives, sink);
        }
        Ok(())
    }
}

fn is_drive(name: &str) -> bool {
    name.strip_prefix("st").is_some_and(|number| parse::number(number.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn each_drive_is_counted_once() {
        let host = Host::new(&[
            ("sys/class/scsi_tape/st0/stats/read_cnt", "9\n"),
            ("sys/class/scsi_tape/st0/stats/read_ns", "8000456\n"),
            ("sys/class/scsi_tape/nst0/stats/read_cnt", "9\n"),
            ("sys/class/scsi_tape/st0a/stats/read_cnt", "9\n"),
            ("sys/class/scsi_tape/st1/stats/read_cnt", "5\n"),
        ])
        .flag(IGNORED, &["st1"]);
        let expected = "node_tape_reads_completed_total{device=\"st0\"} 9\n\
             node_tape_read_time_seconds_total{device=\"st0\"} 0.008000456000000001\n";
        assert_eq!(lines(&host, &DEF), expected);
    }

    #[test]
    fn a_host_without_tapes_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
