//! `mdadm`: arrays of software RAID (PROC/mdstat, SYS/block/md*/md).
//!
//! The file tells what an array is doing, sysfs how many disks it should have and lacks. It must not know what
//! the member disks do: that is the collector `diskstats`.

use std::path::PathBuf;

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{number, text, words};
use crate::sysfs::{Attributes, entries_if_any};

mod mdstat;

use mdstat::{Array, State};

static STATE: Family<2> = Family::gauge(
    "node_md_state",
    "What each array is doing; 1 for the state it is in.",
    ["device", "state"],
);
static REQUIRED: Family<1> =
    Family::gauge("node_md_disks_required", "Disks of the complete array.", ["device"]);
static DISKS: Family<2> =
    Family::gauge("node_md_disks", "Disks of each array by their state.", ["device", "state"]);
static BLOCKS: Family<1> =
    Family::gauge("node_md_blocks", "Blocks of 1 KiB in the array.", ["device"]);
static SYNCED: Family<1> = Family::gauge(
    "node_md_blocks_synced",
    "Blocks done by the running recovery, resync, check or reshape; all of them when none runs.",
    ["device"],
);
static RAID_DISKS: Family<1> =
    Family::gauge("node_md_raid_disks", "Disks that the array is configured for.", ["device"]);
static DEGRADED: Family<1> =
    Family::gauge("node_md_degraded", "Disks that the array lacks.", ["device"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("mdadm", "Arrays of software RAID.")
        .needs("software RAID: the kernel module md_mod")
        .reads("PROC/mdstat, SYS/block/md*/md")
        .families(&[
            STATE.doc(),
            REQUIRED.doc(),
            DISKS.doc(),
            BLOCKS.doc(),
            SYNCED.doc(),
            RAID_DISKS.doc(),
            DEGRADED.doc(),
        ]),
    build: |setting| {
        Ok(Box::new(MdAdm {
            file: FileReader::kept_open(setting.paths.proc("mdstat")),
            block: setting.paths.sys("block"),
            attributes: Attributes::new(),
        }))
    },
};

struct MdAdm {
    file: FileReader,
    /// The directory of all block devices.
    block: PathBuf,
    attributes: Attributes,
}

impl Collector for MdAdm {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let (arrays, broken) = mdstat::parse(file);
        emit_arrays(&arrays, sink);
        self.emit_disks(sink)?;
        match broken {
            Some((line, what)) => Err(CollectError::parse(self.file.path(), line, what)),
            None => Ok(()),
        }
    }
}

impl MdAdm {
    /// What sysfs says of every array, also of those that PROC/mdstat leaves out.
    fn emit_disks(&mut self, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = entries_if_any(&self.block)?;
        for name in names.iter().filter(|name| name.starts_with("md")) {
            let directory = self.block.join(name).join("md");
            // While an array is reshaped its old number follows in brackets; a container has none.
            if let Some(disks) = self.attributes.optional(&directory, "raid_disks") {
                let disks = words(disks).next().and_then(number);
                disks.into_iter().for_each(|disks| RAID_DISKS.emit(sink, [name], disks));
            }
            let Some(level) = self.attributes.optional(&directory, "level") else { continue };
            let degraded = match level {
                b"raid1" | b"raid4" | b"raid5" | b"raid6" | b"raid10" => {
                    self.attributes.number(&directory, "degraded")
                }
                _ => Some(0),
            };
            degraded.into_iter().for_each(|degraded| DEGRADED.emit(sink, [name], degraded));
        }
        Ok(())
    }
}

/// The states that have a series; a reshape is in none of them.
const STATES: [(&str, State); 5] = [
    ("active", State::Active),
    ("inactive", State::Inactive),
    ("recovering", State::Recovering),
    ("resync", State::Resyncing),
    ("check", State::Checking),
];

fn emit_arrays(arrays: &[Array<'_>], sink: &mut dyn MetricSink) {
    for array in arrays {
        let name = &text(array.name);
        for (state, kind) in STATES {
            STATE.emit(sink, [name, state], array.state == kind);
        }
        REQUIRED.emit(sink, [name], array.disks);
        for (state, disks) in
            [("active", array.active), ("failed", array.failed), ("spare", array.spare)]
        {
            DISKS.emit(sink, [name, state], disks);
        }
        BLOCKS.emit(sink, [name], array.blocks);
        SYNCED.emit(sink, [name], array.synced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const HEALTHY: &str = "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n\
        \x20     1044160 blocks [2/2] [UU]\n\nunused devices: <none>\n";

    #[test]
    fn a_healthy_array_has_all_series() {
        let host = Host::new(&[
            ("proc/mdstat", HEALTHY),
            ("sys/block/md0/md/level", "raid1\n"),
            ("sys/block/md0/md/raid_disks", "2\n"),
            ("sys/block/md0/md/degraded", "0\n"),
            ("sys/block/sda/size", "9\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_md_state{device=\"md0\",state=\"active\"} 1\n\
             node_md_state{device=\"md0\",state=\"inactive\"} 0\n\
             node_md_state{device=\"md0\",state=\"recovering\"} 0\n\
             node_md_state{device=\"md0\",state=\"resync\"} 0\n\
             node_md_state{device=\"md0\",state=\"check\"} 0\n\
             node_md_disks_required{device=\"md0\"} 2\n\
             node_md_disks{device=\"md0\",state=\"active\"} 2\n\
             node_md_disks{device=\"md0\",state=\"failed\"} 0\n\
             node_md_disks{device=\"md0\",state=\"spare\"} 0\n\
             node_md_blocks{device=\"md0\"} 1044160\n\
             node_md_blocks_synced{device=\"md0\"} 1044160\n\
             node_md_raid_disks{device=\"md0\"} 2\nnode_md_degraded{device=\"md0\"} 0\n"
        );
    }

    #[test]
    fn sysfs_tells_of_reshapes_containers_and_levels_without_redundancy() {
        let host = Host::new(&[
            ("proc/mdstat", ""),
            ("sys/block/md1/md/level", "raid5\n"),
            ("sys/block/md1/md/raid_disks", "11 (10)\n"),
            ("sys/block/md1/md/degraded", "1\n"),
            ("sys/block/md127/md/level", "\n"),
            ("sys/block/md127/md/raid_disks", "\n"),
            ("sys/block/md2/md/level", "raid0\n"),
            ("sys/block/md2/md/raid_disks", "3\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_md_raid_disks{device=\"md1\"} 11\nnode_md_degraded{device=\"md1\"} 1\n\
             node_md_degraded{device=\"md127\"} 0\n\
             node_md_raid_disks{device=\"md2\"} 3\nnode_md_degraded{device=\"md2\"} 0\n"
        );
    }

    #[test]
    fn a_bad_array_costs_itself_only() {
        let bad = format!("md9 : active raid1 sdc[0]\n      x blocks\n\n{HEALTHY}");
        let host = Host::new(&[("proc/mdstat", &bad)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("node_md_blocks{device=\"md0\"} 1044160\n"), "{text}");
        assert!(!text.contains("md9"));
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("mdstat:2: expected a number of blocks, found \"x\""), "{error}");
    }

    #[test]
    fn without_software_raid_there_is_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
