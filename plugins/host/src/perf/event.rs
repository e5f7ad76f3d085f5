//! The events as a table, and which of them the flags ask for.
//!
//! It must not know how an event is counted.

use vigie_core::collect::{BuildError, CollectError, Paths};
use vigie_core::config::{Flags, nearest};
use vigie_core::metric::{Desc, Family, FamilyDoc, Kind};

use super::counter::Counter;
use crate::parse::{number, shown};
use crate::sys::PerfEvent;

pub(super) const TRACEPOINTS: &str = "collector.perf.tracepoint";
pub(super) const NO_HARDWARE: &str = "collector.perf.disable-hardware-profilers";
pub(super) const HARDWARE: &str = "collector.perf.hardware-profilers";
pub(super) const NO_SOFTWARE: &str = "collector.perf.disable-software-profilers";
pub(super) const SOFTWARE: &str = "collector.perf.software-profilers";
pub(super) const NO_CACHE: &str = "collector.perf.disable-cache-profilers";
pub(super) const CACHE: &str = "collector.perf.cache-profilers";

/// `perf_type_id` of linux/perf_event.h.
const TYPE_HARDWARE: u32 = 0;
const TYPE_SOFTWARE: u32 = 1;
const TYPE_TRACEPOINT: u32 = 2;
const TYPE_CACHE: u32 = 3;

/// An event that every kernel has a number for.
pub(super) struct Listed {
    /// What the flags call it.
    profiler: &'static str,
    kind: u32,
    config: u64,
    family: Family<1>,
}

macro_rules! listed {
    ($kind:ident: $($profiler:literal, $config:expr, $name:literal, $help:literal;)*) => {
        [$(Listed {
            profiler: $profiler,
            kind: $kind,
            config: $config,
            family: Family::counter(concat!("node_perf_", $name, "_total"), $help, ["cpu"]),
        }),*]
    };
}

/// `perf_hw_id`.
static HARDWARE_EVENTS: [Listed; 9] = listed! { TYPE_HARDWARE:
    "CpuCycles", 0, "cpucycles", "Cycles, as fast as the CPU runs.";
    "CpuInstr", 1, "instructions", "Instructions completed.";
    "BranchInstr", 4, "branch_instructions", "Branches completed.";
    "BranchMisses", 5, "branch_misses", "Branches foretold wrongly.";
    "CacheRef", 2, "cache_refs", "Accesses to the last cache.";
    "CacheMisses", 3, "cache_misses", "Accesses to the last cache that went on to memory.";
    "RefCpuCycles", 9, "ref_cpucycles", "Cycles of a clock that no frequency scaling changes.";
    "StalledCyclesBackend", 8, "stalled_cycles_backend", "Cycles waiting for results.";
    "StalledCyclesFrontend", 7, "stalled_cycles_frontend", "Cycles waiting for instructions.";
};

/// `perf_sw_ids`.
static SOFTWARE_EVENTS: [Listed; 5] = listed! { TYPE_SOFTWARE:
    "PageFault", 2, "page_faults", "Page faults.";
    "ContextSwitch", 3, "context_switches", "Changes from one thread to another.";
    "CpuMigration", 4, "cpu_migrations", "Threads that came from another CPU.";
    "MinorFault", 5, "minor_faults", "Page faults answered from memory.";
    "MajorFault", 6, "major_faults", "Page faults that needed a disk.";
};

/// `perf_hw_cache_id`, `perf_hw_cache_op_id` and `perf_hw_cache_op_result_id`.
const L1D: u64 = 0;
const L1I: u64 = 1;
const LL: u64 = 2;
const DTLB: u64 = 3;
const ITLB: u64 = 4;
const BPU: u64 = 5;
const READ: u64 = 0;
const WRITE: u64 = 1 << 8;
const HIT: u64 = 0;
const MISS: u64 = 1 << 16;

