//! `softnet`: packets on their way from the interfaces into the stack, by CPU (PROC/1/net/softnet_stat).
//!
//! The columns grew with the kernels; only what is printed is told. It must not know interfaces.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{hexadecimal, lines, shown, words};
use crate::procnet;

static PROCESSED: Family<1> =
    Family::counter("node_softnet_processed_total", "Packets processed.", ["cpu"]);
static DROPPED: Family<1> = Family::counter(
    "node_softnet_dropped_total",
    "Packets dropped because the backlog was full.",
    ["cpu"],
);
static SQUEEZED: Family<1> = Family::counter(
    "node_softnet_times_squeezed_total",
    "Times that work was left over because its budget was used up.",
    ["cpu"],
);
static COLLISION: Family<1> = Family::counter(
    "node_softnet_cpu_collision_total",
    "Collisions on the lock of a device while sending.",
    ["cpu"],
);
static RPS: Family<1> = Family::counter(
    "node_softnet_received_rps_total",
    "Times another CPU woke this one to process packets.",
    ["cpu"],
);
static FLOW_LIMIT: Family<1> = Family::counter(
    "node_softnet_flow_limit_count_total",
    "Packets dropped because one flow filled the backlog.",
    ["cpu"],
);
static BACKLOG: Family<1> =
    Family::gauge("node_softnet_backlog_len", "Packets waiting in the backlog.", ["cpu"]);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("softnet", "Packets processed and dropped by each CPU.")
        .reads("PROC/1/net/softnet_stat")
        .families(&[
            PROCESSED.doc(),
            DROPPED.doc(),
            SQUEEZED.doc(),
            COLLISION.doc(),
            RPS.doc(),
            FLOW_LIMIT.doc(),
            BACKLOG.doc(),
        ]),
    build: |setting| {
        let file = FileReader::kept_open(procnet::file(&setting.paths, "softnet_stat"));
        Ok(Box::new(SoftNet { file, rows: Vec::new() }))
    },
};

/// Families by their columns (softnet_seq_show in net/core/net-procfs.c).
static COLUMNS: [(usize, &Family<1>); 7] = [
    (0, &PROCESSED),
    (1, &DROPPED),
    (2, &SQUEEZED),
    (8, &COLLISION),
    (9, &RPS),
    (10, &FLOW_LIMIT),
    (11, &BACKLOG),
];
/// The number of the CPU; kernels before 5.10 do not print it.
const CPU: usize = 12;
const FEWEST_COLUMNS: usize = 9;

struct SoftNet {
    file: FileReader,
    rows: Vec<Row>,
}

struct Row {
    cpu: u64,
    label: String,
    values: [u64; CPU + 1],
    columns: usize,
}

impl Collector for SoftNet {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let result = update(&mut self.rows, file);
        for (column, family) in &COLUMNS {
            let mut rows = self.rows.iter().filter(|row| *column < row.columns).peekable();
            if rows.peek().is_none() {
                continue;
            }
            let mut family = family.open(sink);
            for row in rows {
                family.emit([&row.label], row.values[*column]);
            }
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// Takes every line that is understood; the first that is not is the error.
fn update(rows: &mut Vec<Row>, file: &[u8]) -> Result<(), (usize, String)> {
    let mut result = Ok(());
    let mut taken = 0;
    // CPUs stand in ascending order: one that does not was told before.
    let mut next_cpu = 0;
    for (line_number, line) in lines(file) {
        let (values, columns) = match parse(line) {
            Ok(parsed) => parsed,
            Err(what) => {
                result = result.and(Err((line_number, what)));
                continue;
            }
        };
        // Offline CPUs are left out of the file, so the line number is a guess.
        let cpu = if columns > CPU { values[CPU] } else { line_number as u64 - 1 };
        if cpu < next_cpu {
            continue;
        }
        next_cpu = cpu.saturating_add(1);
        if rows.get(taken).is_none_or(|row| row.cpu != cpu) {
            rows.truncate(taken);
            rows.push(Row { cpu, label: cpu.to_string(), values, columns });
        }
        if let Some(row) = rows.get_mut(taken) {
            (row.values, row.columns) = (values, columns);
        }
        taken += 1;
    }
    rows.truncate(taken);
    result
}

fn parse(line: &[u8]) -> Result<([u64; CPU + 1], usize), String> {
    let mut values = [0; CPU + 1];
    let mut columns = 0;
    for (value, word) in values.iter_mut().zip(words(line)) {
        *value = hexadecimal(word)
            .ok_or_else(|| format!("expected a hexadecimal count, found {}", shown(word)))?;
        columns += 1;
    }
    if columns < FEWEST_COLUMNS {
        return Err(format!("expected {FEWEST_COLUMNS} columns, found {columns}"));
    }
    Ok((values, columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host(text: &str) -> Host {
        Host::new(&[("proc/1/net/softnet_stat", text)])
    }

    #[test]
    fn the_cpu_stands_in_the_thirteenth_column() {
        let text = lines(&host("1 2 3 0 0 0 0 0 9 a b c 7 d e\n"), &DEF);
        for line in [
            "processed_total{cpu=\"7\"} 1\n",
            "dropped_total{cpu=\"7\"} 2\n",
            "times_squeezed_total{cpu=\"7\"} 3\n",
            "cpu_collision_total{cpu=\"7\"} 9\n",
            "received_rps_total{cpu=\"7\"} 10\n",
            "flow_limit_count_total{cpu=\"7\"} 11\n",
            "backlog_len{cpu=\"7\"} 12\n",
        ] {
            assert!(text.contains(&format!("node_softnet_{line}")), "{line}{text}");
        }
        assert_eq!(text.lines().count(), COLUMNS.len());
    }

    #[test]
    fn older_kernels_print_fewer_columns_and_no_cpu() {
        let text = lines(&host("1 0 0 0 0 0 0 0 0\n2 0 0 0 0 0 0 0 0 5 6\n"), &DEF);
        assert!(text.contains("processed_total{cpu=\"1\"} 2\n"), "{text}");
        assert!(text.contains("flow_limit_count_total{cpu=\"1\"} 6\n"), "{text}");
        assert!(!text.contains("rps_total{cpu=\"0\"}") && !text.contains("backlog"), "{text}");
    }

    #[test]
    fn cpus_come_and_go_and_are_told_once() {
        let line = |cpu: u64| format!("{cpu} 0 0 0 0 0 0 0 0 0 0 0 {cpu}\n");
        let host = host(&[0, 1, 3, 3].map(line).concat());
        let mut collector = host.build(&DEF).unwrap();
        for (cpus, rows) in [([0, 1, 3, 3], 3), ([0, 2, 3, 1], 3), ([4, 4, 5, 6], 3)] {
            host.write("proc/1/net/softnet_stat", cpus.map(line).concat());
            let (text, result) = scrape(&mut *collector);
            result.unwrap();
            assert_eq!(text.matches("processed_total").count(), rows, "{text}");
        }
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let (text, result) = scrape(&mut *host("1 2\nx\n7 0 0 0 0 0 0 0 0\n").build(&DEF).unwrap());
        assert!(text.starts_with("node_softnet_processed_total{cpu=\"2\"} 7\n"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("softnet_stat:1: expected 9 columns, found 2"), "{error}");
    }
}
