//! `vmstat`: events of virtual memory (PROC/vmstat).
//!
//! A regular expression says which of the nearly two hundred fields are told; it is asked once for each. It must
//! not know what they mean, and so not whether they count or measure.

use regex::Regex;
use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Desc, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::parse::{count, each_line, name_part, words};
use crate::rows::{Reading, Rows};

const FIELDS_FLAG: &str = "collector.vmstat.fields";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("vmstat", "Events of virtual memory.")
        .reads("PROC/vmstat")
        .flags(&[FlagDef::text(
            FIELDS_FLAG,
            "^(oom_kill|pgpg|pswp|pg.*fault).*",
            "Regular expression of fields to export.",
        )])
        .families(FIELDS),
    build: |setting| {
        Ok(Box::new(VmStat {
            file: FileReader::kept_open(setting.paths.proc("vmstat")),
            wanted: setting.flags.regex(FIELDS_FLAG)?,
            fields: Rows::default(),
        }))
    },
};

const fn field(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Untyped, labels: &[] }
}

/// The fields that are exported without being asked for.
static FIELDS: &[FamilyDoc] = &[
    field("node_vmstat_oom_kill", "Processes killed for want of memory."),
    field("node_vmstat_pgfault", "Page faults."),
    field("node_vmstat_pgmajfault", "Page faults that had to wait for a disk."),
    field("node_vmstat_pgpgin", "KiB read from disks."),
    field("node_vmstat_pgpgout", "KiB written to disks."),
    field("node_vmstat_pswpin", "Pages read from swap."),
    field("node_vmstat_pswpout", "Pages written to swap."),
];

struct VmStat {
    file: FileReader,
    /// None is all of them.
    wanted: Option<Regex>,
    fields: Rows<Option<Field>>,
}

/// A field that is exported.
struct Field {
    name: String,
    help: String,
}

impl Collector for VmStat {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let wanted = self.wanted.as_ref();
        let mut reading = self.fields.reading();
        let result =
            each_line(self.file.read()?, |line| emit_line(line, wanted, &mut reading, sink));
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// A field that is not exported must be a number too.
fn emit_line(
    line: &[u8],
    wanted: Option<&Regex>,
    reading: &mut Reading<'_, Option<Field>>,
    sink: &mut dyn MetricSink,
) -> Result<(), String> {
    let mut words = words(line);
    let Some(key) = words.next() else { return Ok(()) };
    let value = count(words.next())?;
    if let Some(Some(field)) = reading.row(key, || Field::new(key, wanted)) {
        sink.family(&Desc { name: &field.name, help: &field.help, kind: Kind::Untyped });
        sink.sample(&Sample::new(&[], Value::U64(value)));
    }
    Ok(())
}

impl Field {
    /// None for a field that is not wanted, and for one whose name no metric may have.
    fn new(key: &[u8], wanted: Option<&Regex>) -> Option<Self> {
        let key = std::str::from_utf8(key).ok().filter(|key| name_part(key) == *key)?;
        if wanted.is_some_and(|wanted| !wanted.is_match(key)) {
            return None;
        }
        let name = format!("node_vmstat_{key}");
        let known = FIELDS.iter().find(|field| field.name == name);
        let help = match known {
            Some(known) => known.help.to_owned(),
            None => format!("Field {key} of PROC/vmstat."),
        };
        Some(Field { name, help })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str =
        "nr_free_pages 977769\npgpgin 7344136\npgfault 2320168809\nthp_fault_alloc 1\n";

    #[test]
    fn fields_that_match_come_out() {
        let text = lines(&Host::new(&[("proc/vmstat", FILE)]), &DEF);
        assert_eq!(text, "node_vmstat_pgpgin 7344136\nnode_vmstat_pgfault 2320168809\n");
    }

    #[test]
    fn other_fields_can_be_asked_for() {
        let host = Host::new(&[("proc/vmstat", FILE)]).flag(FIELDS_FLAG, &["alloc"]);
        assert_eq!(lines(&host, &DEF), "node_vmstat_thp_fault_alloc 1\n");
        let host = Host::new(&[("proc/vmstat", FILE)]).flag(FIELDS_FLAG, &[""]);
        assert_eq!(lines(&host, &DEF).lines().count(), 4);
        let host = Host::new(&[]).flag(FIELDS_FLAG, &["("]);
        assert!(host.build(&DEF).err().unwrap().starts_with("--collector.vmstat.fields: not a"));
    }

    #[test]
    fn a_field_whose_name_no_metric_may_have_is_left_out() {
        let host = Host::new(&[]).flag(FIELDS_FLAG, &[""]);
        host.write("proc/vmstat", b"pg\xff 1\npg-a 2\npg_a 3\n");
        assert_eq!(lines(&host, &DEF), "node_vmstat_pg_a 3\n");
    }

    #[test]
    fn a_field_that_is_not_exported_must_be_a_number_too() {
        let host = Host::new(&[("proc/vmstat", "nr_new x\npgpgin 5\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_vmstat_pgpgin 5\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("vmstat:1: expected a count, found \"x\""), "{error}");
    }
}
