//! `interrupts`: interrupts of each CPU by line (PROC/interrupts).
//!
//! One series per CPU and line, so off by default. It must not know devices beyond the words of the kernel.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::filter::Filter;
use crate::parse::{number, text, words};
use crate::percpu::{Row, Table};
use crate::rows::Rows;

static INTERRUPTS: Family<4> = Family::counter(
    "node_interrupts_total",
    "Interrupts served by each CPU.",
    ["cpu", "type", "info", "devices"],
);

const INCLUDE: &str = "collector.interrupts.name-include";
const EXCLUDE: &str = "collector.interrupts.name-exclude";
const ZEROS: &str = "collector.interrupts.include-zeros";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("interrupts", "Interrupts by CPU and line.")
        .reads("PROC/interrupts")
        .off_by_default()
        .flags(&[
            FlagDef::text(
                INCLUDE,
                "",
                "Regular expression of interrupts to export, searched in NAME;INFO;DEVICES; not with name-exclude.",
            ),
            FlagDef::text(
                EXCLUDE,
                "",
                "Regular expression of interrupts to leave out, searched in NAME;INFO;DEVICES; not with name-include.",
            ),
            FlagDef::switch(ZEROS, true, "Export interrupts that never happened too."),
        ])
        .families(&[INTERRUPTS.doc()]),
    build: |setting| {
        Ok(Box::new(Interrupts {
            file: FileReader::kept_open(setting.paths.proc("interrupts")),
            filter: Filter::from_flags(&setting.flags, INCLUDE, EXCLUDE)?,
            zeros: setting.flags.switch(ZEROS),
            table: Table::default(),
            lines: Rows::default(),
            key: Vec::new(),
        }))
    },
};

struct Interrupts {
    file: FileReader,
    filter: Filter,
    zeros: bool,
    table: Table,
    lines: Rows<Line>,
    /// The line at hand without its counts.
    key: Vec<u8>,
}

/// A line that was met before: the filter is asked once.
struct Line {
    name: String,
    info: String,
    devices: String,
    admitted: bool,
}

impl Collector for Interrupts {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut lines = self.lines.reading();
        let mut family = INTERRUPTS.open(sink);
        let (filter, key) = (&self.filter, &mut self.key);
        let result = self.table.read(self.file.read()?, |row| {
            // `ERR: 0` on a machine with one CPU.
            if row.rest.trim_ascii().is_empty() {
                return;
            }
            key.clear();
            key.extend_from_slice(row.name);
            key.push(b':');
            key.extend_from_slice(row.rest);
            let Some(line) = lines.row(key, || Line::new(row, filter)) else { return };
            let counts = row.cpus.iter().zip(row.counts).filter(|_| line.admitted);
            for (cpu, &count) in counts.filter(|&(_, &count)| self.zeros || count > 0) {
                family.emit([cpu, &line.name, &line.info, &line.devices], count);
            }
        });
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

impl Line {
    /// A numbered interrupt tells its controller first, then its edge and its devices; of a named one all words
    /// are a description.
    fn new(row: &Row<'_>, filter: &Filter) -> Self {
        let words: Vec<_> = words(row.rest).map(text).collect();
        let info = if number(row.name).is_some() { 1 } else { words.len() };
        let (info, devices) = words.split_at(info.min(words.len()));
        let (name, info, devices) =
            (text(row.name).into_owned(), info.join(" "), devices.join(" "));
        let admitted = filter.admits(&format!("{name};{info};{devices}"));
        Line { name, info, devices, admitted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "           CPU0       CPU1\n  0:         18          0   IO-APIC   2-edge      timer\n\
        \x2024:          0       5031  PCI-MSI 524288-edge   nvme0q0,  nvme0q1\nNMI:         47       5031   Non-maskable interrupts\n\
        ERR:          3\nMIS:          0\n";

    fn host(flags: &[(&str, &str)]) -> Host {
        let host = Host::new(&[("proc/interrupts", FILE)]);
        flags.iter().fold(host, |host, (name, value)| host.flag(name, &[value]))
    }

    #[test]
    fn numbered_and_named_interrupts_come_out() {
        assert_eq!(
            lines(&host(&[]), &DEF),
            "node_interrupts_total{cpu=\"0\",type=\"0\",info=\"IO-APIC\",devices=\"2-edge timer\"} 18\n\
             node_interrupts_total{cpu=\"1\",type=\"0\",info=\"IO-APIC\",devices=\"2-edge timer\"} 0\n\
             node_interrupts_total{cpu=\"0\",type=\"24\",info=\"PCI-MSI\",devices=\"524288-edge nvme0q0, nvme0q1\"} 0\n\
             node_interrupts_total{cpu=\"1\",type=\"24\",info=\"PCI-MSI\",devices=\"524288-edge nvme0q0, nvme0q1\"} 5031\n\
             node_interrupts_total{cpu=\"0\",type=\"NMI\",info=\"Non-maskable interrupts\"} 47\n\
             node_interrupts_total{cpu=\"1\",type=\"NMI\",info=\"Non-maskable interrupts\"} 5031\n"
        );
    }

    #[test]
    fn filters_see_name_info_and_devices() {
        let text = lines(&host(&[(INCLUDE, "^24;PCI-MSI;.*nvme0q1$")]), &DEF);
        assert!(text.lines().count() == 2 && text.contains("nvme"), "{text}");
        let text = lines(&host(&[(EXCLUDE, "^NMI;Non-maskable interrupts;$|timer")]), &DEF);
        assert!(text.lines().count() == 2 && text.contains("nvme"), "{text}");
        let error = host(&[(INCLUDE, "a"), (EXCLUDE, "b")]).build(&DEF).err().unwrap();
        assert_eq!(
            error,
            "--collector.interrupts.name-include: cannot go with --collector.interrupts.name-exclude"
        );
    }

    #[test]
    fn zeros_can_be_left_out() {
        let text = lines(&host(&[(ZEROS, "false")]), &DEF);
        assert!(text.lines().count() == 4 && !text.contains("} 0\n"), "{text}");
    }

    #[test]
    fn a_device_that_takes_over_a_line_is_seen() {
        let host = host(&[]);
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).0.contains("timer"));
        host.write("proc/interrupts", FILE.replace("timer", "rtc0"));
        let (text, _) = scrape(&mut *collector);
        assert!(text.contains("rtc0") && !text.contains("timer"), "{text}");
    }

    #[test]
    fn with_one_cpu_error_counts_are_no_interrupts() {
        let host = Host::new(&[("proc/interrupts", "   CPU0\n  8:  1  IO-APIC\nERR:  3\n")]);
        assert_eq!(
            lines(&host, &DEF),
            "node_interrupts_total{cpu=\"0\",type=\"8\",info=\"IO-APIC\"} 1\n"
        );
    }
}
