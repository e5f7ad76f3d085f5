//! `cpufreq`: frequencies of the CPUs, their limits, and who governs them (SYS/devices/system/cpu/cpuN/cpufreq).
//!
//! Some kernels measure for 20 to 50 ms when they are asked for the present frequency, so [`rounds`] asks in threads
//! of its own: where an answer takes long, a scrape shows what the scrape before it asked for, and never what is
//! older than a minute; only a first scrape, and one after a minute without any, waits. Limits and governors are read
//! by the scrape itself. It must not know what a governor does.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::cpulist::{FREQUENCY_HELP, directories, ranges};
use crate::sysfs::{Attributes, directory_inode};

mod rounds;

use rounds::Rounds;

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("cpufreq", "Frequencies of the CPUs, their limits and governors.")
        .needs("a driver of CPU frequencies; virtual machines mostly have none")
        .reads("SYS/devices/system/cpu/cpu*/cpufreq")
        .families(&[
            MEASURED[0].1.doc(),
            MEASURED[1].1.doc(),
            MEASURED[2].1.doc(),
            LIMITS[0].1.doc(),
            LIMITS[1].1.doc(),
            LIMITS[2].1.doc(),
            LIMITS[3].1.doc(),
            GOVERNOR.doc(),
        ]),
    build: |setting| {
        Ok(Box::new(CpuFreq {
            directory: setting.paths.sys("devices/system/cpu"),
            attributes: Attributes::new(),
            seen: Seen::default(),
            policies: Vec::new(),
            rounds: None,
        }))
    },
};

const fn hertz(name: &'static str, help: &'static str) -> Family<1> {
    Family::gauge(name, help, ["cpu"])
}

/// Files whose reading may take long.
static MEASURED: [(&str, Family<1>); 3] = [
    (
        "scaling_cur_freq",
        hertz(
            "node_cpu_scaling_frequency_hertz",
            "Frequency of each CPU, as its governor believes.",
        ),
    ),
    // Root only.
    ("cpuinfo_cur_freq", hertz("node_cpu_frequency_hertz", FREQUENCY_HELP)),
    (
        "cpuinfo_avg_freq",
        hertz("node_cpu_frequency_avg_hertz", "Frequency of each CPU, averaged by the hardware."),
    ),
];

/// Files that the kernel answers from memory.
static LIMITS: [(&str, Family<1>); 4] = [
    (
        "scaling_min_freq",
        hertz("node_cpu_scaling_frequency_min_hertz", "Lowest frequency the governor may choose."),
    ),
    (
        "scaling_max_freq",
        hertz("node_cpu_scaling_frequency_max_hertz", "Highest frequency the governor may choose."),
    ),
    ("cpuinfo_min_freq", hertz("node_cpu_frequency_min_hertz", "Lowest frequency of each CPU.")),
    ("cpuinfo_max_freq", hertz("node_cpu_frequency_max_hertz", "Highest frequency of each CPU.")),
];

static GOVERNOR: Family<2> = Family::gauge(
    "node_cpu_scaling_governor",
    "Governors each CPU may have, 1 for the one it has.",
    ["cpu", "governor"],
);

struct CpuFreq {
    directory: PathBuf,
    attributes: Attributes,
    seen: Seen,
    policies: Vec<Policy>,
    /// For the files of `MEASURED` that are there; none on hosts without any.
    rounds: Option<Rounds>,
}

/// What tells that the policies are others than before, without a walk over all CPUs.
#[derive(Default, PartialEq)]
struct Seen {
    /// The file `offline`.
    offline: Vec<u8>,
    /// How many policies there are, as links to their directory count its subdirectories.
    policies: u64,
    /// A driver that replaces another makes every policy anew.
    first: Option<u64>,
}

/// CPUs that change their frequency together.
struct Policy {
    directory: PathBuf,
    cpus: Vec<String>,
    /// Where the rounds have each file of `MEASURED`.
    measured: [Option<usize>; MEASURED.len()],
}

impl Collector for CpuFreq {
    /// A host that does not change frequencies, such as most virtual machines, is no failure.
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let listed = self.list_when_changed();
        if let Some(rounds) = &self.rounds {
            let values = rounds.values(before(scrape.deadline));
            for (at, (_, family)) in MEASURED.iter().enumerate() {
                let value = |policy: &Policy| *values.get(policy.measured[at]?)?;
                emit(family, &self.policies, value, sink);
            }
        }
        for (file, family) in &LIMITS {
            let value = |policy: &Policy| self.attributes.number(&policy.directory, file);
            emit(family, &self.policies, value, sink);
        }
        self.emit_governors(sink);
        listed
    }
}

impl CpuFreq {
    fn list_when_changed(&mut self) -> Result<(), CollectError> {
        let looked = self.look();
        if looked == self.seen {
            return Ok(());
        }
        self.rounds = None;
        self.policies = list(&self.directory, &ranges(&looked.offline));
        // Until the threads run, every scrape tries again.
        self.seen = Seen::default();
        let files = self.find_measured();
        if !files.is_empty() {
            let rounds = Rounds::start(files).map_err(|error| {
                CollectError::Other(format!("cannot start a thread for cpufreq: {error}"))
            })?;
            self.rounds = Some(rounds);
        }
        self.seen = Seen { first: self.first(), ..looked };
        Ok(())
    }

    /// The files of `MEASURED` that each policy has, and where they stand among all.
    fn find_measured(&mut self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for policy in &mut self.policies {
            for (place, (file, _)) in policy.measured.iter_mut().zip(&MEASURED) {
                let path = policy.directory.join(file);
                // Opening measures nothing; it tells whether the file is there and may be read.
                if std::fs::File::open(&path).is_ok() {
                    *place = Some(files.len());
                    files.push(path);
                }
            }
        }
        files
    }

