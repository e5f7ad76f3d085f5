//! The columns of PROC/diskstats as families.
//!
//! A flat table in the kernel's order, with what each column counts. It must not know devices.

use vigie_core::metric::{Family, Value};

use crate::parse::scaled;

/// The columns of PROC/diskstats after the name (Documentation/admin-guide/iostats.rst); older
/// kernels print fewer.
pub(super) static COLUMNS: [(Family<1>, Unit); 17] = [
    (counter("node_disk_reads_completed_total", "Reads completed."), Unit::Count),
    (counter("node_disk_reads_merged_total", "Reads merged with others."), Unit::Count),
    (counter("node_disk_read_bytes_total", "Bytes read."), Unit::Sectors),
    (counter("node_disk_read_time_seconds_total", "Time spent by all reads."), Unit::Millis),
    (counter("node_disk_writes_completed_total", "Writes completed."), Unit::Count),
    (counter("node_disk_writes_merged_total", "Writes merged with others."), Unit::Count),
    (counter("node_disk_written_bytes_total", "Bytes written."), Unit::Sectors),
    (counter("node_disk_write_time_seconds_total", "Time spent by all writes."), Unit::Millis),
    (Family::gauge("node_disk_io_now", "I/Os in progress.", ["device"]), Unit::Count),
    (counter("node_disk_io_time_seconds_total", "Time with I/O in progress."), Unit::Millis),
    (
        counter("node_disk_io_time_weighted_seconds_total", "Time of I/O, each I/O counted."),
        Unit::Millis,
    ),
    (counter("node_disk_discards_completed_total", "Discards completed."), Unit::Count),
    (counter("node_disk_discards_merged_total", "Discards merged with others."), Unit::Count),
    (counter("node_disk_discarded_sectors_total", "Sectors discarded."), Unit::Count),
    (counter("node_disk_discard_time_seconds_total", "Time spent by all discards."), Unit::Millis),
    (counter("node_disk_flush_requests_total", "Flushes completed."), Unit::Count),
    (
        counter("node_disk_flush_requests_time_seconds_total", "Time spent by all flushes."),
        Unit::Millis,
    ),
];

const fn counter(name: &'static str, help: &'static str) -> Family<1> {
    Family::counter(name, help, ["device"])
}

/// What a column counts.
pub(super) enum Unit {
    Count,
    /// Of 512 bytes, whatever the device's own sector size.
    Sectors,
    Millis,
}

impl Unit {
    pub(super) fn value(&self, count: u64) -> Value<'static> {
        match self {
            Unit::Count => Value::U64(count),
            Unit::Sectors => scaled(count, 512),
            // As node_exporter counts, to the last bit.
            Unit::Millis => Value::F64(count as f64 * 0.001),
        }
    }
}
