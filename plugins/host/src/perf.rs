//! `perf`: what the CPUs and the kernel count of events, from cycles to page faults (perf_event_open(2)).
//!
//! A counter is opened once for each event and CPU and read at each scrape. It must not know how a counter is scaled.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Paths, Scrape,
    Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{MetricSink, Sample};

use crate::sys::PerfEvent;

mod counter;
mod cpus;
mod event;

use counter::Counter;
use event::Event;

const CPUS: &str = "collector.perf.cpus";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("perf", "Events counted by the CPUs and the kernel.")
        .reads("perf_event_open(2), SYS/devices/system/cpu/online, PROC/sys/kernel/perf_event_paranoid")
        .needs("kernel.perf_event_paranoid of 0 or less, or CAP_PERFMON")
        .off_by_default()
        .flags(&[
            FlagDef::text(CPUS, "", "CPUs to count on, such as 0,2-5,8-64:4; without it all."),
            FlagDef::list(
                event::TRACEPOINTS,
                "",
                "Tracepoint of the kernel to count, SUBSYSTEM:EVENT; repeatable.",
            ),
            FlagDef::switch(event::NO_HARDWARE, false, "Count none of the CPUs' own events."),
            FlagDef::list(event::HARDWARE, "", "Count only this event of the CPUs; repeatable."),
            FlagDef::switch(event::NO_SOFTWARE, false, "Count none of the kernel's own events."),
            FlagDef::list(event::SOFTWARE, "", "Count only this event of the kernel; repeatable."),
            FlagDef::switch(event::NO_CACHE, false, "Count no events of the CPUs' caches."),
            FlagDef::list(event::CACHE, "", "Count only this event of the caches; repeatable."),
        ])
        .families(&event::FAMILIES),
    build: |setting| Ok(Box::new(Perf::build(setting)?)),
};

struct Perf {
    paths: Paths,
    online: FileReader,
    /// What the flag asks for.
    cpus: Option<Vec<u32>>,
    sources: Vec<Source>,
}

/// An event and its counters by CPU; none on a CPU that cannot count it.
struct Source {
    event: Event,
    counters: BTreeMap<u32, Option<Counter>>,
}

impl Perf {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let cpus = match flags.text(CPUS) {
            "" => None,
            list => Some(cpus::parse(list).map_err(|what| flags.error(CPUS, what))?),
        };
        let source = |event| Source { event, counters: BTreeMap::new() };
        Ok(Perf {
            paths: setting.paths.clone(),
            online: FileReader::new(setting.paths.sys("devices/system/cpu/online")),
            cpus,
            sources: event::wanted(flags)?.into_iter().map(source).collect(),
        })
    }

    /// The CPUs to count on that are there now.
    fn present(&mut self) -> Result<Vec<u32>, CollectError> {
        let list = String::from_utf8_lossy(self.online.read()?).trim().to_owned();
        let mut present =
            cpus::parse(&list).map_err(|what| CollectError::parse(self.online.path(), 1, what))?;
        if let Some(wanted) = &self.cpus {
            present.retain(|cpu| wanted.contains(cpu));
        }
        Ok(present)
    }
}

impl Collector for Perf {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let present = self.present()?;
        let mut result = enough_descriptors(present.len() * self.sources.len());
        if result.is_ok() {
            for source in &mut self.sources {
                let followed = source.follow(&present, &self.paths);
                let refused = matches!(followed, Err(CollectError::NoData(_)));
                result = result.and(followed);
                // What is refused once is refused for all.
                if refused {
                    break;
                }
            }
        }
        let mut counted = false;
        for source in &mut self.sources {
            counted |= source.emit(sink);
        }
        let nothing = || CollectError::no_data("none of the events can be counted here");
        result.and_then(|()| if counted { Ok(()) } else { Err(nothing()) })
    }
}

/// Sees to it that counters take at most half of the descriptors that the process may have: its server needs some too.
/// The soft limit is raised as far as the hard one allows, which needs no rights.
fn enough_descriptors(needed: usize) -> Result<(), CollectError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((u64::MAX, u64::MAX));
    let wanted = (needed as u64).saturating_mul(2);
    let raise = || setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    if wanted <= soft || (wanted <= hard && raise().is_ok()) {
        return Ok(());
    }
    Err(CollectError::Other(format!(
        "{needed} counters would take more than half of the {hard} descriptors of this process: raise its limit, or \
         count less with --{CPUS} and --{}",
        event::NO_CACHE
    )))
}

