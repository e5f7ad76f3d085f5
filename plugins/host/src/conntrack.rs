//! `conntrack`: the table of tracked connections (PROC/sys/net/netfilter, PROC/1/net/stat/nf_conntrack).
//!
//! How full the table is, and what happened to packets on the way in, summed over the CPUs. PROC/sys/net shows every
//! process its own network, PROC/1/net that of the host, so the latter is asked where both have a figure. It must not
//! know single connections.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::parse::{hexadecimal, lines, number, shown, words};
use crate::procnet;

static ENTRIES: Family = Family::gauge("node_nf_conntrack_entries", "Connections tracked now.", []);
static LIMIT: Family =
    Family::gauge("node_nf_conntrack_entries_limit", "Most connections that can be tracked.", []);

/// Families by their columns (ct_cpu_seq_show in net/netfilter/nf_conntrack_standalone.c). They only grow, but
/// node_exporter has them as gauges.
static COLUMNS: [(usize, Family); 8] = [
    (2, stat("node_nf_conntrack_stat_found", "Entries found by a search.")),
    (4, stat("node_nf_conntrack_stat_invalid", "Packets that cannot be tracked.")),
    (5, stat("node_nf_conntrack_stat_ignore", "Packets that are tracked already.")),
    (8, stat("node_nf_conntrack_stat_insert", "Entries inserted.")),
    (9, stat("node_nf_conntrack_stat_insert_failed", "Entries that could not be inserted.")),
    (10, stat("node_nf_conntrack_stat_drop", "Packets dropped because tracking failed.")),
    (11, stat("node_nf_conntrack_stat_early_drop", "Entries dropped to make room for others.")),
    (16, stat("node_nf_conntrack_stat_search_restart", "Searches begun again after a resize.")),
];
const MOST_COLUMNS: usize = 17;
/// Kernels before 2.6.32 print no search_restart: it counts as 0.
const FEWEST_COLUMNS: usize = 16;

const fn stat(name: &'static str, help: &'static str) -> Family {
    Family::gauge(name, help, [])
}

static FAMILIES: [FamilyDoc; COLUMNS.len() + 2] = {
    let mut all = [ENTRIES.doc(); COLUMNS.len() + 2];
    all[1] = LIMIT.doc();
    let mut i = 0;
    while i < COLUMNS.len() {
        all[i + 2] = COLUMNS[i].1.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("conntrack", "Connections tracked by netfilter.")
        .needs("the kernel module nf_conntrack, which Docker and stateful firewalls load")
        .reads("PROC/sys/net/netfilter/nf_conntrack_{count,max}, PROC/1/net/stat/nf_conntrack")
        .families(&FAMILIES),
    build: |setting| {
        let sysctl =
            |name: &str| FileReader::new(setting.paths.proc("sys/net/netfilter").join(name));
        Ok(Box::new(Conntrack {
            count: sysctl("nf_conntrack_count"),
            max: sysctl("nf_conntrack_max"),
            stat: FileReader::kept_open(procnet::file(&setting.paths, "stat/nf_conntrack")),
        }))
    },
};

struct Conntrack {
    count: FileReader,
    max: FileReader,
    stat: FileReader,
}

impl Collector for Conntrack {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        // Without the module nothing of it exists.
        let own = match read_sysctl(&mut self.count) {
            Err(CollectError::NoData(what)) => return Err(CollectError::NoData(what)),
            own => own,
        };
        let stat = self.stat.read().map_err(CollectError::missing_is_no_data).map(sum);
        let entries = stat.as_ref().ok().and_then(|(sums, _)| sums.entries).map_or(own, Ok);
        let entries = entries.map(|entries| ENTRIES.emit(sink, [], entries));
        let limit = read_sysctl(&mut self.max).map(|limit| LIMIT.emit(sink, [], limit));
        let (sums, parsed) = stat?;
        for (column, family) in &COLUMNS {
            family.emit(sink, [], sums.columns[*column]);
        }
        let parsed =
            parsed.map_err(|(line, what)| CollectError::parse(self.stat.path(), line, what));
        entries.and(limit).and(parsed)
    }
}

