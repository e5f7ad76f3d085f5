//! `bcache`: cache sets, the disks they cache and the disks they cache on (SYS/fs/bcache).
//!
//! Each cache set is a directory named by its UUID, with directories bdevN and cacheN in it; a table says which
//! attribute of which of the three becomes which family. It must not know the block layer below.

use std::path::{Path, PathBuf};

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::MetricSink;

use crate::parse::{lines, shown};
use crate::sysfs::{Attributes, entries_if_any};

mod attribute;
mod human;

use attribute::{
    Attribute, BACKING_DEVICES, CACHE_DEVICES, FAMILIES, PRIORITY_STATS, SETS, WRITEBACK_DEBUG,
};

const PRIORITY_FLAG: &str = "collector.bcache.priorityStats";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("bcache", "Cache sets of bcache.")
        .needs("a bcache set")
        .reads("SYS/fs/bcache")
        .flags(&[FlagDef::switch(
            PRIORITY_FLAG,
            false,
            "Export what priority_stats says of cache devices; it is slow to read.",
        )])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(Bcache::build(setting)?)),
};

struct Bcache {
    directory: PathBuf,
    priority_stats: bool,
    attributes: Attributes,
}

impl Bcache {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        Ok(Bcache {
            directory: setting.paths.sys("fs/bcache"),
            priority_stats: setting.flags.switch(PRIORITY_FLAG),
            attributes: Attributes::new(),
        })
    }
}

impl Collector for Bcache {
    /// A host without bcache has no series; that is no failure, as with node_exporter.
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let names = entries_if_any(&self.directory)?;
        let mut result = Ok(());
        // What is not named by a UUID is a setting.
        for uuid in names.iter().filter(|name| name.contains('-')) {
            result = result.and(self.emit_set(uuid, sink));
        }
        result
    }
}

impl Bcache {
    fn emit_set(&mut self, uuid: &str, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let directory = self.directory.join(uuid);
        let mut result = self.emit_attributes(&SETS, &directory, [uuid], sink);
        for name in entries_if_any(&directory)? {
            let directory = directory.join(&name);
            let labels = [name.as_str(), uuid];
            let outcome = if name.starts_with("bdev") {
                self.emit_backing_device(&directory, labels, sink)
            } else if name.strip_prefix("cache").is_some_and(is_number) {
                self.emit_cache_device(&directory, labels, sink)
            } else {
                Ok(())
            };
            result = result.and(outcome);
        }
        result
    }

    fn emit_backing_device(
        &mut self,
        directory: &Path,
        labels: [&str; 2],
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let attributes = self.emit_attributes(&BACKING_DEVICES, directory, labels, sink);
        let debug =
            self.emit_lines(&WRITEBACK_DEBUG, directory, "writeback_rate_debug", labels, sink);
        attributes.and(debug)
    }

    fn emit_cache_device(
        &mut self,
        directory: &Path,
        labels: [&str; 2],
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let result = self.emit_attributes(&CACHE_DEVICES, directory, labels, sink);
        if !self.priority_stats {
            return result;
        }
        result.and(self.emit_lines(&PRIORITY_STATS, directory, "priority_stats", labels, sink))
    }

    /// One file each; one that is missing or refused costs its own series.
    fn emit_attributes<const N: usize>(
        &mut self,
        table: &[Attribute<N>],
        directory: &Path,
        labels: [&str; N],
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let mut result = Ok(());
        for attribute in table {
            let Some(text) = self.attributes.optional(directory, attribute.source) else {
                continue;
            };
            if let Err(what) = attribute.emit(text, labels, sink) {
                let path = directory.join(attribute.source);
                result = result.and(Err(CollectError::parse(path, 1, what)));
            }
        }
        result
    }

