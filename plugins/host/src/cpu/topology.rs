//! What sysfs tells of each CPU: throttling, and whether it is online.
//!
//! The tree is walked when the set of CPUs changes; in between only files that were found are
//! read. It must not know CPU times.

use std::path::{Path, PathBuf};

use vigie_core::collect::{FileReader, Paths};
use vigie_core::metric::{Family, MetricSink};

use crate::cpulist::{directories, ranges};
use crate::parse::number;

pub(super) static CORE_THROTTLES: Family<2> = Family::counter(
    "node_cpu_core_throttles_total",
    "Times each core was throttled because of heat.",
    ["core", "package"],
);
pub(super) static PACKAGE_THROTTLES: Family<1> = Family::counter(
    "node_cpu_package_throttles_total",
    "Times each package was throttled because of heat.",
    ["package"],
);
pub(super) static ONLINE: Family<1> =
    Family::gauge("node_cpu_online", "Whether each CPU is online.", ["cpu"]);

/// The files to read, each with the labels of its series.
#[derive(Default)]
pub(super) struct Topology {
    cores: Vec<Counted<2>>,
    packages: Vec<Counted<1>>,
    online: Option<Online>,
}

/// CPUs that may be unplugged, and the list of those that are online: one file for all of them.
struct Online {
    cpus: Vec<(u64, String)>,
    list: FileReader,
}

struct Counted<const N: usize> {
    labels: [String; N],
    file: FileReader,
}

impl Topology {
    /// Walks SYS/devices/system/cpu.
    pub(super) fn list(paths: &Paths) -> Self {
        let mut topology = Topology::default();
        let root = paths.sys("devices/system/cpu");
        let cpus = directories(&root);
        for (_, directory) in &cpus {
            topology.add_throttles(directory);
        }
        // Kernels on which the first CPU cannot be unplugged are not asked about the others.
        let may_change = |cpu: &(u64, PathBuf)| read_number(&cpu.1.join("online")).is_some();
        if cpus.first().is_some_and(may_change) {
            let cpus =
                cpus.iter().filter(|cpu| may_change(cpu)).map(|(cpu, _)| (*cpu, cpu.to_string()));
            let list = FileReader::kept_open(root.join("online"));
            topology.online = Some(Online { cpus: cpus.collect(), list });
        }
        topology
    }

    /// The hyperthreads of a core share one count, the cores of a package another.
    fn add_throttles(&mut self, cpu: &Path) {
        let id = |name: &str| read_number(&cpu.join("topology").join(name));
        let (Some(package), Some(core)) = (id("physical_package_id"), id("core_id")) else {
            return;
        };
        let (package, core) = (package.to_string(), core.to_string());
        let throttle = cpu.join("thermal_throttle");
        add(&mut self.cores, [core, package.clone()], throttle.join("core_throttle_count"));
        add(&mut self.packages, [package], throttle.join("package_throttle_count"));
    }

    /// A file that cannot be read now gives no series now.
    pub(super) fn emit(&mut self, sink: &mut dyn MetricSink) {
        emit(&CORE_THROTTLES, &mut self.cores, sink);
        emit(&PACKAGE_THROTTLES, &mut self.packages, sink);
        if let Some(online) = &mut self.online {
            online.emit(sink);
        }
    }
}

impl Online {
    fn emit(&mut self, sink: &mut dyn MetricSink) {
        let Ok(online) = self.list.read().map(ranges) else { return };
        let mut family = ONLINE.open(sink);
        for (number, cpu) in &self.cpus {
            family.emit([cpu], online.contains(number));
        }
    }
}

fn add<const N: usize>(list: &mut Vec<Counted<N>>, labels: [String; N], path: PathBuf) {
    if read_number(&path).is_some() && list.iter().all(|known| known.labels != labels) {
        list.push(Counted { labels, file: FileReader::kept_open(path) });
    }
}

fn emit<const N: usize>(
    family: &'static Family<N>,
    list: &mut [Counted<N>],
    sink: &mut dyn MetricSink,
) {
    if list.is_empty() {
        return;
    }
    let mut family = family.open(sink);
    for counted in list {
        if let Some(value) = counted.file.read().ok().map(<[u8]>::trim_ascii).and_then(number) {
            family.emit(counted.labels.each_ref().map(String::as_str), value);
        }
    }
}

fn read_number(path: &Path) -> Option<u64> {
    number(std::fs::read(path).ok()?.trim_ascii())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Host, lines};

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(&[("proc/stat", "cpu0 1\ncpu1 1\n")]);
        for (path, text) in files {
            host.write(&format!("sys/devices/system/cpu/{path}"), text);
        }
        host
    }

    #[test]
    fn a_core_and_a_package_are_counted_once() {
        let text = lines(
            &host(&[
                ("cpu0/topology/physical_package_id", "0\n"),
                ("cpu0/topology/core_id", "1\n"),
                ("cpu0/thermal_throttle/core_throttle_count", "5\n"),
                ("cpu0/thermal_throttle/package_throttle_count", "30\n"),
                ("cpu1/topology/physical_package_id", "0\n"),
                ("cpu1/topology/core_id", "1\n"),
                ("cpu1/thermal_throttle/core_throttle_count", "9\n"),
                ("cpu1/thermal_throttle/package_throttle_count", "31\n"),
                ("isolated", "1\n"),
            ]),
            &super::super::DEF,
        );
        assert!(
            text.contains("node_cpu_core_throttles_total{core=\"1\",package=\"0\"} 5\n"),
            "{text}"
        );
        assert!(text.contains("node_cpu_package_throttles_total{package=\"0\"} 30\n"), "{text}");
        assert!(text.contains("node_cpu_isolated{cpu=\"1\"} 1\n"), "{text}");
        assert_eq!(text.matches("throttles").count(), 2, "{text}");
    }

    #[test]
    fn online_is_told_where_the_first_cpu_has_it() {
        let files =
            [("cpu0/online", "1\n"), ("cpu1/online", "0\n"), ("cpu2/x", ""), ("online", "0,2\n")];
        let host = host(&files);
        let text = lines(&host, &super::super::DEF);
        let expected = "node_cpu_online{cpu=\"0\"} 1\nnode_cpu_online{cpu=\"1\"} 0\n";
        assert!(text.ends_with(expected), "{text}");
        std::fs::remove_file(host.path("sys/devices/system/cpu/cpu0/online")).unwrap();
        let text = lines(&host, &super::super::DEF);
        assert!(!text.contains("online"), "{text}");
    }
}
