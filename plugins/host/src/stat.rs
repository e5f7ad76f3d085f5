//! `stat`: boot time, forks, context switches, interrupts, processes (PROC/stat).
//!
//! The lines of PROC/stat that do not belong to one CPU. It must not know the CPU lines: those are
//! the collector `cpu`.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{count, each_line, words};

static INTR: Family = Family::counter("node_intr_total", "Interrupts serviced.", []);
static CTXT: Family = Family::counter("node_context_switches_total", "Context switches.", []);
static FORKS: Family = Family::counter("node_forks_total", "Forks.", []);
static BOOT: Family =
    Family::gauge("node_boot_time_seconds", "When the node booted, in Unix time.", []);
static RUNNING: Family = Family::gauge("node_procs_running", "Processes in runnable state.", []);
static BLOCKED: Family =
    Family::gauge("node_procs_blocked", "Processes blocked waiting for I/O.", []);
static SOFTIRQS: Family<1> =
    Family::counter("node_softirqs_total", "Softirq calls by vector.", ["vector"]);

/// The columns of line `softirq` after the total, in the kernel's order.
const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

const SOFTIRQ_FLAG: &str = "collector.stat.softirq";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("stat", "Boot time, forks, context switches, interrupts, processes.")
        .reads("PROC/stat")
        .flags(&[FlagDef::switch(SOFTIRQ_FLAG, false, "Export softirq calls per vector.")])
        .families(&[
            INTR.doc(),
            CTXT.doc(),
            FORKS.doc(),
            BOOT.doc(),
            RUNNING.doc(),
            BLOCKED.doc(),
            SOFTIRQS.doc(),
        ]),
    build: |setting| {
        Ok(Box::new(Stat {
            file: FileReader::kept_open(setting.paths.proc("stat")),
            softirq: setting.flags.switch(SOFTIRQ_FLAG),
        }))
    },
};

struct Stat {
    file: FileReader,
    softirq: bool,
}

impl Collector for Stat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let softirq = self.softirq;
        let result = each_line(self.file.read()?, |line| emit_line(line, softirq, sink));
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

fn emit_line(line: &[u8], softirq: bool, sink: &mut dyn MetricSink) -> Result<(), String> {
    let mut words = words(line);
    let family = match words.next() {
        Some(b"intr") => &INTR,
        Some(b"ctxt") => &CTXT,
        Some(b"processes") => &FORKS,
        Some(b"btime") => &BOOT,
        Some(b"procs_running") => &RUNNING,
        Some(b"procs_blocked") => &BLOCKED,
        Some(b"softirq") if softirq => return emit_softirq(words, sink),
        _ => return Ok(()),
    };
    family.emit(sink, [], count(words.next())?);
    Ok(())
}

fn emit_softirq<'a>(
    words: impl Iterator<Item = &'a [u8]>,
    sink: &mut dyn MetricSink,
) -> Result<(), String> {
    let mut family = SOFTIRQS.open(sink);
    for (vector, word) in VECTORS.iter().zip(words.skip(1)) {
        family.emit([vector], count(Some(word))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, lines, scrape, survives};
    use proptest::prelude::*;

    const STAT: &str = "cpu  1 2 3 4\nintr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\n\
        processes 26442\nprocs_running 2\nprocs_blocked 1\nsoftirq 10 1 2 3 4 5 6 7 8 9 11\nnew 1\n";

    #[test]
    fn the_node_wide_lines_come_out() {
        let text = lines(&Host::new(&[("proc/stat", STAT)]), &DEF);
        assert_eq!(
            text,
            "node_intr_total 8885917\nnode_context_switches_total 38014093\n\
             node_boot_time_seconds 1418183276\nnode_forks_total 26442\nnode_procs_running 2\n\
             node_procs_blocked 1\n"
        );
    }

    #[test]
    fn softirqs_are_told_when_asked_for() {
        let host = Host::new(&[("proc/stat", STAT)]).flag(SOFTIRQ_FLAG, &["true"]);
        let text = lines(&host, &DEF);
        assert!(text.contains("node_softirqs_total{vector=\"hi\"} 1\n"), "{text}");
        assert!(text.ends_with("node_softirqs_total{vector=\"rcu\"} 11\n"), "{text}");
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/stat", "ctxt x\nbtime 7\nprocs_running\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_boot_time_seconds 7\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("stat:1: expected a count, found \"x\""), "{error}");
    }

    #[test]
    fn an_interrupt_line_of_a_megabyte_is_read() {
        let mut sink = Lines::default();
        let text = format!("intr 5{}\nctxt 6\n", " 0".repeat(600_000));
        each_line(text.as_bytes(), |line| emit_line(line, false, &mut sink)).unwrap();
        assert_eq!(sink.text, "node_intr_total 5\nnode_context_switches_total 6\n");
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            survives(&DEF, "proc/stat", &bytes);
        }

        #[test]
        fn any_numbers_are_survived(text in "((intr|ctxt|btime|softirq)[ 0-9x-]{0,40}\n){0,6}") {
            let mut sink = Lines::default();
            let _ = each_line(text.as_bytes(), |line| emit_line(line, true, &mut sink));
        }
    }
}