    fn look(&self) -> Seen {
        let policies = std::fs::metadata(self.directory.join("cpufreq"));
        Seen {
            offline: std::fs::read(self.directory.join("offline")).unwrap_or_default(),
            policies: policies.map_or(0, |directory| directory.nlink()),
            first: self.first(),
        }
    }

    fn first(&self) -> Option<u64> {
        directory_inode(&self.policies.first()?.directory)
    }

    fn emit_governors(&mut self, sink: &mut dyn MetricSink) {
        let mut family = GOVERNOR.open(sink);
        for policy in &self.policies {
            let current = self.attributes.text(&policy.directory, "scaling_governor");
            if current.is_empty() {
                continue;
            }
            let available = self.attributes.text(&policy.directory, "scaling_available_governors");
            let mut governors: Vec<&str> = available.split_ascii_whitespace().collect();
            governors.sort_unstable();
            governors.dedup();
            for cpu in &policy.cpus {
                for governor in &governors {
                    family.emit([cpu, governor], *governor == current);
                }
            }
        }
    }
}

fn emit(
    family: &'static Family<1>,
    policies: &[Policy],
    mut kilohertz: impl FnMut(&Policy) -> Option<u64>,
    sink: &mut dyn MetricSink,
) {
    let mut family = family.open(sink);
    for policy in policies {
        if let Some(hertz) = kilohertz(policy).and_then(|value| value.checked_mul(1000)) {
            for cpu in &policy.cpus {
                family.emit([cpu], hertz);
            }
        }
    }
}

/// The policies of the CPUs that are online. CPUs may share one, and its files then are read once.
fn list(root: &Path, offline: &BTreeSet<u64>) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    let mut known: HashMap<PathBuf, usize> = HashMap::new();
    let online = directories(root).into_iter().filter(|(cpu, _)| !offline.contains(cpu));
    for (cpu, directory) in online {
        let Ok(directory) = directory.join("cpufreq").canonicalize() else { continue };
        let at = *known.entry(directory.clone()).or_insert(policies.len());
        match policies.get_mut(at) {
            Some(policy) => policy.cpus.push(cpu.to_string()),
            None => {
                let measured = [None; MEASURED.len()];
                policies.push(Policy { directory, cpus: vec![cpu.to_string()], measured });
            }
        }
    }
    policies
}

/// Leaves a quarter of the time for everything else.
fn before(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};
    use std::os::unix::fs::symlink;

    fn host() -> Host {
        let host = Host::new(&[
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1699981\n"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", "<unknown>\n"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n"),
            (
                "sys/devices/system/cpu/cpufreq/policy0/scaling_available_governors",
                "powersave performance powersave\n",
            ),
            ("sys/devices/system/cpu/cpu1/topology/core_id", "1\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/cpuinfo_max_freq", "800000\n"),
            ("sys/devices/system/cpu/offline", "2-3\n"),
        ]);
        link(&host, "cpu1/cpufreq", "../cpufreq/policy0");
        std::fs::create_dir(host.dir.path().join("sys/devices/system/cpu/cpu0")).unwrap();
        link(&host, "cpu0/cpufreq", "../cpufreq/policy0");
        host
    }

    fn link(host: &Host, path: &str, target: &str) {
        symlink(target, host.dir.path().join("sys/devices/system/cpu").join(path)).unwrap();
    }

    #[test]
    fn cpus_share_a_policy_and_what_is_missing_costs_its_own_series() {
        let expected = "node_cpu_scaling_frequency_hertz{cpu=\"0\"} 1699981000\n\
             node_cpu_scaling_frequency_hertz{cpu=\"1\"} 1699981000\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"performance\"} 0\n\
             node_cpu_scaling_governor{cpu=\"0\",governor=\"powersave\"} 1\n\
             node_cpu_scaling_governor{cpu=\"1\",governor=\"performance\"} 0\n\
             node_cpu_scaling_governor{cpu=\"1\",governor=\"powersave\"} 1\n";
        assert_eq!(lines(&host(), &DEF), expected, "nothing of the CPU that is offline");
    }

    #[test]
    fn cpus_and_drivers_come_and_go() {
        let host = host();
        let mut collector = host.build(&DEF).unwrap();
        assert!(!scrape(&mut *collector).0.contains("max_hertz"));
        host.write("sys/devices/system/cpu/offline", "3\n");
        assert!(scrape(&mut *collector).0.contains("max_hertz{cpu=\"2\"} 800000000\n"));
        let policy = host.dir.path().join("sys/devices/system/cpu/cpufreq/policy0");
        std::fs::rename(&policy, host.dir.path().join("old")).unwrap();
        host.write("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_avg_freq", "5\n");
        let text = scrape(&mut *collector).0;
        assert!(text.contains("node_cpu_frequency_avg_hertz{cpu=\"0\"} 5000\n"), "{text}");
        assert!(!text.contains("scaling_frequency_hertz"), "{text}");
    }

    #[test]
    fn a_host_without_frequencies_has_no_thread_and_no_failure() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
        let mut cpufreq = CpuFreq {
            directory: "/nowhere".into(),
            attributes: Attributes::new(),
            seen: Seen::default(),
            policies: Vec::new(),
            rounds: None,
        };
        cpufreq.list_when_changed().unwrap();
        assert!(cpufreq.rounds.is_none());
    }
}
