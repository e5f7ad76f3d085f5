//! `slabinfo`: the kernel's caches of objects (PROC/slabinfo).
//!
//! Only root may read the file. It must not know what stands behind the first colon, tunables and statistics.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::filter::Filter;
use crate::parse::{count, each_line, shown, text};
use crate::rows::{Reading, Rows};

/// The columns behind the name (mm/slab_common.c).
static COLUMNS: [Family<1>; 5] = [
    gauge("node_slabinfo_active_objects", "Objects in use."),
    gauge("node_slabinfo_objects", "Objects there is memory for."),
    gauge("node_slabinfo_object_size_bytes", "Size of an object."),
    gauge("node_slabinfo_objects_per_slab", "Objects in a slab."),
    gauge("node_slabinfo_pages_per_slab", "Pages of memory in a slab."),
];

const fn gauge(name: &'static str, help: &'static str) -> Family<1> {
    Family::gauge(name, help, ["slab"])
}

const INCLUDE: &str = "collector.slabinfo.slabs-include";
const EXCLUDE: &str = "collector.slabinfo.slabs-exclude";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("slabinfo", "The kernel's caches of objects.")
        .needs("root: nobody else may read /proc/slabinfo")
        .reads("PROC/slabinfo")
        .off_by_default()
        .flags(&[
            FlagDef::text(INCLUDE, ".*", "Regular expression of caches to export."),
            FlagDef::text(EXCLUDE, "", "Regular expression of caches to leave out."),
        ])
        .families(&[
            COLUMNS[0].doc(),
            COLUMNS[1].doc(),
            COLUMNS[2].doc(),
            COLUMNS[3].doc(),
            COLUMNS[4].doc(),
        ]),
    build: |setting| {
        Ok(Box::new(SlabInfo {
            file: FileReader::kept_open(setting.paths.proc("slabinfo")),
            filter: Filter::combined(&setting.flags, INCLUDE, EXCLUDE)?,
            slabs: Rows::default(),
        }))
    },
};

struct SlabInfo {
    file: FileReader,
    filter: Filter,
    slabs: Rows<Slab>,
}

struct Slab {
    name: String,
    admitted: bool,
    counts: [u64; COLUMNS.len()],
}

impl Collector for SlabInfo {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let file = self.file.read().map_err(CollectError::missing_is_no_data)?;
        let mut reading = self.slabs.reading();
        let filter = &self.filter;
        let result = each_line(file, |line| take(line, filter, &mut reading));
        drop(reading);
        for (column, family) in COLUMNS.iter().enumerate() {
            let mut family = family.open(sink);
            for slab in self.slabs.iter().filter(|slab| slab.admitted) {
                family.emit([&slab.name], slab.counts[column]);
            }
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// `kmalloc-8  2560  2560  8  512  1 : tunables ...`; a name may hold blanks. Two lines of headings.
fn take(line: &[u8], filter: &Filter, reading: &mut Reading<'_, Slab>) -> Result<(), String> {
    if line.starts_with(b"slabinfo - version") || line.starts_with(b"#") || line.is_empty() {
        return Ok(());
    }
    let end = memchr::memmem::find(line, b" : ").unwrap_or(line.len());
    let mut rest = &line[..end];
    let mut counts = [0; COLUMNS.len()];
    for value in counts.iter_mut().rev() {
        rest = rest.trim_ascii_end();
        let blank = rest.iter().rposition(u8::is_ascii_whitespace);
        let Some(blank) = blank else {
            return Err(format!("expected a name and 5 counts, found {}", shown(line)));
        };
        *value = count(Some(&rest[blank + 1..]))?;
        rest = &rest[..blank];
    }
    let name = rest.trim_ascii();
    let make = || {
        let name = text(name).into_owned();
        Slab { admitted: filter.admits(&name), name, counts }
    };
    if let Some(slab) = reading.row(name, make) {
        slab.counts = counts;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "slabinfo - version: 2.1\n\
        # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>\n\
        dentry  759080 760200 192 21 1 : tunables 0 0 0 : slabdata 36200 36200 0\n\
        two words 1 2 3 4 5 : tunables 0 0 0\n";

    #[test]
    fn caches_come_out() {
        let text = lines(&Host::new(&[("proc/slabinfo", FILE)]), &DEF);
        assert!(
            text.starts_with("node_slabinfo_active_objects{slab=\"dentry\"} 759080\n"),
            "{text}"
        );
        assert!(text.contains("node_slabinfo_objects{slab=\"dentry\"} 760200\n"), "{text}");
        assert!(text.contains("node_slabinfo_object_size_bytes{slab=\"two words\"} 3\n"), "{text}");
        assert!(text.contains("node_slabinfo_objects_per_slab{slab=\"dentry\"} 21\n"), "{text}");
        assert!(text.ends_with("node_slabinfo_pages_per_slab{slab=\"two words\"} 5\n"), "{text}");
    }

    #[test]
    fn caches_can_be_chosen_and_left_out_at_once() {
        let host = Host::new(&[("proc/slabinfo", FILE)]).flag(EXCLUDE, &["^dent"]);
        let text = lines(&host, &DEF);
        assert!(!text.contains("dentry") && text.contains("two words"), "{text}");
        let host = Host::new(&[("proc/slabinfo", FILE)]).flag(INCLUDE, &["^dent"]);
        let text = lines(&host, &DEF);
        assert!(text.contains("dentry") && !text.contains("two words"), "{text}");
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let file =
            "slabinfo - version: 3.0 (statistics)\nshort 1 2\nbad 1 2 x 4 5\ngood 1 2 3 4 5\n";
        let host = Host::new(&[("proc/slabinfo", file)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text.lines().count(), 5, "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.contains("slabinfo:2: expected a "), "{error}");
    }
}
