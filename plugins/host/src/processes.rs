//! `processes`: how many processes and threads there are, by state (PROC/PID/stat, PROC/PID/task).
//!
//! It opens one file per process and thread, so it is off by default. It must not know their names.

use std::collections::BTreeMap;

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, MetricSink};

use crate::process::Processes;
use crate::scalar::Scalar;

static PIDS: Family = Family::gauge("node_processes_pids", "Processes.", []);
static THREADS: Family = Family::gauge("node_processes_threads", "Threads of all processes.", []);
static STATE: Family<1> =
    Family::gauge("node_processes_state", "Processes in each state.", ["state"]);
static THREADS_STATE: Family<1> =
    Family::gauge("node_processes_threads_state", "Threads in each state.", ["thread_state"]);
static MAX_THREADS: Family =
    Family::gauge("node_processes_max_threads", "Most threads that may exist.", []);
static MAX_PROCESSES: Family =
    Family::gauge("node_processes_max_processes", "Most process numbers that may be in use.", []);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("processes", "Number of processes and threads by state.")
        .reads("PROC/PID/stat, PROC/PID/task, PROC/sys/kernel/{threads-max,pid_max}")
        .off_by_default()
        .families(&[
            PIDS.doc(),
            THREADS.doc(),
            STATE.doc(),
            THREADS_STATE.doc(),
            MAX_THREADS.doc(),
            MAX_PROCESSES.doc(),
        ]),
    build: |setting| {
        let kernel = |name: &str| setting.paths.proc("sys/kernel").join(name);
        Ok(Box::new(Counter {
            processes: Processes::new(setting.paths.procfs.clone()),
            max_threads: Scalar::new(&MAX_THREADS, kernel("threads-max")),
            max_processes: Scalar::new(&MAX_PROCESSES, kernel("pid_max")),
        }))
    },
};

struct Counter {
    processes: Processes,
    max_threads: Scalar,
    max_processes: Scalar,
}

/// By the letter of the state.
type States = BTreeMap<char, u64>;

#[derive(Default)]
struct Counts {
    processes: States,
    threads: u64,
    thread_states: States,
}

impl Collector for Counter {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut counts = Counts::default();
        let mut result = Ok(());
        for process in self.processes.list()? {
            result = result.and(counts.add(process, &mut self.processes));
        }
        PIDS.emit(sink, [], counts.processes.values().sum::<u64>());
        THREADS.emit(sink, [], counts.threads);
        emit(&STATE, &counts.processes, sink);
        emit(&THREADS_STATE, &counts.thread_states, sink);
        result = result.and(self.max_threads.emit(sink));
        result.and(self.max_processes.emit(sink))
    }
}

fn emit(family: &Family<1>, states: &States, sink: &mut dyn MetricSink) {
    let mut family = family.open(sink);
    for (state, &count) in states {
        family.emit([state.encode_utf8(&mut [0; 4])], count);
    }
}

impl Counts {
    /// The first thread is the process; only where there are others is their directory read.
    fn add(&mut self, process: u32, processes: &mut Processes) -> Result<(), CollectError> {
        let Some(stat) = processes.stat(process)? else { return Ok(()) };
        *self.processes.entry(stat.state).or_default() += 1;
        *self.thread_states.entry(stat.state).or_default() += 1;
        let threads = u64::try_from(stat.num_threads).unwrap_or_default();
        self.threads = self.threads.saturating_add(threads);
        if threads < 2 {
            return Ok(());
        }
        let mut result = Ok(());
        for thread in processes.threads(process)?.into_iter().filter(|&thread| thread != process) {
            match processes.thread_stat(process, thread) {
                Ok(Some(stat)) => *self.thread_states.entry(stat.state).or_default() += 1,
                Ok(None) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn line(number: u32, state: char, threads: u32) -> String {
        let zeros = "0 ".repeat(32);
        format!("{number} (a b) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 9 {zeros}")
    }

    fn host() -> Host {
        Host::new(&[
            ("proc/1/stat", &line(1, 'S', 1)),
            ("proc/7/stat", &line(7, 'R', 3)),
            ("proc/7/task/7/stat", &line(7, 'D', 3)),
            ("proc/7/task/8/stat", &line(8, 'S', 3)),
            ("proc/9/status", "ended while it was read"),
            ("proc/sys/kernel/threads-max", "7801\n"),
            ("proc/sys/kernel/pid_max", "123\n"),
        ])
    }

    #[test]
    fn processes_and_threads_are_counted_by_state() {
        assert_eq!(
            lines(&host(), &DEF),
            "node_processes_pids 2\nnode_processes_threads 4\n\
             node_processes_state{state=\"R\"} 1\nnode_processes_state{state=\"S\"} 1\n\
             node_processes_threads_state{thread_state=\"R\"} 1\n\
             node_processes_threads_state{thread_state=\"S\"} 2\n\
             node_processes_max_threads 7801\nnode_processes_max_processes 123\n"
        );
    }

    #[test]
    fn one_bad_process_costs_itself_only() {
        let host = host();
        host.write("proc/1/stat", "nonsense");
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.starts_with("node_processes_pids 1\nnode_processes_threads 3\n"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.contains("proc/1/stat:1: expected the figures of a process"), "{error}");
    }
}
