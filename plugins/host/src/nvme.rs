//! `nvme`: NVMe controllers and their namespaces (SYS/class/nvme).
//!
//! Where a drive is reached over several paths, a controller has paths to namespaces (`nvme0c1n1`) instead of
//! namespaces (`nvme0n1`). It must not know what a namespace is used for; that is a block device's story.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse;
use crate::sysfs::{Attributes, Devices, entries};

static INFO: Family<6> = Family::gauge(
    "node_nvme_info",
    "What each NVMe controller is, and its state; always 1.",
    ["device", "cntlid", "firmware_revision", "model", "serial", "state"],
);
static NAMESPACE: Family<3> = Family::gauge(
    "node_nvme_namespace_info",
    "Each namespace of a controller, with the state of the path to it; always 1.",
    ["device", "nsid", "ana_state"],
);
static CAPACITY: Family<2> = Family::gauge(
    "node_nvme_namespace_capacity_bytes",
    "Size attribute of each namespace times its block size, the same as its size.",
    ["device", "nsid"],
);
static SIZE: Family<2> = Family::gauge(
    "node_nvme_namespace_size_bytes",
    "Size attribute of each namespace times its block size.",
    ["device", "nsid"],
);
static USED: Family<2> = Family::gauge(
    "node_nvme_namespace_used_bytes",
    "What each namespace has allocated.",
    ["device", "nsid"],
);
static BLOCK: Family<2> = Family::gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Block size of each namespace.",
    ["device", "nsid"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("nvme", "NVMe controllers and namespaces.")
        .needs("an NVMe drive")
        .reads("SYS/class/nvme")
        .families(&[
            INFO.doc(),
            NAMESPACE.doc(),
            CAPACITY.doc(),
            SIZE.doc(),
            USED.doc(),
            BLOCK.doc(),
        ]),
    build: |setting| {
        Ok(Box::new(Nvme {
            controllers: Devices::new(setting.paths.sys("class/nvme")),
            attributes: Attributes::new(),
        }))
    },
};

struct Nvme {
    controllers: Devices<()>,
    attributes: Attributes,
}

struct Namespace {
    nsid: String,
    path: PathBuf,
}

impl Collector for Nvme {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let is_controller =
            |name: &str, _: &Path| parse::number(name.strip_prefix("nvme")?.as_bytes()).map(|_| ());
        self.controllers.list(is_controller).map_err(CollectError::missing_is_no_data)?;
        for controller in self.controllers.iter() {
            let mut text = |file| self.attributes.text(&controller.path, file);
            let (id, firmware, model) = (text("cntlid"), text("firmware_rev"), text("model"));
            let labels =
                [&*controller.name, &id, &firmware, &model, &text("serial"), &text("state")];
            INFO.emit(sink, labels, true);
        }
        for controller in self.controllers.iter() {
            // Namespaces come and go while their controller stays.
            for namespace in Namespace::find_all(&controller.path) {
                namespace.emit(&controller.name, &mut self.attributes, sink);
            }
        }
        Ok(())
    }
}

impl Namespace {
    fn find_all(controller: &Path) -> Vec<Self> {
        let names = entries(controller).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let found = names.iter().filter_map(|name| {
            let nsid = nsid_of(name)?;
            seen.insert(nsid)
                .then(|| Namespace { nsid: nsid.to_owned(), path: controller.join(name) })
        });
        found.collect()
    }

    fn emit(&self, device: &str, attributes: &mut Attributes, sink: &mut dyn MetricSink) {
        let state = attributes.text(&self.path, "ana_state");
        let state = if state.is_empty() { "unknown" } else { &state };
        NAMESPACE.emit(sink, [device, &self.nsid, state], true);
        let labels = [device, self.nsid.as_str()];
        let Some(block) = attributes.number(&self.path, "queue/logical_block_size") else { return };
        BLOCK.emit(sink, labels, block);
        if let Some(blocks) = attributes.number(&self.path, "nuse") {
            USED.emit(sink, labels, blocks.saturating_mul(block));
        }
        if let Some(sectors) = attributes.number(&self.path, "size") {
            // Sectors of 512 bytes, whatever the block size; but node_exporter's product is what dashboards know.
            let size = sectors.saturating_mul(block);
            CAPACITY.emit(sink, labels, size);
            SIZE.emit(sink, labels, size);
        }
    }
}

/// The number of a namespace in `nvme0n1` and `nvme0c1n1`.
fn nsid_of(name: &str) -> Option<&str> {
    let (controller, nsid) = name.strip_prefix("nvme")?.split_once('n')?;
    let (instance, path) = controller.split_once('c').unwrap_or((controller, "0"));
    let are_numbers = [instance, path, nsid].iter().all(|n| parse::number(n.as_bytes()).is_some());
    are_numbers.then_some(nsid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn namespaces_are_found_under_both_kinds_of_names() {
        for (name, nsid) in [("nvme0n1", "1"), ("nvme12c3n45", "45")] {
            assert_eq!(nsid_of(name), Some(nsid));
        }
        for name in ["nvme0", "nvme0n1p1", "nvmen1", "nvme0cn1", "hwmon1", "nvme0n"] {
            assert_eq!(nsid_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_namespace_without_a_path_state_is_unknown_and_is_told_once() {
        let host = Host::new(&[
            ("sys/class/nvme/nvme0/model", "M\n"),
            ("sys/class/nvme/nvme0/state", "live\n"),
            ("sys/class/nvme/nvme0/nvme0n1/size", "100\n"),
            ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "4096\n"),
            ("sys/class/nvme/nvme0/nvme0c0n1/size", "100\n"),
        ]);
        let text = lines(&host, &DEF);
        let expected = "node_nvme_info{device=\"nvme0\",model=\"M\",state=\"live\"} 1\n\
             node_nvme_namespace_info{device=\"nvme0\",nsid=\"1\",ana_state=\"unknown\"} 1\n";
        assert_eq!(text, expected, "the path is the namespace");
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
