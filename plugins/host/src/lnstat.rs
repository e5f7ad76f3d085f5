//! `lnstat`: caches and tables of the network stack, by CPU (PROC/1/net/stat/*).
//!
//! The files share one form: names of columns, then one line of hexadecimal numbers for each CPU. Every column is a
//! family, also those of kernels newer than the list here. It must not know what a column means.

use std::path::PathBuf;

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Desc, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::named::push_word;
use crate::parse::{hexadecimal, lines, shown, text, words};
use crate::procnet;
use crate::sysfs::entries_if_any;

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("lnstat", "Caches and tables of the network stack.")
        .off_by_default()
        .reads("PROC/1/net/stat/*")
        .families(FIELDS),
    build: |setting| {
        let directory = procnet::file(&setting.paths, "stat");
        Ok(Box::new(LnStat { directory, tables: Vec::new(), cpus: Vec::new() }))
    },
};

const fn field(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Counter, labels: &["cpu", "subsystem"] }
}

/// The columns of the neighbour caches and of connection tracking.
static FIELDS: &[FamilyDoc] = &[
    field("node_lnstat_allocs_total", "Neighbours allocated."),
    field("node_lnstat_chainlength_total", "Inserts that failed because a chain was too long."),
    field("node_lnstat_clashres_total", "Clashes of entries that were resolved."),
    field("node_lnstat_delete_list_total", "Entries put on the list of the dying."),
    field("node_lnstat_delete_total", "Entries deleted."),
    field("node_lnstat_destroys_total", "Neighbours freed."),
    field("node_lnstat_drop_total", "Packets dropped because tracking failed."),
    field("node_lnstat_early_drop_total", "Entries dropped to make room for others."),
    field("node_lnstat_entries_total", "Entries in the table, the same for every CPU."),
    field("node_lnstat_expect_create_total", "Expectations added."),
    field("node_lnstat_expect_delete_total", "Expectations deleted."),
    field("node_lnstat_expect_new_total", "Connections that were expected."),
    field("node_lnstat_forced_gc_runs_total", "Collections of garbage for want of room."),
    field("node_lnstat_found_total", "Entries found by a search."),
    field("node_lnstat_hash_grows_total", "Times the hash table grew."),
    field("node_lnstat_hits_total", "Neighbours found by a search."),
    field("node_lnstat_icmp_error_total", "ICMP errors that could not be tracked."),
    field("node_lnstat_ignore_total", "Packets that are tracked already."),
    field("node_lnstat_insert_failed_total", "Entries that could not be inserted."),
    field("node_lnstat_insert_total", "Entries inserted."),
    field("node_lnstat_invalid_total", "Packets that cannot be tracked."),
    field("node_lnstat_lookups_total", "Searches for neighbours."),
    field("node_lnstat_new_total", "Entries that were not expected."),
    field("node_lnstat_periodic_gc_runs_total", "Collections of garbage at their time."),
    field("node_lnstat_rcv_probes_mcast_total", "Multicast probes received."),
    field("node_lnstat_rcv_probes_ucast_total", "Unicast probes received."),
    field("node_lnstat_res_failed_total", "Neighbours that did not answer."),
    field("node_lnstat_search_restart_total", "Searches begun again after a resize."),
    field("node_lnstat_searched_total", "Entries passed by in searches."),
    field("node_lnstat_table_fulls_total", "Times the table was full."),
    field("node_lnstat_unresolved_discards_total", "Packets dropped waiting for a neighbour."),
];

struct LnStat {
    directory: PathBuf,
    tables: Vec<Table>,
    /// `0`, `1`, ...
    cpus: Vec<String>,
}

/// A file.
struct Table {
    subsystem: String,
    file: FileReader,
    /// The line that `columns` come from.
    heading: Vec<u8>,
    columns: Vec<Column>,
    /// The numbers of one line after the other, each as many as there are columns; `None` where one is missing.
    cells: Vec<Option<u64>>,
}

/// The family of a column; no name for a column that another one has before.
struct Column {
    name: String,
    help: String,
}

impl Collector for LnStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.list()?;
        let mut result = Ok(());
        for table in &mut self.tables {
            result = result.and(table.update());
            table.emit(&mut self.cpus, sink);
        }
        result
    }
}

impl LnStat {
    /// Modules bring their files and take them away.
    fn list(&mut self) -> Result<(), CollectError> {
        let names = entries_if_any(&self.directory)?;
        if !self.tables.iter().map(|table| &table.subsystem).eq(&names) {
            let table =
                |name: String| Table::new(FileReader::kept_open(self.directory.join(&name)), name);
            self.tables = names.into_iter().map(table).collect();
        }
        Ok(())
    }
}

impl Table {
    fn new(file: FileReader, subsystem: String) -> Self {
        let (heading, columns, cells) = (Vec::new(), Vec::new(), Vec::new());
        Table { subsystem, file, heading, columns, cells }
    }

