//! `meminfo`: how memory is used (PROC/meminfo).
//!
//! Every line of the file becomes a gauge, also those of kernels newer than this table, so that
//! an upgrade never loses a figure. It must not know what the figures add up to.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Desc, FamilyDoc, Kind, MetricSink, Sample, Value};

use crate::parse::{each_line, number, scaled, shown, words};
use crate::rows::{Reading, Rows};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("meminfo", "Memory by use.").reads("PROC/meminfo").families(FIELDS),
    build: |setting| {
        let file = FileReader::kept_open(setting.paths.proc("meminfo"));
        Ok(Box::new(MemInfo { file, fields: Rows::default() }))
    },
};

const fn field(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Gauge, labels: &[] }
}

/// The lines node_exporter knows, by the names of their families.
static FIELDS: &[FamilyDoc] = &[
    field("node_memory_Active_anon_bytes", "Anonymous memory used recently."),
    field("node_memory_Active_bytes", "Memory used recently."),
    field("node_memory_Active_file_bytes", "Page cache used recently."),
    field("node_memory_AnonHugePages_bytes", "Anonymous memory in huge pages."),
    field("node_memory_AnonPages_bytes", "Anonymous memory mapped into processes."),
    field("node_memory_Bounce_bytes", "Bounce buffers of block devices."),
    field("node_memory_Buffers_bytes", "Raw blocks of disks held in memory."),
    field("node_memory_Cached_bytes", "Page cache of files, without buffers and swap cache."),
    field("node_memory_CmaFree_bytes", "Free contiguous memory."),
    field("node_memory_CmaTotal_bytes", "Memory set aside for contiguous allocation."),
    field(
        "node_memory_CommitLimit_bytes",
        "Memory that may be promised while overcommit is refused.",
    ),
    field("node_memory_Committed_AS_bytes", "Memory promised to processes."),
    field("node_memory_DirectMap1G_bytes", "Memory mapped by the kernel in pages of 1 GiB."),
    field("node_memory_DirectMap2M_bytes", "Memory mapped by the kernel in pages of 2 MiB."),
    field("node_memory_DirectMap4k_bytes", "Memory mapped by the kernel in pages of 4 KiB."),
    field("node_memory_Dirty_bytes", "Memory waiting to be written to disk."),
    field(
        "node_memory_HardwareCorrupted_bytes",
        "Memory put out of use because of hardware errors.",
    ),
    field("node_memory_HugePages_Free", "Huge pages not yet given out."),
    field("node_memory_HugePages_Rsvd", "Huge pages promised, not yet given out."),
    field("node_memory_HugePages_Surp", "Huge pages beyond the configured number."),
    field("node_memory_HugePages_Total", "Huge pages in the pool."),
    field("node_memory_Hugepagesize_bytes", "Size of a huge page."),
    field("node_memory_Inactive_anon_bytes", "Anonymous memory not used recently."),
    field("node_memory_Inactive_bytes", "Memory not used recently."),
    field("node_memory_Inactive_file_bytes", "Page cache not used recently."),
    field("node_memory_KernelStack_bytes", "Stacks of the kernel."),
    field("node_memory_Mapped_bytes", "Files mapped into processes."),
    field("node_memory_MemAvailable_bytes", "Memory that a new program may get without swapping."),
    field("node_memory_MemFree_bytes", "Memory that nobody uses."),
    field("node_memory_MemTotal_bytes", "Memory that the kernel can use."),
    field("node_memory_Mlocked_bytes", "Memory locked by processes."),
    field("node_memory_NFS_Unstable_bytes", "Pages sent to an NFS server and not yet on its disk."),
    field("node_memory_PageTables_bytes", "Page tables."),
    field("node_memory_Percpu_bytes", "Memory of the per-CPU allocator."),
    field("node_memory_SReclaimable_bytes", "Kernel caches that can be given back."),
    field("node_memory_SUnreclaim_bytes", "Kernel caches that cannot be given back."),
    field("node_memory_ShmemHugePages_bytes", "Shared memory and tmpfs in huge pages."),
    field("node_memory_ShmemPmdMapped_bytes", "Shared memory mapped into processes in huge pages."),
    field("node_memory_Shmem_bytes", "Shared memory and tmpfs."),
    field("node_memory_Slab_bytes", "Caches of kernel data structures."),
    field("node_memory_SwapCached_bytes", "Memory that is also in swap."),
    field("node_memory_SwapFree_bytes", "Swap that nobody uses."),
    field("node_memory_SwapTotal_bytes", "Swap."),
    field("node_memory_Unevictable_bytes", "Memory that cannot be swapped out."),
    field("node_memory_VmallocChunk_bytes", "Largest free range of the vmalloc area."),
    field("node_memory_VmallocTotal_bytes", "The vmalloc area."),
    field("node_memory_VmallocUsed_bytes", "Used part of the vmalloc area."),
    field("node_memory_WritebackTmp_bytes", "Memory of FUSE waiting to be written."),
    field("node_memory_Writeback_bytes", "Memory being written to disk."),
    field("node_memory_Zswap_bytes", "Memory taken by compressed swap."),
    field(
        "node_memory_Zswapped_bytes",
        "Anonymous memory held in compressed swap, before compression.",
    ),
];

struct MemInfo {
    file: FileReader,
    fields: Rows<Field>,
}

/// A line that was met before: its name is worked out once.
struct Field {
    kilobytes: bool,
    name: String,
    help: String,
}

