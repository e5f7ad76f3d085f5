//! `zfs`: statistics of ZFS on Linux (PROC/spl/kstat/zfs).
//!
//! Every row of the module's files is a family, also rows of releases newer than the table of texts; pools and
//! data sets have directories and files of their own. It must not know what the figures add up to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape, Setting,
};
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::parse::text;
use crate::sysfs::{entries, entries_if_any};

mod catalogue;
mod kstat;
mod names;

use names::Names;

/// The files of the module, and how their families begin.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "node_zfs_abd_"),
    ("arcstats", "node_zfs_arc_"),
    ("dbufstats", "node_zfs_dbuf_"),
    ("dmu_tx", "node_zfs_dmu_tx_"),
    ("dnodestats", "node_zfs_dnode_"),
    ("fm", "node_zfs_fm_"),
    ("vdev_cache_stats", "node_zfs_vdev_cache_"),
    ("vdev_mirror_stats", "node_zfs_vdev_mirror_"),
    ("xuio_stats", "node_zfs_xuio_"),
    ("zfetchstats", "node_zfs_zfetch_"),
    ("zil", "node_zfs_zil_"),
];

static STATE: Family<2> = Family::gauge(
    "node_zfs_zpool_state",
    "The state of each pool; 1 for the one it is in.",
    ["state", "zpool"],
);

const STATES: [&str; 7] =
    ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("zfs", "Statistics of ZFS and its pools.")
        .needs("the kernel module zfs")
        .reads("PROC/spl/kstat/zfs")
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(Zfs::new(setting))),
};

static FAMILIES: [FamilyDoc; catalogue::ROWS.len() + 1] = {
    let mut all = [STATE.doc(); catalogue::ROWS.len() + 1];
    let mut i = 0;
    while i < catalogue::ROWS.len() {
        all[i] = catalogue::ROWS[i];
        i += 1;
    }
    all
};

struct Zfs {
    directory: PathBuf,
    files: Vec<(FileReader, Names)>,
    /// Reads the files of pools and data sets.
    reader: FileReader,
    pools: Names,
    datasets: Names,
}

impl Zfs {
    fn new(setting: &Setting) -> Self {
        let directory = setting.paths.proc("spl/kstat/zfs");
        let file = |(name, prefix): (&str, _)| {
            (FileReader::kept_open(directory.join(name)), Names::new(prefix))
        };
        Zfs {
            files: FILES.into_iter().map(file).collect(),
            reader: FileReader::new(""),
            pools: Names::new("node_zfs_zpool_"),
            datasets: Names::new("node_zfs_zpool_dataset_"),
            directory,
        }
    }
}

impl Collector for Zfs {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = entries(&self.directory).map_err(CollectError::missing_is_no_data)?;
        let mut result = Ok(());
        for (file, names) in &mut self.files {
            result = result.and(unless_gone(emit_file(file, names, sink)));
        }
        for name in names.iter().filter(|name| FILES.iter().all(|(file, _)| file != name)) {
            if self.directory.join(name).is_dir() {
                result = result.and(self.emit_pool(name, sink));
            }
        }
        result
    }
}

/// Each release of the module has some of the files, and those of a pool go with it.
fn unless_gone(result: Result<(), CollectError>) -> Result<(), CollectError> {
    match result.map_err(CollectError::missing_is_no_data) {
        Err(CollectError::NoData(_)) => Ok(()),
        other => other,
    }
}

fn emit_file(
    file: &mut FileReader,
    names: &mut Names,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    let result = names.emit(kstat::rows(file.read()?), &[], sink);
    result.map_err(|(line, what)| CollectError::parse(file.path(), line, what))
}

impl Zfs {
    fn emit_pool(&mut self, pool: &str, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let directory = self.directory.join(pool);
        let mut result = Ok(());
        let mut met = HashSet::new();
        // Pools are exported at any time.
        for name in entries_if_any(&directory)? {
            let path = directory.join(&name);
            let outcome = match name.as_str() {
                "io" => self.emit_io(&path, pool, sink),
                "state" => self.emit_state(&path, pool, sink),
                name if name.starts_with("objset-") => {
                    self.emit_dataset(&path, pool, &mut met, sink)
                }
                _ => Ok(()),
            };
            result = result.and(unless_gone(outcome));
        }
        result
    }

