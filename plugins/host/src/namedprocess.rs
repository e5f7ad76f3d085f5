//! `namedprocess`: CPU, memory, files and threads of processes, summed by name (PROC/PID/stat, PROC/PID/fd).
//!
//! Names of metrics and labels are those of process-exporter, whose dashboards fit. The number of groups is
//! bounded: names beyond it share the group `other`. Threads of the kernel are left out. It must not know
//! programs: the name is the kernel's, at most 15 bytes long.

use tracing::warn;
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::MetricSink;

use crate::filter::Filter;
use crate::parse::{lines, number, words};
use crate::process::Processes;

mod family;
mod group;

use group::{Groups, OTHER, Seen};

const INCLUDE: &str = "collector.namedprocess.name-include";
const EXCLUDE: &str = "collector.namedprocess.name-exclude";
const MAX_GROUPS: &str = "collector.namedprocess.max-groups";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new(
        "namedprocess",
        "CPU, memory, files and threads of processes by name.",
    )
    .reads("PROC/PID/stat, PROC/PID/fd")
    .off_by_default()
    .flags(&[
        FlagDef::text(
            INCLUDE,
            "",
            "Regular expression of process names to export; not with name-exclude.",
        ),
        FlagDef::text(
            EXCLUDE,
            "",
            "Regular expression of process names to leave out; not with name-include.",
        ),
        FlagDef::text(
            MAX_GROUPS,
            "100",
            "Most names with series of their own; the others are summed as groupname \"other\".",
        ),
    ])
    .families(&family::ALL),
    build: |setting| Ok(Box::new(NamedProcess::build(setting)?)),
};

struct NamedProcess {
    processes: Processes,
    filter: Filter,
    groups: Groups,
    /// PROC/stat, until the boot time is known.
    stat: FileReader,
    boot_time: Option<u64>,
    /// Whether it was said that there are more names than groups.
    told: bool,
}

impl NamedProcess {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let most = flags.text(MAX_GROUPS).parse::<usize>();
        let refuse = |_| {
            let found = flags.text(MAX_GROUPS);
            flags.error(MAX_GROUPS, format!("expected a number of groups, found {found:?}"))
        };
        Ok(NamedProcess {
            processes: Processes::new(setting.paths.procfs.clone()),
            filter: Filter::from_flags(flags, INCLUDE, EXCLUDE)?,
            groups: Groups::new(most.map_err(refuse)?),
            stat: FileReader::new(setting.paths.proc("stat")),
            boot_time: None,
            told: false,
        })
    }

    /// Reads every process; one that cannot be read is the error, and costs only itself.
    fn update(&mut self, list: Vec<u32>) -> Result<(), CollectError> {
        let mut reading = self.groups.reading();
        let mut result = Ok(());
        for process in list {
            match self.processes.stat(process) {
                Ok(Some(stat)) if is_wanted(&stat, &self.filter) => {
                    let open_files = self.processes.open_files(process);
                    reading.see(process, Seen::new(stat, open_files));
                }
                Ok(_) => {}
                Err(error) => {
                    reading.keep(process);
                    result = result.and(Err(error));
                }
            }
        }
        result
    }

    fn tell_once(&mut self) {
        if self.groups.overflowed() && !self.told {
            self.told = true;
            warn!(
                "namedprocess: more than {} names of processes; the rest is summed as groupname \"{OTHER}\" \
                 (--{MAX_GROUPS}, --{INCLUDE}, --{EXCLUDE})",
                self.groups.most(),
            );
        }
    }
}

impl Collector for NamedProcess {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        if self.boot_time.is_none() {
            self.boot_time = self.stat.read().ok().and_then(boot_time);
        }
        let list = self.processes.list()?;
        let result = self.update(list);
        self.tell_once();
        family::emit(&self.groups, self.boot_time, sink);
        result
    }
}

/// PF_KTHREAD of include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

fn is_wanted(stat: &procfs::process::Stat, filter: &Filter) -> bool {
    stat.flags & KERNEL_THREAD == 0 && filter.admits(&stat.comm)
}

