//! `schedstat`: how long tasks ran and waited on each CPU (PROC/schedstat).
//!
//! The columns are those of versions 15 to 17 of the file (Documentation/scheduler/sched-stats.rst). It must not
//! know the lines about scheduling domains, which differ from version to version.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink, Value};

use crate::parse::{count, each_line, text, words};
use crate::rows::{Reading, Rows};

/// The columns of a CPU's line from the seventh on.
static COLUMNS: [(Family<1>, Unit); 3] = [
    (
        counter("node_schedstat_running_seconds_total", "Time tasks ran on a CPU."),
        Unit::Nanoseconds,
    ),
    (
        counter("node_schedstat_waiting_seconds_total", "Time tasks waited for a CPU."),
        Unit::Nanoseconds,
    ),
    (counter("node_schedstat_timeslices_total", "Time slices run on a CPU."), Unit::Count),
];

const FIRST_COLUMN: usize = 6;

const fn counter(name: &'static str, help: &'static str) -> Family<1> {
    Family::counter(name, help, ["cpu"])
}

enum Unit {
    Nanoseconds,
    Count,
}

impl Unit {
    fn value(&self, count: u64) -> Value<'static> {
        match self {
            Unit::Nanoseconds => Value::F64(count as f64 / 1e9),
            Unit::Count => Value::U64(count),
        }
    }
}

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("schedstat", "Run and wait time of tasks by CPU.")
        .needs("a kernel with scheduler statistics")
        .reads("PROC/schedstat")
        .families(&[COLUMNS[0].0.doc(), COLUMNS[1].0.doc(), COLUMNS[2].0.doc()]),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("schedstat"));
        Ok(Box::new(SchedStat { file, cpus: Rows::default() }))
    },
};

struct SchedStat {
    file: FileReader,
    cpus: Rows<Cpu>,
}

struct Cpu {
    cpu: String,
    counts: [u64; COLUMNS.len()],
}

impl Collector for SchedStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut reading = self.cpus.reading();
        let result = each_line(file, |line| take(line, &mut reading));
        drop(reading);
        for (column, (family, unit)) in COLUMNS.iter().enumerate() {
            let mut family = family.open(sink);
            for cpu in self.cpus.iter() {
                family.emit([&cpu.cpu], unit.value(cpu.counts[column]));
            }
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

fn take(line: &[u8], reading: &mut Reading<'_, Cpu>) -> Result<(), String> {
    let mut words = words(line);
    let Some(number) = words.next().and_then(|word| word.strip_prefix(b"cpu")) else {
        return Ok(());
    };
    let mut columns = words.skip(FIRST_COLUMN);
    let mut counts = [0; COLUMNS.len()];
    for value in &mut counts {
        *value = count(columns.next())?;
    }
    let make = || Cpu { cpu: text(number).into_owned(), counts };
    if let Some(cpu) = reading.row(number, make) {
        cpu.counts = counts;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "version 15\ntimestamp 15819019232\n\
        cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\n\
        domain0 00000000,00000003 212499247 210112015\n\
        cpu1 518377256 0 4155211005 2778589869 10466382 2867629021 1904686152592476 364107263788241 5145567945\n";

    #[test]
    fn the_seventh_to_the_ninth_column_come_out() {
        let text = lines(&Host::new(&[("proc/schedstat", FILE)]), &DEF);
        assert_eq!(
            text,
            "node_schedstat_running_seconds_total{cpu=\"0\"} 2045936.778163039\n\
             node_schedstat_running_seconds_total{cpu=\"1\"} 1904686.152592476\n\
             node_schedstat_waiting_seconds_total{cpu=\"0\"} 343796.328169361\n\
             node_schedstat_waiting_seconds_total{cpu=\"1\"} 364107.263788241\n\
             node_schedstat_timeslices_total{cpu=\"0\"} 4767485306\n\
             node_schedstat_timeslices_total{cpu=\"1\"} 5145567945\n"
        );
    }

    #[test]
    fn a_short_line_costs_itself_only_and_newer_columns_pass() {
        let file = "cpu0 1 2 3\ncpu1 1 2 3 4 5 6 7000000000 0 9 10\ncpu1 1 2 3 4 5 6 7 8 9\n";
        let host = Host::new(&[("proc/schedstat", file)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.starts_with("node_schedstat_running_seconds_total{cpu=\"1\"} 7\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("schedstat:1: expected a count, found \"\""), "{error}");
    }

    #[test]
    fn a_kernel_without_the_file_has_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
