//! `zoneinfo`: the memory of each zone of each node (PROC/zoneinfo).
//!
//! Figures of a whole node stand under its first zone, where newer kernels print them. It must not know the
//! lists of single CPUs.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::MetricSink;

use crate::parse::{count, each_line, text, words};
use crate::rows::{Reading, Rows};
use crate::zone;

mod field;

use field::{FIELDS, position, protection};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("zoneinfo", "Memory of each zone.")
        .reads("PROC/zoneinfo")
        .off_by_default()
        .families(&field::ALL),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("zoneinfo"));
        Ok(Box::new(ZoneInfo { file, zones: Rows::default() }))
    },
};

struct ZoneInfo {
    file: FileReader,
    zones: Rows<Zone>,
}

struct Zone {
    node: String,
    zone: String,
    /// By position in [`FIELDS`]; none is a field that this kernel lacks.
    values: [Option<u64>; FIELDS.len()],
}

impl Collector for ZoneInfo {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut reading = self.zones.reading();
        let mut inside = false;
        let result = each_line(self.file.read()?, |line| take(line, &mut reading, &mut inside));
        drop(reading);
        for (position, field) in FIELDS.iter().enumerate() {
            let mut family = field.family.open(sink);
            for zone in self.zones.iter() {
                if let Some(value) = zone.values[position] {
                    family.emit([&zone.node, &zone.zone], value);
                }
            }
        }
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// `Node 0, zone   Normal` begins a zone; what follows are its fields. `inside` is whether that zone is wanted:
/// one that is told a second time is not.
fn take(line: &[u8], reading: &mut Reading<'_, Zone>, inside: &mut bool) -> Result<(), String> {
    let mut words = words(line);
    let Some(key) = words.next() else { return Ok(()) };
    if key == b"Node" {
        *inside = false;
        let begun = begin(line, reading)?;
        *inside = begun;
    } else if let Some(zone) = reading.last().filter(|_| *inside) {
        if key == b"protection:" {
            zone.protect(words)?;
        } else if let Some(position) = position(key) {
            zone.values[position] = Some(count(words.next())?);
        }
    }
    Ok(())
}

/// Whether it is a new zone.
fn begin(line: &[u8], reading: &mut Reading<'_, Zone>) -> Result<bool, String> {
    let heading = zone::parse(line)?;
    let make = || Zone {
        node: text(heading.node).into_owned(),
        zone: text(heading.name).into_owned(),
        values: [None; FIELDS.len()],
    };
    let row = reading.row(heading.key, make);
    Ok(row.map(|zone| zone.values = [None; FIELDS.len()]).is_some())
}

impl Zone {
    /// `(0, 2867, 7827)`: pages for each kind of zone.
    fn protect<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
        for (position, word) in protection().zip(words) {
            let is_frame = |byte: &u8| matches!(byte, b'(' | b')' | b',');
            let start = word.iter().take_while(|byte| is_frame(byte)).count();
            let digits = word[start..].split(is_frame).next();
            self.values[position] = Some(count(digits)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "Node 0, zone      DMA\n  per-node stats\n      nr_dirtied   7\n  pages free     2949\n\
        \x20       min      8\n        managed  3975\n        protection: (0, 2039, 32079)\n\
        \x20     nr_free_pages 2949\n      nr_new_in_7 1\n  pagesets\n    cpu: 0\n              high:  378\n\
        Node 1, zone   Normal\n        min      9\n";

    #[test]
    fn known_fields_come_out_by_node_and_zone() {
        let text = lines(&Host::new(&[("proc/zoneinfo", FILE)]), &DEF);
        assert_eq!(
            text,
            "node_zoneinfo_nr_free_pages{node=\"0\",zone=\"DMA\"} 2949\n\
             node_zoneinfo_min_pages{node=\"0\",zone=\"DMA\"} 8\n\
             node_zoneinfo_min_pages{node=\"1\",zone=\"Normal\"} 9\n\
             node_zoneinfo_managed_pages{node=\"0\",zone=\"DMA\"} 3975\n\
             node_zoneinfo_nr_dirtied_total{node=\"0\",zone=\"DMA\"} 7\n\
             node_zoneinfo_protection_0{node=\"0\",zone=\"DMA\"} 0\n\
             node_zoneinfo_protection_1{node=\"0\",zone=\"DMA\"} 2039\n\
             node_zoneinfo_protection_2{node=\"0\",zone=\"DMA\"} 32079\n"
        );
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let file = "Node 0, zone DMA\n  min x\n  low 4\nNode\n  low 5\nNode 0, zone DMA\n  low 6\n";
        let host = Host::new(&[("proc/zoneinfo", file)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_zoneinfo_low_pages{node=\"0\",zone=\"DMA\"} 4\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("zoneinfo:2: expected a count, found \"x\""), "{error}");
    }

    #[test]
    fn a_field_that_vanishes_is_no_longer_told() {
        let host = Host::new(&[("proc/zoneinfo", "Node 0, zone DMA\n low 4\n")]);
        let mut collector = host.build(&DEF).unwrap();
        assert!(scrape(&mut *collector).0.contains("low_pages"));
        host.write("proc/zoneinfo", "Node 0, zone DMA\n min 4\n");
        assert!(!scrape(&mut *collector).0.contains("low_pages"));
    }
}