impl Source {
    /// Opens counters on CPUs that came and closes those on CPUs that went, if only for a while.
    fn follow(&mut self, present: &[u32], paths: &Paths) -> Result<(), CollectError> {
        let counts = |counter: &Option<Counter>| !counter.as_ref().is_some_and(Counter::stands);
        self.counters.retain(|cpu, counter| present.contains(cpu) && counts(counter));
        if self.counters.len() == present.len() {
            return Ok(());
        }
        let attributes = self.event.attributes(paths)?;
        for cpu in present {
            if !self.counters.contains_key(cpu) {
                self.counters.insert(*cpu, open(&attributes, *cpu, paths)?);
            }
        }
        Ok(())
    }

    /// Shows the counters; false when there is none.
    fn emit(&mut self, sink: &mut dyn MetricSink) -> bool {
        sink.family(&self.event.desc());
        let mut counted = false;
        for counter in self.counters.values_mut().flatten() {
            if let Some(total) = counter.read() {
                sink.sample(&Sample::new(&[("cpu", counter.cpu())], total.into()));
                counted = true;
            }
        }
        counted
    }
}

/// Nothing where the CPU cannot count the event.
fn open(event: &PerfEvent, cpu: u32, paths: &Paths) -> Result<Option<Counter>, CollectError> {
    match Counter::open(event, cpu) {
        Ok(counter) => Ok(Some(counter)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => Err(refused(&error, paths)),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR) => {
                Err(CollectError::Other(format!("perf_event_open for CPU {cpu}: {error}")))
            }
            _ => Ok(None),
        },
    }
}

fn refused(error: &io::Error, paths: &Paths) -> CollectError {
    let level = read_trimmed(&paths.proc("sys/kernel/perf_event_paranoid"));
    let level = level.unwrap_or_else(|_| "unknown".to_owned());
    CollectError::no_data(format!(
        "perf_event_open: {error}; kernel.perf_event_paranoid is {level}, and 0 or CAP_PERFMON is needed"
    ))
}

fn read_trimmed(path: &Path) -> io::Result<String> {
    Ok(std::fs::read_to_string(path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, scrape};

    #[test]
    fn a_bad_list_of_cpus_names_its_flag() {
        let host = Host::new(&[]).flag(CPUS, &["1-"]);
        let error = host.build(&DEF).err().unwrap();
        assert!(error.starts_with("--collector.perf.cpus: "), "{error}");
    }

    #[test]
    fn a_refusal_is_no_data_and_names_the_setting() {
        let host = Host::new(&[("proc/sys/kernel/perf_event_paranoid", "3\n")]);
        let paths = Paths { procfs: host.path("proc").into(), ..Paths::default() };
        let error = refused(&io::Error::from_raw_os_error(libc::EACCES), &paths);
        assert_eq!(error.kind(), "no_data");
        assert!(error.to_string().contains("perf_event_paranoid is 3"), "{error}");
    }

    #[test]
    fn too_many_counters_are_refused_before_any_is_opened() {
        assert!(enough_descriptors(1).is_ok());
        let error = enough_descriptors(usize::MAX).unwrap_err().to_string();
        assert!(error.contains("raise its limit") && error.contains(CPUS), "{error}");
    }

    #[test]
    fn a_tracepoint_that_does_not_exist_is_named() {
        let host = Host::new(&[("sys/devices/system/cpu/online", "0\n")])
            .flag(event::TRACEPOINTS, &["no:such"])
            .flag(event::NO_HARDWARE, &["true"])
            .flag(event::NO_SOFTWARE, &["true"])
            .flag(event::NO_CACHE, &["true"]);
        let error = scrape(&mut *host.build(&DEF).unwrap()).1.unwrap_err().to_string();
        assert!(error.contains("sys/kernel/debug/tracing/events/no/such/id"), "{error}");
    }
}
