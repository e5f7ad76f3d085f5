//! `softirqs`: soft interrupts of each CPU by kind (PROC/softirqs).
//!
//! Their sums over all CPUs are a figure of `stat`. It must not know the kinds, which newer kernels may add to.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::text;
use crate::percpu::Table;
use crate::rows::Rows;

static FUNCTIONS: Family<2> = Family::counter(
    "node_softirqs_functions_total",
    "Soft interrupts served by each CPU.",
    ["cpu", "type"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("softirqs", "Soft interrupts by CPU and kind.")
        .reads("PROC/softirqs")
        .off_by_default()
        .families(&[FUNCTIONS.doc()]),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("softirqs"));
        Ok(Box::new(SoftIrqs { file, table: Table::default(), kinds: Rows::default() }))
    },
};

struct SoftIrqs {
    file: FileReader,
    table: Table,
    kinds: Rows<()>,
}

impl Collector for SoftIrqs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut kinds = self.kinds.reading();
        let mut family = FUNCTIONS.open(sink);
        let result = self.table.read(self.file.read()?, |row| {
            if kinds.row(row.name, || ()).is_some() {
                let kind = text(row.name);
                for (cpu, &count) in row.cpus.iter().zip(row.counts) {
                    family.emit([cpu, &kind], count);
                }
            }
        });
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines};

    #[test]
    fn kinds_come_out_by_cpu() {
        let file = "       CPU0   CPU1\n   HI:    3      0\nNEW_IN_7:  1  18446744073709551615\n   HI: 1 1\n";
        assert_eq!(
            lines(&Host::new(&[("proc/softirqs", file)]), &DEF),
            "node_softirqs_functions_total{cpu=\"0\",type=\"HI\"} 3\n\
             node_softirqs_functions_total{cpu=\"1\",type=\"HI\"} 0\n\
             node_softirqs_functions_total{cpu=\"0\",type=\"NEW_IN_7\"} 1\n\
             node_softirqs_functions_total{cpu=\"1\",type=\"NEW_IN_7\"} 18446744073709551615\n"
        );
    }
}
