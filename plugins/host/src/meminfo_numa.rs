//! `meminfo_numa`: how the memory of each NUMA node is used (SYS/devices/system/node/nodeN).
//!
//! Every line of both files becomes a series, also those of newer kernels. Sizes are in bytes though their
//! names do not say so. It must not know what the figures add up to.

use std::path::PathBuf;

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Desc, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::meminfo::{parse, push_name};
use crate::parse::{count, each_line, number, shown, text, words};
use crate::rows::{Reading, Rows};
use crate::sysfs::entries_if_any;

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("meminfo_numa", "Memory of each NUMA node by use.")
        .needs("a kernel with NUMA")
        .reads("SYS/devices/system/node/nodeN/{meminfo,numastat}")
        .off_by_default()
        .families(FIELDS),
    build: |setting| {
        let directory = setting.paths.sys("devices/system/node");
        Ok(Box::new(MemInfoNuma { directory, file: FileReader::new(""), nodes: Vec::new() }))
    },
};

const fn gauge(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Gauge, labels: &["node"] }
}

const fn counter(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Counter, labels: &["node"] }
}

/// The lines node_exporter knows, by the names of their families.
static FIELDS: &[FamilyDoc] = &[
    gauge("node_memory_numa_Active", "Memory used recently."),
    gauge("node_memory_numa_Active_anon", "Anonymous memory used recently."),
    gauge("node_memory_numa_Active_file", "Page cache used recently."),
    gauge("node_memory_numa_AnonHugePages", "Anonymous memory in huge pages."),
    gauge("node_memory_numa_AnonPages", "Anonymous memory mapped into processes."),
    gauge("node_memory_numa_Bounce", "Bounce buffers of block devices."),
    gauge("node_memory_numa_Dirty", "Memory waiting to be written to disk."),
    gauge("node_memory_numa_FilePages", "Page cache of files, with buffers and swap cache."),
    gauge("node_memory_numa_HugePages_Free", "Huge pages not yet given out."),
    gauge("node_memory_numa_HugePages_Surp", "Huge pages beyond the configured number."),
    gauge("node_memory_numa_HugePages_Total", "Huge pages in the pool."),
    gauge("node_memory_numa_Inactive", "Memory not used recently."),
    gauge("node_memory_numa_Inactive_anon", "Anonymous memory not used recently."),
    gauge("node_memory_numa_Inactive_file", "Page cache not used recently."),
    gauge("node_memory_numa_KernelStack", "Stacks of the kernel."),
    gauge("node_memory_numa_Mapped", "Files mapped into processes."),
    gauge("node_memory_numa_MemFree", "Memory that nobody uses."),
    gauge("node_memory_numa_MemTotal", "Memory that the kernel can use."),
    gauge("node_memory_numa_MemUsed", "Memory in use."),
    gauge("node_memory_numa_Mlocked", "Memory locked by processes."),
    gauge("node_memory_numa_NFS_Unstable", "Pages sent to an NFS server and not yet on its disk."),
    gauge("node_memory_numa_PageTables", "Page tables."),
    gauge("node_memory_numa_SReclaimable", "Kernel caches that can be given back."),
    gauge("node_memory_numa_SUnreclaim", "Kernel caches that cannot be given back."),
    gauge("node_memory_numa_Shmem", "Shared memory and tmpfs."),
    gauge("node_memory_numa_Slab", "Caches of kernel data structures."),
    gauge("node_memory_numa_Unevictable", "Memory that cannot be swapped out."),
    gauge("node_memory_numa_Writeback", "Memory being written to disk."),
    gauge("node_memory_numa_WritebackTmp", "Memory of FUSE waiting to be written."),
    counter("node_memory_numa_interleave_hit_total", "Pages allocated here by interleaving."),
    counter("node_memory_numa_local_node_total", "Pages allocated here by processes of this node."),
    counter("node_memory_numa_numa_foreign_total", "Pages wanted here, allocated on another node."),
    counter("node_memory_numa_numa_hit_total", "Pages allocated on the wanted node."),
    counter("node_memory_numa_numa_miss_total", "Pages allocated here, wanted on another node."),
    counter(
        "node_memory_numa_other_node_total",
        "Pages allocated here by processes of another node.",
    ),
];

struct MemInfoNuma {
    directory: PathBuf,
    file: FileReader,
    nodes: Vec<Node>,
}

struct Node {
    directory: PathBuf,
    number: String,
    sizes: Rows<Field>,
    counts: Rows<Field>,
}

/// A line that was met before: its name is worked out once.
struct Field {
    name: String,
    help: String,
}

impl Collector for MemInfoNuma {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.list()?;
        let mut result = Ok(());
        for node in &mut self.nodes {
            for emitted in
                [node.emit_sizes(&mut self.file, sink), node.emit_counts(&mut self.file, sink)]
            {
                match emitted.map_err(CollectError::missing_is_no_data) {
                    // The node went after it was listed.
                    Err(CollectError::NoData(_)) => {}
                    emitted => result = result.and(emitted),
                }
            }
        }
        result
    }
}