impl Collector for MemInfo {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut fields = self.fields.reading();
        let result = each_line(self.file.read()?, |line| {
            if let Some(line) = parse(line)? {
                emit(&line, &mut fields, sink);
            }
            Ok(())
        });
        result.map_err(|(line, what)| CollectError::parse(self.file.path(), line, what))
    }
}

/// A line of this file, or of those of the NUMA nodes behind their number.
#[derive(Debug, PartialEq)]
pub(crate) struct Line<'a> {
    /// As printed, with the colon.
    pub(crate) key: &'a [u8],
    value: u64,
    kilobytes: bool,
}

impl Line<'_> {
    /// Bytes, or a number of pages where the line has no unit.
    pub(crate) fn amount(&self) -> Value<'static> {
        scaled(self.value, if self.kilobytes { 1024 } else { 1 })
    }
}

/// Adds a key to the name of a family: `Active(anon):` is `Active_anon`.
pub(crate) fn push_name(name: &mut String, key: &[u8]) {
    for &byte in key.strip_suffix(b":").unwrap_or(key) {
        match byte {
            b')' => {}
            byte if byte.is_ascii_alphanumeric() => name.push(byte.into()),
            _ => name.push('_'),
        }
    }
}

/// Not a second line of the same key.
fn emit(line: &Line<'_>, fields: &mut Reading<'_, Field>, sink: &mut dyn MetricSink) {
    let Some(field) = fields.row(line.key, || Field::new(line)) else { return };
    if field.kilobytes != line.kilobytes {
        *field = Field::new(line);
    }
    sink.family(&Desc { name: &field.name, help: &field.help, kind: Kind::Gauge });
    sink.sample(&Sample::new(&[], line.amount()));
}

impl Field {
    fn new(line: &Line<'_>) -> Self {
        let mut name = String::from("node_memory_");
        push_name(&mut name, line.key);
        if line.kilobytes {
            name.push_str("_bytes");
        }
        let known = FIELDS.iter().find(|field| field.name == name);
        let help = match known {
            Some(known) => known.help.to_owned(),
            None => format!("Field {} of PROC/meminfo.", String::from_utf8_lossy(line.key)),
        };
        Field { kilobytes: line.kilobytes, name, help }
    }
}

/// `Key: 12 kB` or `Key: 12`; an empty line is nothing.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Line<'_>>, String> {
    let mut words = words(line);
    let Some(key) = words.next() else { return Ok(None) };
    if key.len() < 2 || key.last() != Some(&b':') {
        return Err(format!("expected a name and a colon, found {}", shown(key)));
    }
    let word = words.next().unwrap_or_default();
    let value = number(word).ok_or_else(|| format!("expected a size, found {}", shown(word)))?;
    match words.next() {
        None => Ok(Some(Line { key, value, kilobytes: false })),
        Some(b"kB") => Ok(Some(Line { key, value, kilobytes: true })),
        Some(unit) => Err(format!("expected the unit kB, found {}", shown(unit))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;

    #[test]
    fn every_line_is_a_gauge() {
        let file = "MemTotal:       15666184 kB\nActive(anon):   2068484 kB\nHugePages_Total:       0\n\
            NewIn7.0:   3 kB\n";
        let text = lines(&Host::new(&[("proc/meminfo", file)]), &DEF);
        assert_eq!(
            text,
            "node_memory_MemTotal_bytes 16042172416\nnode_memory_Active_anon_bytes 2118127616\n\
             node_memory_HugePages_Total 0\nnode_memory_NewIn7_0_bytes 3072\n"
        );
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        let host = Host::new(&[("proc/meminfo", "A: 1 kB\nB: x kB\nC 1\nD: 1 MB\nE: 5\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_memory_A_bytes 1024\nnode_memory_E 5\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("meminfo:2: expected a size, found \"x\""), "{error}");
    }

    #[test]
    fn fields_follow_a_file_that_changes() {
        let host = Host::new(&[]);
        let mut collector = host.build(&DEF).unwrap();
        for (file, names) in [
            ("A: 1\nB: 2\n", &["A", "B"][..]),
            ("A: 1\nC: 3\nB: 2\nC: 4\n", &["A", "C", "B"]),
            ("A: 1 kB\nB: 2\n", &["A_bytes", "B"]),
        ] {
            host.write("proc/meminfo", file);
            let (text, result) = scrape(&mut *collector);
            result.unwrap();
            let names_of = |line: &str| line.split(' ').next().map(str::to_owned);
            let found: Vec<_> = text.lines().filter_map(names_of).collect();
            let expected: Vec<_> = names.iter().map(|name| format!("node_memory_{name}")).collect();
            assert_eq!(found, expected, "{file}");
        }
    }

    #[test]
    fn the_work_grows_with_the_lines_and_not_with_their_square() {
        let file: String = (0..100_000).map(|at| format!("K{at}: 1 kB\n")).collect();
        let host = Host::new(&[("proc/meminfo", &file)]);
        let started = std::time::Instant::now();
        assert_eq!(lines(&host, &DEF).lines().count(), 100_000);
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    #[test]
    fn sizes_beyond_64_bits_of_bytes_stay_right() {
        let host = Host::new(&[("proc/meminfo", "Huge: 18446744073709551615 kB\n")]);
        assert_eq!(lines(&host, &DEF), "node_memory_Huge_bytes 18889465931478580000000\n");
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            survives(&DEF, "proc/meminfo", &bytes);
        }
    }
}