    fn emit_io(
        &mut self,
        path: &Path,
        pool: &str,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let columns = kstat::columns(self.reader.read_from(path)?);
        let result = self.pools.emit(columns, &[("zpool", pool)], sink);
        result.map_err(|(line, what)| CollectError::parse(path, line, what))
    }

    fn emit_state(
        &mut self,
        path: &Path,
        pool: &str,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let now = self.reader.read_from(path)?.trim_ascii();
        let mut family = STATE.open(sink);
        for state in STATES {
            family.emit([state, pool], now.eq_ignore_ascii_case(state.as_bytes()));
        }
        Ok(())
    }

    /// A data set; `met` are the names of those before it.
    fn emit_dataset(
        &mut self,
        path: &Path,
        pool: &str,
        met: &mut HashSet<String>,
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let file = self.reader.read_from(path)?;
        let Some(dataset) = kstat::dataset(file) else {
            return Err(CollectError::parse(path, 0, "expected a row dataset_name, found none"));
        };
        let dataset = text(dataset);
        if !met.insert(dataset.clone().into_owned()) {
            return Ok(());
        }
        let labels = [("dataset", &*dataset), ("zpool", pool)];
        let result = self.datasets.emit(kstat::rows(file), &labels, sink);
        result.map_err(|(line, what)| CollectError::parse(path, line, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const DATASET: &str = "31 1 0x01 7 2160 221578688875 6665999035587\nname type data\n\
        dataset_name 7 tank/a b\nwrites 4 3\nnread 4 18446744073709551615\n";

    #[test]
    fn pools_and_data_sets_are_labelled() {
        let host = Host::new(&[
            ("proc/spl/kstat/zfs/dbgmsg", "timestamp message\n"),
            ("proc/spl/kstat/zfs/arcstats", "13 1 0x01\nname type data\nhits 4 8772612\n"),
            ("proc/spl/kstat/zfs/tank/io", "12 3\nnread nwritten\n1884160 3206144\n"),
            ("proc/spl/kstat/zfs/tank/objset-0x36", DATASET),
            ("proc/spl/kstat/zfs/tank/objset-0x37", DATASET),
            ("proc/spl/kstat/zfs/tank/txgs", "txg birth\n"),
            ("proc/spl/kstat/zfs/tank/state", "DEGRADED\n"),
        ]);
        let text = lines(&host, &DEF);
        let states = text.lines().filter(|line| line.starts_with("node_zfs_zpool_state"));
        assert_eq!(states.count(), 7);
        for line in [
            "node_zfs_arc_hits 8772612\n",
            "node_zfs_zpool_nread{zpool=\"tank\"} 1884160\n",
            "node_zfs_zpool_dataset_writes{dataset=\"tank/a b\",zpool=\"tank\"} 3\n",
            "_dataset_nread{dataset=\"tank/a b\",zpool=\"tank\"} 18446744073709551615\n",
            "node_zfs_zpool_state{state=\"degraded\",zpool=\"tank\"} 1\n",
            "node_zfs_zpool_state{state=\"online\",zpool=\"tank\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(text.lines().count(), 12);
    }

    #[test]
    fn a_bad_row_costs_itself_only() {
        let host = Host::new(&[
            ("proc/spl/kstat/zfs/zil", "name type data\nzil_itx_count 4 x\nzil_new 4 7\n"),
            ("proc/spl/kstat/zfs/tank/objset-0x1", "name type data\nreads 4 1\n"),
        ]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert_eq!(text, "node_zfs_zil_zil_new 7\n");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("zil:2: expected a number, found \"x\""), "{error}");
    }

    #[test]
    fn without_the_module_there_is_no_data() {
        let (_, result) = scrape(&mut *Host::new(&[]).build(&DEF).unwrap());
        assert_eq!(result.unwrap_err().kind(), "no_data");
    }
}
