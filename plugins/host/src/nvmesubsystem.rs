//! `nvmesubsystem`: the paths over which NVMe drives are reached (SYS/class/nvme-subsystem).
//!
//! A subsystem is a drive or an array; each of its controllers is a path to it. It must not know the controllers'
//! own numbers, which `nvme` tells.

use std::path::Path;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::parse;
use crate::sysfs::{Attributes, Devices, entries};

static INFO: Family<5> = Family::gauge(
    "node_nvmesubsystem_info",
    "What each NVMe subsystem is; always 1.",
    ["subsystem", "nqn", "model", "serial", "iopolicy"],
);
static NAMESPACE: Family<2> = Family::gauge(
    "node_nvmesubsystem_namespace_info",
    "Each namespace of a subsystem; always 1.",
    ["subsystem", "device"],
);
static PATHS: Family<1> =
    Family::gauge("node_nvmesubsystem_paths", "Paths to each subsystem.", ["subsystem"]);
static LIVE: Family<1> = Family::gauge(
    "node_nvmesubsystem_paths_live",
    "Paths to each subsystem that can be used.",
    ["subsystem"],
);
static STATE: Family<4> = Family::gauge(
    "node_nvmesubsystem_path_state",
    "State of each path to a subsystem, 1 for the one it is in.",
    ["subsystem", "controller", "transport", "state"],
);

/// drivers/nvme/host/sysfs.c, and one for what newer kernels may add.
const STATES: [&str; 7] = ["connecting", "dead", "deleting", "live", "new", "resetting", UNKNOWN];
const UNKNOWN: &str = "unknown";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("nvmesubsystem", "Paths to NVMe subsystems.")
        .needs("an NVMe drive behind several paths")
        .reads("SYS/class/nvme-subsystem")
        .off_by_default()
        .families(&[INFO.doc(), NAMESPACE.doc(), PATHS.doc(), LIVE.doc(), STATE.doc()]),
    build: |setting| {
        Ok(Box::new(NvmeSubsystem {
            subsystems: Devices::new(setting.paths.sys("class/nvme-subsystem")),
            attributes: Attributes::new(),
        }))
    },
};

struct NvmeSubsystem {
    subsystems: Devices<()>,
    attributes: Attributes,
}

impl Collector for NvmeSubsystem {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.subsystems.list(|name, _| name.starts_with("nvme-subsys").then_some(()));
        listed.map_err(CollectError::missing_is_no_data)?;
        for subsystem in self.subsystems.iter() {
            let mut text = |file| self.attributes.text(&subsystem.path, file);
            let (nqn, model, serial) = (text("subsysnqn"), text("model"), text("serial"));
            let labels = [&*subsystem.name, &nqn, &model, &serial, &text("iopolicy")];
            INFO.emit(sink, labels, true);
            emit_members(&subsystem.name, &subsystem.path, &mut self.attributes, sink);
        }
        Ok(())
    }
}

/// Controllers and namespaces are directories of a subsystem; they come and go while it stays.
fn emit_members(
    subsystem: &str,
    path: &Path,
    attributes: &mut Attributes,
    sink: &mut dyn MetricSink,
) {
    let (mut paths, mut live) = (0u32, 0u32);
    for name in entries(path).unwrap_or_default() {
        match Member::of(&name) {
            Some(Member::Namespace) => NAMESPACE.emit(sink, [subsystem, &name], true),
            Some(Member::Controller) => {
                let controller = path.join(&name);
                let transport = attributes.text(&controller, "transport");
                let state = state_of(&attributes.text(&controller, "state"));
                for each in STATES {
                    STATE.emit(sink, [subsystem, &name, &transport, each], each == state);
                }
                paths += 1;
                live += u32::from(state == "live");
            }
            None => {}
        }
    }
    PATHS.emit(sink, [subsystem], paths);
    LIVE.emit(sink, [subsystem], live);
}

enum Member {
    Controller,
    Namespace,
}

impl Member {
    fn of(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("nvme")?;
        let is_number = |text: &str| parse::number(text.as_bytes()).is_some();
        match rest.split_once('n') {
            None => is_number(rest).then_some(Member::Controller),
            Some((instance, id)) => {
                (is_number(instance) && is_number(id)).then_some(Member::Namespace)
            }
        }
    }
}

/// `deleting (no IO)` is a way of deleting.
fn state_of(text: &str) -> &'static str {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    STATES.into_iter().find(|state| *state == word).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn paths_are_counted_with_their_states() {
        let host = Host::new(&[
            ("sys/class/nvme-subsystem/nvme-subsys1/subsysnqn", "nqn.x\n"),
            ("sys/class/nvme-subsystem/nvme-subsys1/nvme1/state", "live\n"),
            ("sys/class/nvme-subsystem/nvme-subsys1/nvme2/state", "deleting (no IO)\n"),
            ("sys/class/nvme-subsystem/nvme-subsys1/nvme3/state", "frozen\n"),
            ("sys/class/nvme-subsystem/nvme-subsys1/nvme1n1/size", "1\n"),
            ("sys/class/nvme-subsystem/nvme-subsys1/nvme1n1p1/size", "1\n"),
        ]);
        let text = lines(&host, &DEF);
        for line in [
            "node_nvmesubsystem_info{subsystem=\"nvme-subsys1\",nqn=\"nqn.x\"} 1\n",
            "node_nvmesubsystem_namespace_info{subsystem=\"nvme-subsys1\",device=\"nvme1n1\"} 1\n",
            "node_nvmesubsystem_paths{subsystem=\"nvme-subsys1\"} 3\n",
            "node_nvmesubsystem_paths_live{subsystem=\"nvme-subsys1\"} 1\n",
            "controller=\"nvme2\",state=\"deleting\"} 1\n",
            "controller=\"nvme2\",state=\"live\"} 0\n",
            "controller=\"nvme3\",state=\"unknown\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(text.lines().count(), 4 + 3 * STATES.len(), "{text}");
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