impl MemInfoNuma {
    /// Nodes come and go with their memory.
    fn list(&mut self) -> Result<(), CollectError> {
        let entries = entries_if_any(&self.directory)?;
        let numbers = entries.iter().filter_map(|entry| entry.strip_prefix("node"));
        let numbers: Vec<&str> = numbers.filter(|n| number(n.as_bytes()).is_some()).collect();
        if !self.nodes.iter().map(|node| node.number.as_str()).eq(numbers.iter().copied()) {
            let node = |number: &&str| Node {
                directory: self.directory.join(format!("node{number}")),
                number: (*number).to_owned(),
                sizes: Rows::default(),
                counts: Rows::default(),
            };
            self.nodes = numbers.iter().map(node).collect();
        }
        Ok(())
    }
}

impl Node {
    /// `Node 0 MemTotal:  32792640 kB`
    fn emit_sizes(
        &mut self,
        file: &mut FileReader,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let mut fields = self.sizes.reading();
        let result = each_line(file.read_from(&self.directory.join("meminfo"))?, |line| {
            let Some(line) = parse(behind_node(line)?)? else { return Ok(()) };
            emit(&self.number, line.key, Kind::Gauge, line.amount(), &mut fields, sink);
            Ok(())
        });
        result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
    }

    /// `numa_hit 193460335812`
    fn emit_counts(
        &mut self,
        file: &mut FileReader,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let mut fields = self.counts.reading();
        let result = each_line(file.read_from(&self.directory.join("numastat"))?, |line| {
            let mut words = words(line);
            let Some(key) = words.next() else { return Ok(()) };
            let value = Value::U64(count(words.next())?);
            emit(&self.number, key, Kind::Counter, value, &mut fields, sink);
            Ok(())
        });
        result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
    }
}

/// Without the first two words.
fn behind_node(line: &[u8]) -> Result<&[u8], String> {
    let behind = line.strip_prefix(b"Node ").map(<[u8]>::trim_ascii_start);
    let behind = behind.and_then(|rest| rest.get(memchr::memchr(b' ', rest)?..));
    behind.ok_or_else(|| format!("expected Node and its number, found {}", shown(line)))
}

fn emit(
    node: &str,
    key: &[u8],
    kind: Kind,
    value: Value<'static>,
    fields: &mut Reading<'_, Field>,
    sink: &mut dyn MetricSink,
) {
    if let Some(field) = fields.row(key, || Field::new(key, kind)) {
        sink.family(&Desc { name: &field.name, help: &field.help, kind });
        sink.sample(&Sample::new(&[("node", node)], value));
    }
}

impl Field {
    fn new(key: &[u8], kind: Kind) -> Self {
        let mut name = String::from("node_memory_numa_");
        push_name(&mut name, key);
        if kind == Kind::Counter {
            name.push_str("_total");
        }
        let known = FIELDS.iter().find(|field| field.name == name);
        let help = match known {
            Some(known) => known.help.to_owned(),
            None => format!("Field {} of the NUMA node.", text(key)),
        };
        Field { name, help }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const NODE0: &str = "sys/devices/system/node/node0/";

    fn host(meminfo: &str) -> Host {
        Host::new(&[
            (&format!("{NODE0}meminfo"), meminfo),
            (&format!("{NODE0}numastat"), "numa_hit 193460335812\nnew_in_7 5\n"),
            ("sys/devices/system/node/online", "0\n"),
        ])
    }

    #[test]
    fn every_line_is_a_series_of_its_node() {
        let meminfo = "\nNode 0 MemTotal:       32792640 kB\nNode 0 Active(anon):   4 kB\nNode 0 HugePages_Free:      3\n";
        assert_eq!(
            lines(&host(&meminfo[1..]), &DEF),
            "node_memory_numa_MemTotal{node=\"0\"} 33579663360\n\
             node_memory_numa_Active_anon{node=\"0\"} 4096\n\
             node_memory_numa_HugePages_Free{node=\"0\"} 3\n\
             node_memory_numa_numa_hit_total{node=\"0\"} 193460335812\n\
             node_memory_numa_new_in_7_total{node=\"0\"} 5\n"
        );
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = host(
            "MemTotal: 5 kB\nNode 0 MemFree: 1 kB\nNode 0 MemFree: 2 kB\nNode 0 Dirty: x kB\n",
        );
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(
            text.starts_with(
                "node_memory_numa_MemFree{node=\"0\"} 1024\nnode_memory_numa_numa_hit"
            ),
            "{text}"
        );
        let error = result.unwrap_err().to_string();
        assert!(
            error.ends_with(
                "node0/meminfo:1: expected Node and its number, found \"MemTotal: 5 kB\""
            ),
            "{error}"
        );
    }

    #[test]
    fn nodes_come_and_go() {
        let host = host("");
        let mut collector = host.build(&DEF).unwrap();
        assert!(!scrape(&mut *collector).0.contains("node=\"1\""));
        host.write("sys/devices/system/node/node1/meminfo", "Node 1 MemFree: 1 kB\n");
        host.write("sys/devices/system/node/node1/numastat", "");
        assert!(scrape(&mut *collector).0.contains("node_memory_numa_MemFree{node=\"1\"} 1024\n"));
    }

    #[test]
    fn a_node_that_goes_while_it_is_read_is_no_failure() {
        let host = host("Node 0 MemFree: 1 kB\n");
        std::fs::create_dir(host.path("sys/devices/system/node/node1")).unwrap();
        let text = lines(&host, &DEF);
        assert!(text.contains("node=\"0\"") && !text.contains("node=\"1\""), "{text}");
    }

    #[test]
    fn a_kernel_without_numa_has_nothing_to_show() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