    /// Lines `name: value` of one file, each name the first time it is met.
    fn emit_lines(
        &mut self,
        table: &[Attribute<2>],
        directory: &Path,
        file: &str,
        labels: [&str; 2],
        sink: &mut dyn MetricSink,
    ) -> Result<(), CollectError> {
        let Some(text) = self.attributes.optional(directory, file) else { return Ok(()) };
        let mut result = Ok(());
        for attribute in table {
            let value = |line| value_of(line, attribute.source);
            let found = lines(text).find_map(|(number, line)| Some((number, value(line)?)));
            let Some((number, value)) = found else { continue };
            if let Err(what) = attribute.emit(value, labels, sink) {
                let path = directory.join(file);
                result = result.and(Err(CollectError::parse(path, number, what)));
            }
        }
        result
    }
}

/// What follows `name:` in `line`.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?.trim_ascii())
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

impl<const N: usize> Attribute<N> {
    fn emit(
        &self,
        text: &[u8],
        labels: [&str; N],
        sink: &mut dyn MetricSink,
    ) -> Result<(), String> {
        let value = self.unit.parse(text);
        let value = value.ok_or_else(|| format!("expected a size, found {}", shown(text)))?;
        self.family.emit(sink, labels, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};

    const SET: &str = "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74";

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(&[("sys/fs/bcache/register", "")]);
        for (name, text) in files {
            host.write(&format!("{SET}/{name}"), text);
        }
        host
    }

    #[test]
    fn a_set_has_no_device_and_devices_are_labelled() {
        let host = host(&[
            ("btree_cache_size", "1.5M\n"),
            ("internal/btree_read_average_duration_us", "1305\n"),
            ("bdev0/stats_total/bypassed", "0\n"),
            ("cache0/written", "1.2k\n"),
            ("cache_mode", "writeback\n"),
        ]);
        let text = lines(&host, &DEF);
        let uuid = "uuid=\"deaddd54-c735-46d5-868e-f331c5fd7c74\"";
        assert_eq!(
            text,
            format!(
                "node_bcache_btree_cache_size_bytes{{{uuid}}} 1560576\n\
                 node_bcache_btree_read_average_duration_seconds{{{uuid}}} 0.000001305\n\
                 node_bcache_bypassed_bytes_total{{backing_device=\"bdev0\",{uuid}}} 0\n\
                 node_bcache_written_bytes_total{{cache_device=\"cache0\",{uuid}}} 1224\n"
            )
        );
    }

    #[test]
    fn the_controller_of_the_writeback_rate_may_pull_down() {
        let debug = "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t-427.5k\n\
            integral:\t-0\nchange:\t\t-321.5k/sec\nnext io:\t17ms\n";
        let text = lines(&host(&[("bdev0/writeback_rate_debug", debug)]), &DEF);
        for line in [
            "_writeback_rate{",
            "_dirty_target_bytes{",
            "_writeback_rate_proportional_term{",
            "_writeback_rate_integral_term{",
            "_writeback_change{",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.contains("7c74\"} -329204\n"), "{text}");
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn the_slow_file_is_read_only_when_asked_for() {
        let files = [("cache0/priority_stats", "Unused:\t\t99%\nMetadata:\t5%\nAverage:\t10473\n")];
        assert_eq!(lines(&host(&files), &DEF), "");
        let text = lines(&host(&files).flag(PRIORITY_FLAG, &["true"]), &DEF);
        assert!(text.contains("unused_percent") && text.contains("7c74\"} 99\n"), "{text}");
        assert!(text.contains("metadata_percent") && text.contains("7c74\"} 5\n"), "{text}");
    }

    #[test]
    fn a_bad_attribute_costs_itself_only() {
        let host = host(&[("congested", "x\n"), ("tree_depth", "1\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.starts_with("node_bcache_tree_depth{"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("congested:1: expected a size, found \"x\""), "{error}");
    }

    #[test]
    fn a_host_without_bcache_has_no_series() {
        assert_eq!(lines(&Host::new(&[]), &DEF), "");
    }
}