static CACHE_EVENTS: [Listed; 16] = listed! { TYPE_CACHE:
    "L1DataReadHit", L1D | READ | HIT, "cache_l1d_read_hits", "Reads of the first data cache.";
    "L1DataReadMiss", L1D | READ | MISS, "cache_l1d_read_misses", "Reads that the first data cache missed.";
    "L1DataWriteHit", L1D | WRITE | HIT, "cache_l1d_write_hits", "Writes to the first data cache.";
    "L1InstrReadMiss", L1I | READ | MISS, "cache_l1_instr_read_misses",
        "Instructions that the first cache missed.";
    "InstrTLBReadHit", ITLB | READ | HIT, "cache_tlb_instr_read_hits",
        "Addresses of instructions looked up.";
    "InstrTLBReadMiss", ITLB | READ | MISS, "cache_tlb_instr_read_misses",
        "Addresses of instructions that the TLB missed.";
    "DataTLBReadHit", DTLB | READ | HIT, "cache_tlb_data_read_hits",
        "Addresses of data looked up for reading.";
    "DataTLBReadMiss", DTLB | READ | MISS, "cache_tlb_data_read_misses",
        "Addresses of data to read that the TLB missed.";
    "DataTLBWriteHit", DTLB | WRITE | HIT, "cache_tlb_data_write_hits",
        "Addresses of data looked up for writing.";
    "DataTLBWriteMiss", DTLB | WRITE | MISS, "cache_tlb_data_write_misses",
        "Addresses of data to write that the TLB missed.";
    "LLReadHit", LL | READ | HIT, "cache_ll_read_hits", "Reads of the last cache.";
    "LLReadMiss", LL | READ | MISS, "cache_ll_read_misses", "Reads that the last cache missed.";
    "LLWriteHit", LL | WRITE | HIT, "cache_ll_write_hits", "Writes to the last cache.";
    "LLWriteMiss", LL | WRITE | MISS, "cache_ll_write_misses", "Writes that the last cache missed.";
    "BPUReadHit", BPU | READ | HIT, "cache_bpu_read_hits", "Branches looked up.";
    "BPUReadMiss", BPU | READ | MISS, "cache_bpu_read_misses",
        "Branches that the branch predictor did not know.";
};

