//! `xfs`: what the mounted XFS file systems did (SYS/fs/xfs/*/stats/stats).
//!
//! The kernel prints one line of counters per part of the file system; the parts that have families stand in a
//! table, all others are left alone. It must not know sizes: those are the collector `filesystem`.

use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::MetricSink;

use crate::parse::{lines, number, shown, words};
use crate::sysfs::{Attributes, entries_if_any};

mod column;

use column::{COLUMNS, FAMILIES, LINES};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("xfs", "Operations of XFS file systems.")
        .needs("a mounted XFS")
        .reads("SYS/fs/xfs/*/stats/stats")
        .families(&FAMILIES),
    build: |setting| {
        Ok(Box::new(Xfs { directory: setting.paths.sys("fs/xfs"), file: Attributes::new() }))
    },
};

struct Xfs {
    directory: PathBuf,
    file: Attributes,
}

/// A file system, under the name of its block device.
struct Device {
    name: String,
    /// By the place of the column in the table.
    values: [Option<u64>; COLUMNS],
}

impl Collector for Xfs {
    /// A host without XFS has no series; that is no failure, as with node_exporter.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut result = Ok(());
        let mut devices = Vec::new();
        for name in entries_if_any(&self.directory)? {
            let directory = self.directory.join(&name);
            // What has no such file is no device but a directory of settings.
            let Some(file) = self.file.optional(&directory, STATS) else { continue };
            let mut device = Device { name, values: [None; COLUMNS] };
            result = result.and(parse(file, &mut device.values, &directory.join(STATS)));
            devices.push(device);
        }
        emit(&devices, sink);
        result
    }
}

const STATS: &str = "stats/stats";

fn emit(devices: &[Device], sink: &mut dyn MetricSink) {
    let families = LINES.iter().flat_map(|line| line.columns);
    for (index, family) in families.enumerate() {
        let mut family = family.open(sink);
        for device in devices {
            if let Some(Some(value)) = device.values.get(index) {
                family.emit([&device.name], *value);
            }
        }
    }
}

/// Takes every line of the table; the first that is not understood is the error.
fn parse(
    file: &[u8],
    values: &mut [Option<u64>; COLUMNS],
    path: &Path,
) -> Result<(), CollectError> {
    let mut result = Ok(());
    for (line_number, line) in lines(file) {
        if let Err(what) = parse_line(line, values) {
            result = result.and(Err(CollectError::parse(path, line_number, what)));
        }
    }
    result
}

fn parse_line(line: &[u8], values: &mut [Option<u64>; COLUMNS]) -> Result<(), String> {
    let mut words = words(line);
    let label = words.next().unwrap_or_default();
    let mut start = 0;
    for known in &LINES {
        let end = start + known.columns.len();
        if known.name.as_bytes() == label {
            for (value, word) in values[start..end].iter_mut().zip(words) {
                let count = number(word);
                *value =
                    Some(count.ok_or_else(|| format!("expected a count, found {}", shown(word)))?);
            }
            return Ok(());
        }
        start = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const STATS: &str = "extent_alloc 92447 97589 92448 93751\nabt 0 0 0 0\n\
        blk_map 1767055 188820 184891 92447 92448 2140766 0\nbmbt 0 0 0 0\n\
        dir 185039 92447 92444 136422\ntrans 706 944304 0\n\
        ig 185045 58807 0 126238 0 33637 22\nlog 2883 113448 9 17360 739\n\
        rw 107739 94045\nvnodes 92601 0 0 0 92444 92444 92444 0\n\
        xpc 399724544 92823103 86219234\ndebug 0\ngc xpc 1 2 3\n";

    #[test]
    fn lines_of_the_table_come_out_and_others_are_left() {
        let host = Host::new(&[
            ("sys/fs/xfs/sda1/stats/stats", STATS),
            ("sys/fs/xfs/stats/stats", "rw 1 2\n"),
            ("sys/fs/xfs/debug/always_cow", "0\n"),
        ]);
        let text = lines(&host, &DEF);
        for line in [
            "node_xfs_extent_allocation_blocks_freed_total{device=\"sda1\"} 93751\n",
            "node_xfs_write_calls_total{device=\"sda1\"} 107739\n",
            "node_xfs_read_calls_total{device=\"sda1\"} 94045\n",
            "node_xfs_vnode_remove_total{device=\"sda1\"} 92444\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(text.lines().count(), COLUMNS);
    }

    #[test]
    fn older_kernels_print_fewer_columns() {
        let host = Host::new(&[("sys/fs/xfs/sda1/stats/stats", "rw 7\nvnodes 1 2\n")]);
        assert_eq!(
            lines(&host, &DEF),
            "node_xfs_write_calls_total{device=\"sda1\"} 7\n\
             node_xfs_vnode_active_total{device=\"sda1\"} 1\n\
             node_xfs_vnode_allocate_total{device=\"sda1\"} 2\n"
        );
    }

    #[test]
    fn a_host_without_xfs_has_no_series() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }

    #[test]
    fn a_bad_line_costs_its_own_rest_and_is_named() {
        let host = Host::new(&[("sys/fs/xfs/dm-0/stats/stats", "abt 1 x 3\nrw 1 2\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.ends_with("node_xfs_read_calls_total{device=\"dm-0\"} 2\n"), "{text}");
        assert!(!text.contains("compares"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("dm-0/stats/stats:1: expected a count, found \"x\""), "{error}");
    }
}