    /// Takes every line that is understood; the first that is not is the error. A line that is not leaves its CPU
    /// without numbers.
    fn update(&mut self) -> Result<(), CollectError> {
        self.cells.clear();
        // A module that was just unloaded took its file along.
        let file = match self.file.read().map_err(CollectError::missing_is_no_data) {
            Err(CollectError::NoData(_)) => return Ok(()),
            file => file?,
        };
        let mut lines = lines(file);
        let (_, heading) = lines.next().unwrap_or_default();
        if self.heading != heading {
            self.heading = heading.to_vec();
            self.columns = columns(heading);
        }
        let mut result = Ok(());
        for (line_number, line) in lines {
            let start = self.cells.len();
            for word in words(line).take(self.columns.len()) {
                let cell = hexadecimal(word);
                self.cells.push(cell);
                if cell.is_none() {
                    let what = format!("expected a hexadecimal count, found {}", shown(word));
                    result = result.and(Err((line_number, what)));
                }
            }
            self.cells.resize(start + self.columns.len(), None);
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }

    fn emit(&self, cpus: &mut Vec<String>, sink: &mut dyn MetricSink) {
        let width = self.columns.len().max(1);
        while cpus.len() < self.cells.len() / width {
            cpus.push(cpus.len().to_string());
        }
        for (index, column) in self.columns.iter().enumerate() {
            if column.name.is_empty() {
                continue;
            }
            sink.family(&Desc { name: &column.name, help: &column.help, kind: Kind::Counter });
            for (row, cpu) in self.cells.chunks(width).zip(cpus.iter()) {
                if let Some(Some(value)) = row.get(index) {
                    let labels = [("cpu", cpu.as_str()), ("subsystem", &self.subsystem)];
                    sink.sample(&Sample::new(&labels, Value::U64(*value)));
                }
            }
        }
    }
}

/// No file has so many; the table of a file that claims more stays small.
const MOST_COLUMNS: usize = 256;

fn columns(heading: &[u8]) -> Vec<Column> {
    let mut used = std::collections::HashSet::new();
    let column = |word| {
        let mut name = String::from("node_lnstat_");
        push_word(&mut name, word);
        name.push_str("_total");
        let help = match FIELDS.iter().find(|doc| doc.name == name) {
            Some(doc) => doc.help.to_owned(),
            None => format!("Column {} of PROC/net/stat.", text(word)),
        };
        if !used.insert(name.clone()) {
            name.clear();
        }
        Column { name, help }
    };
    words(heading).take(MOST_COLUMNS).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    #[test]
    fn every_column_of_every_file_is_a_family() {
        let host = Host::new(&[
            (
                "proc/1/net/stat/arp_cache",
                "entries  allocs\n00000014 0000000d\n00000014 ffffffff\n",
            ),
            ("proc/1/net/stat/synproxy", "entries\t\tnew-one\n00000000\t00000007\n"),
        ]);
        assert_eq!(
            lines(&host, &DEF),
            "node_lnstat_entries_total{cpu=\"0\",subsystem=\"arp_cache\"} 20\n\
             node_lnstat_entries_total{cpu=\"1\",subsystem=\"arp_cache\"} 20\n\
             node_lnstat_allocs_total{cpu=\"0\",subsystem=\"arp_cache\"} 13\n\
             node_lnstat_allocs_total{cpu=\"1\",subsystem=\"arp_cache\"} 4294967295\n\
             node_lnstat_entries_total{cpu=\"0\",subsystem=\"synproxy\"} 0\n\
             node_lnstat_new_one_total{cpu=\"0\",subsystem=\"synproxy\"} 7\n"
        );
    }

    #[test]
    fn lines_and_columns_that_do_not_fit_cost_themselves_only() {
        let host = Host::new(&[
            ("proc/net/stat/x", "a b a\n1\nx 2 3\n4 5 6 7\n"),
            ("proc/net/stat/y", ""),
        ]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(
            text,
            "node_lnstat_a_total{cpu=\"0\",subsystem=\"x\"} 1\n\
             node_lnstat_a_total{cpu=\"2\",subsystem=\"x\"} 4\n\
             node_lnstat_b_total{cpu=\"1\",subsystem=\"x\"} 2\n\
             node_lnstat_b_total{cpu=\"2\",subsystem=\"x\"} 5\n"
        );
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("stat/x:3: expected a hexadecimal count, found \"x\""), "{error}");
    }

    #[test]
    fn files_come_and_go() {
        let host = Host::new(&[("proc/net/stat/a", "n\n1\n")]);
        let mut collector = host.build(&DEF).unwrap();
        scrape(&mut *collector).1.unwrap();
        host.write("proc/net/stat/b", "n m\n2 3\n");
        std::fs::remove_file(host.dir.path().join("proc/net/stat/a")).unwrap();
        let (text, result) = scrape(&mut *collector);
        result.unwrap();
        assert!(text.starts_with("node_lnstat_n_total{cpu=\"0\",subsystem=\"b\"} 2\n"), "{text}");
        assert_eq!(text.lines().count(), 2);
        // Listed, and gone when it is opened.
        std::os::unix::fs::symlink("nowhere", host.dir.path().join("proc/net/stat/c")).unwrap();
        let (text, result) = scrape(&mut *collector);
        result.unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn without_the_directory_there_is_nothing_to_show() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