/// Unix time.
fn boot_time(stat: &[u8]) -> Option<u64> {
    let line = lines(stat).find_map(|(_, line)| line.strip_prefix(b"btime "))?;
    number(words(line).next()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::testing::{Host, lines, scrape};

    /// 3 s in user mode, 1 s in the kernel, started 50 s after boot.
    fn line(name: &str, flags: u32) -> String {
        let zeros = "0 ".repeat(28);
        format!("1 ({name}) S 1 1 1 0 -1 {flags} 40 0 2 0 300 100 0 0 20 0 4 0 5000 8192 2 {zeros}")
    }

    fn host() -> Host {
        Host::new(&[
            ("proc/stat", "btime 1700000000\n"),
            ("proc/1/stat", &line("systemd", 0)),
            ("proc/2/stat", &line("kthreadd", KERNEL_THREAD)),
            ("proc/7/stat", &line("nginx: (x) y", 64)),
            ("proc/7/fd/0", ""),
            ("proc/7/fd/5", ""),
        ])
    }

    #[test]
    fn processes_come_out_by_name() {
        let text = lines(&host(), &DEF);
        let page = procfs::page_size() as f64;
        for line in [
            "num_procs{groupname=\"systemd\"} 1".to_owned(),
            "cpu_seconds_total{groupname=\"nginx: (x) y\",mode=\"user\"} 3".to_owned(),
            "cpu_seconds_total{groupname=\"nginx: (x) y\",mode=\"system\"} 1".to_owned(),
            format!("memory_bytes{{groupname=\"systemd\",memtype=\"resident\"}} {}", 2.0 * page),
            "memory_bytes{groupname=\"systemd\",memtype=\"virtual\"} 8192".to_owned(),
            "open_filedesc{groupname=\"nginx: (x) y\"} 2".to_owned(),
            "num_threads{groupname=\"systemd\"} 4".to_owned(),
            "minor_page_faults_total{groupname=\"systemd\"} 40".to_owned(),
            "major_page_faults_total{groupname=\"systemd\"} 2".to_owned(),
            "oldest_start_time_seconds{groupname=\"systemd\"} 1700000050".to_owned(),
            "states{groupname=\"systemd\",state=\"Sleeping\"} 1".to_owned(),
        ] {
            assert!(text.contains(&format!("namedprocess_namegroup_{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("kthreadd"), "{text}");
        assert!(!text.contains("open_filedesc{groupname=\"systemd\"}"), "nobody could ask: {text}");
    }

    #[test]
    fn names_can_be_chosen() {
        let text = lines(&host().flag(EXCLUDE, &["^nginx"]), &DEF);
        assert!(!text.contains("nginx") && text.contains("systemd"), "{text}");
        let text = lines(&host().flag(INCLUDE, &["^nginx"]), &DEF);
        assert!(text.contains("nginx") && !text.contains("systemd"), "{text}");
    }

    #[test]
    fn the_number_of_groups_is_bounded() {
        let text = lines(&host().flag(MAX_GROUPS, &["1"]), &DEF);
        assert!(text.contains("num_procs{groupname=\"other\"} 1\n"), "{text}");
        assert!(text.contains("num_procs{groupname=\"systemd\"} 1\n"), "{text}");
        let error = host().flag(MAX_GROUPS, &["many"]).build(&DEF).err().unwrap();
        let expected =
            "--collector.namedprocess.max-groups: expected a number of groups, found \"many\"";
        assert_eq!(error, expected);
    }

    /// Counts what is logged.
    struct Logged(Arc<AtomicUsize>);

    impl Subscriber for Logged {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn too_many_names_are_logged_once() {
        let host = host().flag(MAX_GROUPS, &["1"]);
        let mut collector = host.build(&DEF).unwrap();
        let logged = Arc::new(AtomicUsize::new(0));
        tracing::subscriber::with_default(Logged(logged.clone()), || {
            for _ in 0..3 {
                scrape(&mut *collector).1.unwrap();
            }
        });
        assert_eq!(logged.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_process_that_cannot_be_read_costs_itself_only() {
        let host = host();
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).1.is_ok());
        host.write("proc/1/stat", "nonsense");
        let (text, result) = scrape(&mut *collector);
        assert!(text.contains("num_procs{groupname=\"nginx: (x) y\"} 1\n"), "{text}");
        assert!(
            text.contains("cpu_seconds_total{groupname=\"systemd\",mode=\"user\"} 3\n"),
            "{text}"
        );
        assert!(result.unwrap_err().to_string().contains("proc/1/stat:1"), "the process is named");
        host.write("proc/1/stat", line("systemd", 0));
        let (text, _) = scrape(&mut *collector);
        assert!(
            text.contains("cpu_seconds_total{groupname=\"systemd\",mode=\"user\"} 3\n"),
            "{text}"
        );
    }
}