fn read_sysctl(file: &mut FileReader) -> Result<u64, CollectError> {
    let word = file.read().map_err(CollectError::missing_is_no_data)?.trim_ascii();
    let value = number(word)
        .ok_or_else(|| format!("expected a number of connections, found {}", shown(word)));
    value.map_err(|what| CollectError::parse(file.path(), 1, what))
}

/// What the CPUs say together.
#[derive(Default)]
struct Sums {
    /// Connections tracked now, which every CPU's line says; none without a line.
    entries: Option<u64>,
    columns: [u64; MOST_COLUMNS],
}

/// Sums every line that is understood; the first that is not is the error.
fn sum(file: &[u8]) -> (Sums, Result<(), (usize, String)>) {
    let mut sums = Sums::default();
    let mut result = Ok(());
    // One line of headings.
    for (line_number, line) in lines(file).skip(1) {
        match parse(line) {
            Ok(values) => {
                sums.entries = Some(values[0]);
                for (sum, value) in sums.columns.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(value);
                }
            }
            Err(what) => result = result.and(Err((line_number, what))),
        }
    }
    (sums, result)
}

fn parse(line: &[u8]) -> Result<[u64; MOST_COLUMNS], String> {
    let mut values = [0; MOST_COLUMNS];
    let mut columns = 0;
    for (value, word) in values.iter_mut().zip(words(line)) {
        *value = hexadecimal(word)
            .ok_or_else(|| format!("expected a hexadecimal count, found {}", shown(word)))?;
        columns += 1;
    }
    if columns < FEWEST_COLUMNS {
        return Err(format!("expected {FEWEST_COLUMNS} columns, found {columns}"));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const STAT: &str = "entries clashres found new invalid ignore delete chainlength insert insert_failed drop \
        early_drop icmp_error expect_new expect_create expect_delete search_restart\n\
        21 0 1 0 3 587 0 0 4 5 6 7 0 0 0 0 8\n\
        21 0 1 0 0 56a4 0 0 9 a 7 4 0 0 0 0\n";

    fn host(stat: &str) -> Host {
        Host::new(&[
            ("proc/sys/net/netfilter/nf_conntrack_count", "5\n"),
            ("proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
            ("proc/1/net/stat/nf_conntrack", stat),
        ])
    }

    /// 0x21 connections of the host, not the 5 of the network that the reader is in.
    #[test]
    fn columns_are_summed_over_the_cpus_and_the_last_may_be_missing() {
        assert_eq!(
            lines(&host(STAT), &DEF),
            "node_nf_conntrack_entries 33\nnode_nf_conntrack_entries_limit 65536\n\
             node_nf_conntrack_stat_found 2\nnode_nf_conntrack_stat_invalid 3\n\
             node_nf_conntrack_stat_ignore 23595\nnode_nf_conntrack_stat_insert 13\n\
             node_nf_conntrack_stat_insert_failed 15\nnode_nf_conntrack_stat_drop 13\n\
             node_nf_conntrack_stat_early_drop 11\nnode_nf_conntrack_stat_search_restart 8\n"
        );
    }

    #[test]
    fn a_missing_file_is_no_data() {
        let host = Host::new(&[("proc/1/net/stat/nf_conntrack", STAT)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.is_empty());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn a_kernel_without_the_statistics_still_tells_how_full_the_table_is() {
        let host = host("");
        let (text, _) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.starts_with("node_nf_conntrack_entries 5\n"), "{text}");
        std::fs::remove_file(host.path("proc/1/net/stat/nf_conntrack")).unwrap();
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_nf_conntrack_entries 5\nnode_nf_conntrack_entries_limit 65536\n");
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        let (text, result) = scrape(&mut *host(&format!("{STAT}1 2\n")).build(&DEF).unwrap());
        assert!(text.ends_with("search_restart 8\n"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("nf_conntrack:4: expected 16 columns, found 2"), "{error}");
    }
}
