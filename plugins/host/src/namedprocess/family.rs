//! The families of `namedprocess`, under process-exporter's names.
//!
//! Ticks, pages and times since boot become seconds, bytes and Unix time here. It must not know how processes
//! are put into groups.

use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use super::group::{Groups, STATES};
use crate::cpu::TICKS_PER_SECOND;

const GROUP: [&str; 1] = ["groupname"];

static NUM_PROCS: Family<1> =
    Family::gauge("namedprocess_namegroup_num_procs", "Processes of this name.", GROUP);
static CPU: Family<2> = Family::counter(
    "namedprocess_namegroup_cpu_seconds_total",
    "CPU time used by processes of this name, those that ended included.",
    ["groupname", "mode"],
);
static MINOR_FAULTS: Family<1> = Family::counter(
    "namedprocess_namegroup_minor_page_faults_total",
    "Page faults of processes of this name that needed no disk.",
    GROUP,
);
static MAJOR_FAULTS: Family<1> = Family::counter(
    "namedprocess_namegroup_major_page_faults_total",
    "Page faults of processes of this name that had to wait for a disk.",
    GROUP,
);
static MEMORY: Family<2> = Family::gauge(
    "namedprocess_namegroup_memory_bytes",
    "Memory of processes of this name; what they share is counted for each.",
    ["groupname", "memtype"],
);
static OPEN_FILES: Family<1> = Family::gauge(
    "namedprocess_namegroup_open_filedesc",
    "Open file descriptors of processes of this name.",
    GROUP,
);
static OLDEST: Family<1> = Family::gauge(
    "namedprocess_namegroup_oldest_start_time_seconds",
    "When the oldest process of this name started, in Unix time.",
    GROUP,
);
static NUM_THREADS: Family<1> = Family::gauge(
    "namedprocess_namegroup_num_threads",
    "Threads of processes of this name.",
    GROUP,
);
static STATE: Family<2> = Family::gauge(
    "namedprocess_namegroup_states",
    "Processes of this name in each state.",
    ["groupname", "state"],
);

/// Every family.
pub(super) static ALL: [FamilyDoc; 9] = [
    NUM_PROCS.doc(),
    CPU.doc(),
    MINOR_FAULTS.doc(),
    MAJOR_FAULTS.doc(),
    MEMORY.doc(),
    OPEN_FILES.doc(),
    OLDEST.doc(),
    NUM_THREADS.doc(),
    STATE.doc(),
];

/// Emits all groups; `boot_time` is Unix time.
pub(super) fn emit(groups: &Groups, boot_time: Option<u64>, sink: &mut dyn MetricSink) {
    emit_counters(groups, sink);
    emit_gauges(groups, boot_time, sink);
}

fn emit_counters(groups: &Groups, sink: &mut dyn MetricSink) {
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND as f64;
    let mut family = CPU.open(sink);
    for group in groups.iter() {
        let [user, system, ..] = group.counts;
        family.emit([&group.name, "user"], seconds(user));
        family.emit([&group.name, "system"], seconds(system));
    }
    let mut family = MINOR_FAULTS.open(sink);
    for group in groups.iter() {
        family.emit([&group.name], group.counts[2]);
    }
    let mut family = MAJOR_FAULTS.open(sink);
    for group in groups.iter() {
        family.emit([&group.name], group.counts[3]);
    }
}

fn emit_gauges(groups: &Groups, boot_time: Option<u64>, sink: &mut dyn MetricSink) {
    let mut family = NUM_PROCS.open(sink);
    for group in groups.iter() {
        family.emit([&group.name], group.figures.processes);
    }
    let mut family = NUM_THREADS.open(sink);
    for group in groups.iter() {
        family.emit([&group.name], group.figures.threads);
    }
    let mut family = MEMORY.open(sink);
    for group in groups.iter() {
        let resident = group.figures.resident_pages.saturating_mul(procfs::page_size());
        family.emit([&group.name, "resident"], resident);
        family.emit([&group.name, "virtual"], group.figures.virtual_bytes);
    }
    let mut family = OPEN_FILES.open(sink);
    for group in groups.iter() {
        if let Some(open) = group.figures.open_files {
            family.emit([&group.name], open);
        }
    }
    let mut family = OLDEST.open(sink);
    for group in groups.iter() {
        if let (Some(boot), Some(ticks)) = (boot_time, group.figures.oldest) {
            family.emit([&group.name], boot as f64 + ticks as f64 / TICKS_PER_SECOND as f64);
        }
    }
    let mut family = STATE.open(sink);
    for group in groups.iter() {
        for (state, &count) in STATES.iter().zip(&group.figures.states) {
            family.emit([&group.name, state], count);
        }
    }
}
