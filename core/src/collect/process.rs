//! The process' own figures, under the names every Prometheus client library uses.
//!
//! Whoever watches a fleet asks first what the watcher itself costs. It must not know that the
//! process is vigie.

use procfs::process::{LimitValue, Process};

use crate::encode::TextSink;
use crate::metric::Family;

static CPU: Family =
    Family::counter("process_cpu_seconds_total", "User and system CPU time spent.", []);
static OPEN_FDS: Family = Family::gauge("process_open_fds", "Open file descriptors.", []);
static MAX_FDS: Family =
    Family::gauge("process_max_fds", "Most file descriptors that may be open.", []);
static VIRTUAL: Family = Family::gauge("process_virtual_memory_bytes", "Virtual memory.", []);
static RESIDENT: Family = Family::gauge("process_resident_memory_bytes", "Resident memory.", []);
static START: Family =
    Family::gauge("process_start_time_seconds", "Start of the process, Unix time.", []);
static THREADS: Family = Family::gauge("process_threads", "Threads.", []);

/// What does not change while the process lives, read once: the boot time stands in `/proc/stat`,
/// which is the costliest file of all.
#[derive(Debug)]
pub(super) struct OwnProcess {
    /// Its directory, open for good.
    process: Option<Process>,
    boot_time: Option<u64>,
    max_fds: Option<u64>,
}

impl OwnProcess {
    pub(super) fn new() -> Self {
        let process = Process::myself().ok();
        let limits = process.as_ref().and_then(|process| process.limits().ok());
        let max_fds = limits.and_then(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        });
        OwnProcess { process, boot_time: procfs::boot_time_secs().ok(), max_fds }
    }

    /// Writes what `/proc/self` tells; what cannot be read is left out.
    pub(super) fn write(&self, sink: &mut TextSink) {
        let Some(process) = &self.process else { return };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second() as f64;
            CPU.emit(sink, [], (stat.utime + stat.stime) as f64 / ticks);
            VIRTUAL.emit(sink, [], stat.vsize);
            RESIDENT.emit(sink, [], stat.rss.saturating_mul(procfs::page_size()));
            if let Some(boot) = self.boot_time {
                START.emit(sink, [], boot as f64 + stat.starttime as f64 / ticks);
            }
            THREADS.emit(sink, [], stat.num_threads);
        }
        if let Ok(open) = process.fd_count() {
            OPEN_FDS.emit(sink, [], open as u64);
        }
        if let Some(most) = self.max_fds {
            MAX_FDS.emit(sink, [], most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Format;

    #[test]
    fn this_process_has_all_figures() {
        let mut sink = TextSink::new(Format::Text);
        OwnProcess::new().write(&mut sink);
        let page = String::from_utf8(sink.to_exposition()).unwrap();
        for family in [&CPU, &VIRTUAL, &RESIDENT, &START, &THREADS, &OPEN_FDS, &MAX_FDS] {
            let name = family.desc().name;
            assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
