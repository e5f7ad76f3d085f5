//! `buddyinfo`: free blocks of memory by size (PROC/buddyinfo).
//!
//! How fragmented free memory is: column N counts free blocks of 2^N pages. It must not know how large a page
//! is.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink, Opened};

use crate::parse::{count, each_line, text, words};
use crate::rows::{Reading, Rows};
use crate::zone;

static BLOCKS: Family<3> = Family::gauge(
    "node_buddyinfo_blocks",
    "Free blocks of 2^size pages of memory.",
    ["node", "zone", "size"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("buddyinfo", "Free blocks of memory by size.")
        .reads("PROC/buddyinfo")
        .off_by_default()
        .families(&[BLOCKS.doc()]),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("buddyinfo"));
        Ok(Box::new(BuddyInfo { file, zones: Rows::default(), sizes: Vec::new() }))
    },
};

struct BuddyInfo {
    file: FileReader,
    zones: Rows<()>,
    /// `0`, `1` and so on, as far as they were needed.
    sizes: Vec<String>,
}

impl Collector for BuddyInfo {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut zones = self.zones.reading();
        let mut family = BLOCKS.open(sink);
        let sizes = &mut self.sizes;
        let result =
            each_line(self.file.read()?, |line| emit_line(line, &mut zones, sizes, &mut family));
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// `Node 0, zone   Normal  4381   1093 ...`
fn emit_line(
    line: &[u8],
    zones: &mut Reading<'_, ()>,
    sizes: &mut Vec<String>,
    family: &mut Opened<'_, 3>,
) -> Result<(), String> {
    let zone = zone::parse(line)?;
    if zones.row(zone.key, || ()).is_none() {
        return Ok(());
    }
    let (node, name) = (text(zone.node), text(zone.name));
    for (size, word) in words(zone.rest).enumerate() {
        if sizes.len() <= size {
            sizes.push(size.to_string());
        }
        family.emit([&node, &name, &sizes[size]], count(Some(word))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const FILE: &str = "Node 0, zone      DMA      1      0      3\nNode 0, zone    DMA32   759    572    791    475\n";

    #[test]
    fn blocks_come_out_by_zone_and_size() {
        let text = lines(&Host::new(&[("proc/buddyinfo", FILE)]), &DEF);
        assert!(text.starts_with("node_buddyinfo_blocks{node=\"0\",zone=\"DMA\",size=\"0\"} 1\n"));
        assert!(text.ends_with("{node=\"0\",zone=\"DMA32\",size=\"3\"} 475\n"), "{text}");
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn a_bad_line_costs_itself_and_a_repeated_zone_is_told_once() {
        let file = "Node 0\nNode 0, zone DMA 1 x 3\nNode 0, zone DMA 5\nNode 1, zone DMA 2\n";
        let host = Host::new(&[("proc/buddyinfo", file)]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(
            text,
            "node_buddyinfo_blocks{node=\"0\",zone=\"DMA\",size=\"0\"} 1\n\
             node_buddyinfo_blocks{node=\"1\",zone=\"DMA\",size=\"0\"} 2\n"
        );
        let error = result.unwrap_err().to_string();
        assert!(
            error.ends_with("buddyinfo:1: expected a node and a zone, found \"Node 0\""),
            "{error}"
        );
    }
}