/// A kind of events: all of them, the flag that leaves them out, the flag that picks some.
type Class = (&'static [Listed], &'static str, &'static str);

static CLASSES: [Class; 3] = [
    (&HARDWARE_EVENTS, NO_HARDWARE, HARDWARE),
    (&SOFTWARE_EVENTS, NO_SOFTWARE, SOFTWARE),
    (&CACHE_EVENTS, NO_CACHE, CACHE),
];

const NUMBER: usize = HARDWARE_EVENTS.len() + SOFTWARE_EVENTS.len() + CACHE_EVENTS.len();

pub(super) static FAMILIES: [FamilyDoc; NUMBER] = {
    let mut all = [HARDWARE_EVENTS[0].family.doc(); NUMBER];
    let mut next = 0;
    let mut class = 0;
    while class < CLASSES.len() {
        let events = CLASSES[class].0;
        let mut event = 0;
        while event < events.len() {
            all[next] = events[event].family.doc();
            next += 1;
            event += 1;
        }
        class += 1;
    }
    all
};

/// An event to count.
pub(super) enum Event {
    Listed(&'static Listed),
    Tracepoint(Tracepoint),
}

/// A place in the kernel that counts how often it is passed.
pub(super) struct Tracepoint {
    subsystem: String,
    event: String,
    /// Of the family.
    name: String,
    help: String,
}

/// The events that the flags ask for.
pub(super) fn wanted(flags: &Flags) -> Result<Vec<Event>, BuildError> {
    let mut events = Vec::new();
    for (listed, without, only) in &CLASSES {
        for name in flags.list(only) {
            if !listed.iter().any(|event| event.profiler == name) {
                return Err(flags.error(only, unknown(name, listed)).into());
            }
        }
        let is_wanted = |event: &&Listed| {
            let only = flags.list(only);
            only.is_empty() || only.iter().any(|name| name == event.profiler)
        };
        if !flags.switch(without) {
            events.extend(listed.iter().filter(is_wanted).map(Event::Listed));
        }
    }
    let mut names: Vec<String> = Vec::new();
    for text in flags.list(TRACEPOINTS) {
        let tracepoint = Tracepoint::parse(text);
        let tracepoint = tracepoint.map_err(|what| flags.error(TRACEPOINTS, what))?;
        if !names.contains(&tracepoint.name) {
            names.push(tracepoint.name.clone());
            events.push(Event::Tracepoint(tracepoint));
        }
    }
    Ok(events)
}

fn unknown(name: &str, listed: &[Listed]) -> String {
    let known = listed.iter().map(|event| event.profiler);
    let hint = nearest(name, known.clone()).map_or_else(
        || format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean {near}?"),
    );
    format!("unknown event {name:?}; {hint}")
}

impl Event {
    pub(super) fn desc(&self) -> Desc<'_> {
        match self {
            Event::Listed(event) => event.family.desc(),
            Event::Tracepoint(tracepoint) => {
                Desc { name: &tracepoint.name, help: &tracepoint.help, kind: Kind::Counter }
            }
        }
    }

    /// What the kernel is asked for.
    pub(super) fn attributes(&self, paths: &Paths) -> Result<PerfEvent, CollectError> {
        let (kind, config) = match self {
            Event::Listed(event) => (event.kind, event.config),
            Event::Tracepoint(tracepoint) => (TYPE_TRACEPOINT, tracepoint.id(paths)?),
        };
        Ok(Counter::attributes(kind, config))
    }
}

impl Tracepoint {
    fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            !name.is_empty() && name.chars().all(fits)
        };
        let (subsystem, event) = text
            .split_once(':')
            .filter(|(subsystem, event)| is_name(subsystem) && is_name(event))
            .ok_or_else(|| format!("expected SUBSYSTEM:EVENT, found {text:?}"))?;
        Ok(Tracepoint {
            subsystem: subsystem.to_owned(),
            event: event.to_owned(),
            name: format!("node_perf_{subsystem}_{event}").replace('-', "_"),
            help: format!("Times the kernel passed the tracepoint {text}."),
        })
    }

    /// The kernel's number for it.
    fn id(&self, paths: &Paths) -> Result<u64, CollectError> {
        let Tracepoint { subsystem, event, .. } = self;
        let file = |mount: &str| paths.sys(format!("kernel/{mount}/events/{subsystem}/{event}/id"));
        let (new, old) = (file("tracing"), file("debug/tracing"));
        let path = if new.exists() { new } else { old };
        let text = std::fs::read(&path).map_err(|error| CollectError::read(&path, error))?;
        let wrong = || format!("expected a number, found {}", shown(&text));
        number(text.trim_ascii()).ok_or_else(|| CollectError::parse(&path, 1, wrong()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let mut flags = Flags::new(super::super::DEF.info.flags);
        for (name, value) in given {
            flags.set(*name, value.split(' ').map(str::to_owned).collect());
        }
        let events = wanted(&flags).map_err(|error| error.to_string())?;
        Ok(events.iter().map(|event| event.desc().name.to_owned()).collect())
    }

    #[test]
    fn flags_pick_events() {
        assert_eq!(names(&[]).unwrap().len(), NUMBER);
        let some = [
            (NO_HARDWARE, "true"),
            (SOFTWARE, "MinorFault PageFault"),
            (NO_CACHE, "true"),
            (TRACEPOINTS, "sched:sched_switch sched:sched_switch"),
        ];
        assert_eq!(
            names(&some).unwrap(),
            [
                "node_perf_page_faults_total",
                "node_perf_minor_faults_total",
                "node_perf_sched_sched_switch"
            ]
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(
            names(&[(SOFTWARE, "PageFaults")]).unwrap_err(),
            "--collector.perf.software-profilers: unknown event \"PageFaults\"; did you mean PageFault?"
        );
        for bad in ["sched", ":x", "a:b:c", "a:../../x"] {
            let error = names(&[(TRACEPOINTS, bad)]).unwrap_err();
            assert!(error.contains("expected SUBSYSTEM:EVENT"), "{error}");
        }
    }
}
