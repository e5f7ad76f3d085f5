//! `dmmultipath`: multipath devices and their paths (SYS/block/dm-*).
//!
//! The device mapper marks its multipath devices by their UUID; a path is a member disk. It must not know how
//! paths are chosen: that is the business of multipathd.

use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::scaled;
use crate::sysfs::{Attributes, entries, entries_if_any};

const LABELS: [&str; 2] = ["device", "sysfs_name"];

static INFO: Family<3> = Family::gauge(
    "node_dmmultipath_device_info",
    "What each multipath device is; always 1.",
    ["device", "sysfs_name", "uuid"],
);
static ACTIVE: Family<2> = Family::gauge(
    "node_dmmultipath_device_active",
    "Whether the device takes I/O, that is, is not suspended.",
    LABELS,
);
static SIZE: Family<2> =
    Family::gauge("node_dmmultipath_device_size_bytes", "Size of the device.", LABELS);
static PATHS: Family<2> =
    Family::gauge("node_dmmultipath_device_paths", "Paths to the device.", LABELS);
static PATHS_ACTIVE: Family<2> = Family::gauge(
    "node_dmmultipath_device_paths_active",
    "Paths to the device that are running or live.",
    LABELS,
);
static PATHS_FAILED: Family<2> =
    Family::gauge("node_dmmultipath_device_paths_failed", "All other paths to the device.", LABELS);
static PATH: Family<3> = Family::gauge(
    "node_dmmultipath_path_state",
    "The state of each path; always 1.",
    ["device", "path", "state"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("dmmultipath", "Multipath devices and their paths.")
        .needs("multipath maps of multipathd")
        .reads("SYS/block/dm-*/{dm/{name,uuid,suspended},size,slaves/*/device/state}")
        .families(&[
            INFO.doc(),
            ACTIVE.doc(),
            SIZE.doc(),
            PATHS.doc(),
            PATHS_ACTIVE.doc(),
            PATHS_FAILED.doc(),
            PATH.doc(),
        ]),
    build: |setting| {
        Ok(Box::new(DmMultipath {
            block: setting.paths.sys("block"),
            attributes: Attributes::new(),
        }))
    },
};

struct DmMultipath {
    /// The directory of all block devices.
    block: PathBuf,
    attributes: Attributes,
}

impl Collector for DmMultipath {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = entries(&self.block).map_err(CollectError::missing_is_no_data)?;
        let mut result = Ok(());
        for name in names.iter().filter(|name| name.starts_with("dm-")) {
            let directory = self.block.join(name);
            let uuid = self.attributes.text(&directory, "dm/uuid");
            if uuid.starts_with("mpath-") {
                result = result.and(self.emit(&directory, name, &uuid, sink));
            }
        }
        result
    }
}

impl DmMultipath {
    fn emit(
        &mut self,
        directory: &Path,
        sysfs_name: &str,
        uuid: &str,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let name = self.attributes.text(directory, "dm/name");
        let device = if name.is_empty() { sysfs_name } else { &name };
        let labels = [device, sysfs_name];
        INFO.emit(sink, [device, sysfs_name, uuid], true);
        if let Some(suspended) = self.attributes.number(directory, "dm/suspended") {
            ACTIVE.emit(sink, labels, suspended == 0);
        }
        if let Some(sectors) = self.attributes.number(directory, "size") {
            SIZE.emit(sink, labels, scaled(sectors, SECTOR));
        }
        // A device that is going away has no slaves any more.
        let slaves = directory.join("slaves");
        let paths = entries_if_any(&slaves)?;
        let mut active = 0;
        for path in &paths {
            let state = self.attributes.text(&slaves.join(path), "device/state");
            let state = if state.is_empty() { "unknown" } else { &state };
            active += u64::from(["running", "live"].contains(&state));
            PATH.emit(sink, [device, path, state], true);
        }
        PATHS.emit(sink, labels, paths.len() as u64);
        PATHS_ACTIVE.emit(sink, labels, active);
        PATHS_FAILED.emit(sink, labels, paths.len() as u64 - active);
        Ok(())
    }
}

/// Sysfs counts in sectors of 512 bytes, whatever the device's own.
const SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn paths_are_counted_by_what_they_do() {
        let host = Host::new(&[
            ("sys/block/dm-3/dm/name", "mpatha\n"),
            ("sys/block/dm-3/dm/uuid", "mpath-3600508b\n"),
            ("sys/block/dm-3/dm/suspended", "0\n"),
            ("sys/block/dm-3/size", "2048\n"),
            ("sys/block/dm-3/slaves/sdb/device/state", "running\n"),
            ("sys/block/dm-3/slaves/sdc/device/state", "offline\n"),
            ("sys/block/dm-3/slaves/sdd/size", "2048\n"),
            ("sys/block/dm-4/dm/uuid", "LVM-abc\n"),
            ("sys/block/sda/size", "7\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_dmmultipath_device_info{device=\"mpatha\",sysfs_name=\"dm-3\",uuid=\"mpath-3600508b\"} 1\n\
             node_dmmultipath_device_active{device=\"mpatha\",sysfs_name=\"dm-3\"} 1\n\
             node_dmmultipath_device_size_bytes{device=\"mpatha\",sysfs_name=\"dm-3\"} 1048576\n\
             node_dmmultipath_path_state{device=\"mpatha\",path=\"sdb\",state=\"running\"} 1\n\
             node_dmmultipath_path_state{device=\"mpatha\",path=\"sdc\",state=\"offline\"} 1\n\
             node_dmmultipath_path_state{device=\"mpatha\",path=\"sdd\",state=\"unknown\"} 1\n\
             node_dmmultipath_device_paths{device=\"mpatha\",sysfs_name=\"dm-3\"} 3\n\
             node_dmmultipath_device_paths_active{device=\"mpatha\",sysfs_name=\"dm-3\"} 1\n\
             node_dmmultipath_device_paths_failed{device=\"mpatha\",sysfs_name=\"dm-3\"} 2\n"
        );
    }

    #[test]
    fn a_host_without_a_multipath_is_fine() {
        let host = Host::new(&[("sys/block/dm-4/dm/uuid", "LVM-abc\n")]);
        assert_eq!(lines(&host, &DEF), "");
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
