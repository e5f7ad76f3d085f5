//! `ksmd`: memory shared by merging equal pages (SYS/kernel/mm/ksm).
//!
//! Settings and successes of kernel samepage merging. It must not know which processes asked for it.

use std::path::PathBuf;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::sysfs::Attributes;

/// A file and its family.
struct Figure {
    file: &'static str,
    family: Family,
    /// How many of the file's units make one of the family's.
    per: f64,
}

/// Documentation/admin-guide/mm/ksm.rst
static FIGURES: [Figure; 10] = [
    Figure {
        file: "full_scans",
        family: Family::counter("node_ksmd_full_scans_total", "Scans of all mergeable memory.", []),
        per: 1.0,
    },
    gauge("general_profit", "node_ksmd_general_profit_bytes", "Memory saved, less what it costs."),
    gauge(
        "merge_across_nodes",
        "node_ksmd_merge_across_nodes",
        "Whether pages of other nodes merge.",
    ),
    gauge("pages_shared", "node_ksmd_pages_shared", "Shared pages in use."),
    gauge("pages_sharing", "node_ksmd_pages_sharing", "Pages saved by sharing."),
    gauge("pages_to_scan", "node_ksmd_pages_to_scan", "Pages to scan before each sleep."),
    gauge("pages_unshared", "node_ksmd_pages_unshared", "Unique pages checked again and again."),
    gauge("pages_volatile", "node_ksmd_pages_volatile", "Pages that change too fast."),
    gauge("run", "node_ksmd_run", "0 stopped, 1 running, 2 stopped and unmerged."),
    Figure {
        file: "sleep_millisecs",
        family: Family::gauge("node_ksmd_sleep_seconds", "Time between two scans.", []),
        per: 1000.0,
    },
];

const fn gauge(file: &'static str, name: &'static str, help: &'static str) -> Figure {
    Figure { file, family: Family::gauge(name, help, []), per: 1.0 }
}

static FAMILIES: [FamilyDoc; FIGURES.len()] = {
    let mut all = [FIGURES[0].family.doc(); FIGURES.len()];
    let mut i = 1;
    while i < FIGURES.len() {
        all[i] = FIGURES[i].family.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("ksmd", "Memory shared by merging equal pages.")
        .needs("a kernel that merges equal pages (KSM)")
        .reads("SYS/kernel/mm/ksm/*")
        .off_by_default()
        .families(&FAMILIES),
    build: |setting| {
        let directory = setting.paths.sys("kernel/mm/ksm");
        Ok(Box::new(Ksmd { directory, attributes: Attributes::new() }))
    },
};

struct Ksmd {
    directory: PathBuf,
    attributes: Attributes,
}

impl Collector for Ksmd {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        if !self.directory.exists() {
            return Err(CollectError::no_data("the kernel merges no pages"));
        }
        for figure in &FIGURES {
            let number = self.attributes.signed(&self.directory, figure.file);
            if let Some(number) = number {
                figure.family.emit(sink, [], number as f64 / figure.per);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn what_is_missing_costs_itself_only() {
        let host = Host::new(&[
            ("sys/kernel/mm/ksm/full_scans", "323\n"),
            ("sys/kernel/mm/ksm/general_profit", "-4096\n"),
            ("sys/kernel/mm/ksm/run", "nonsense\n"),
            ("sys/kernel/mm/ksm/sleep_millisecs", "20\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_ksmd_full_scans_total 323\nnode_ksmd_general_profit_bytes -4096\n\
             node_ksmd_sleep_seconds 0.02\n"
        );
    }

    #[test]
    fn a_kernel_without_it_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
