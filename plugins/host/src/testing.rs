//! What the tests of the collectors share.
//!
//! A sink that prints one line per sample and a host made of a temporary directory. It must not
//! hide how a collector is built: that goes through its `DEF` as in the program.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use vigie_core::collect::{CollectError, Collector, CollectorDef, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::metric::{Desc, MetricSink, Sample, Value};

/// Takes samples as lines `name{label="value",...} value`; empty labels are left out.
#[derive(Default)]
pub(crate) struct Lines {
    family: String,
    pub(crate) text: String,
}

impl MetricSink for Lines {
    fn family(&mut self, desc: &Desc<'_>) {
        desc.name.clone_into(&mut self.family);
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let labels: Vec<String> = sample
            .labels
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let braces =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let value = match sample.value {
            Value::U64(value) => value.to_string(),
            Value::F64(value) => value.to_string(),
            Value::Histogram(view) => format!("{view:?}"),
            Value::Summary(view) => format!("{view:?}"),
        };
        writeln!(self.text, "{}{braces} {value}", self.family).unwrap();
    }
}

/// A host in a temporary directory.
pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    flags: Flags,
}

impl Host {
    /// A host with these files, paths relative to its root (`proc/stat`, `sys/...`).
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let host = Host { dir: tempfile::tempdir().unwrap(), flags: Flags::default() };
        for (path, text) in files {
            host.write(path, text);
        }
        host
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sets a flag as a user would.
    pub(crate) fn flag(mut self, name: &str, values: &[&str]) -> Self {
        self.flags.set(name, values.iter().map(|value| (*value).to_owned()).collect());
        self
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// The collector of `def`, or the message of the error that prevents it.
    pub(crate) fn build(&self, def: &CollectorDef) -> Result<Box<dyn Collector>, String> {
        let all = || crate::COLLECTORS.iter().flat_map(|def| def.info.flags);
        let mut flags = Flags::new(all());
        for def in all() {
            if self.flags.is_given(def.name) {
                flags.set(def.name, self.flags.list(def.name).to_vec());
            }
        }
        let setting = Setting::new(paths(self.dir.path()), Arc::new(flags), String::new());
        (def.build)(&setting).map_err(|error| error.to_string())
    }
}

pub(crate) fn paths(root: &Path) -> Paths {
    Paths {
        procfs: root.join("proc"),
        sysfs: root.join("sys"),
        rootfs: "/".into(),
        udev: root.join("udev"),
    }
}

/// One scrape: its lines, and how it ended.
pub(crate) fn scrape(collector: &mut dyn Collector) -> (String, Result<(), CollectError>) {
    let mut sink = Lines::default();
    let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    let result =
        collector.collect(&Scrape::new(now, Instant::now() + Duration::from_secs(60)), &mut sink);
    (sink.text, result)
}

/// One scrape of a new collector that must succeed.
pub(crate) fn lines(host: &Host, def: &CollectorDef) -> String {
    let (text, result) = scrape(&mut *host.build(def).unwrap());
    result.unwrap();
    text
}

/// Feeds `bytes` as file `path` to a collector twice: it may fail, not panic.
pub(crate) fn survives(def: &CollectorDef, path: &str, bytes: &[u8]) {
    let host = Host::new(&[]);
    host.write(path, bytes);
    let mut collector = host.build(def).unwrap();
    drop(scrape(&mut *collector));
    drop(scrape(&mut *collector));
}

/// For property tests that write files: fewer cases than usual.
pub(crate) fn with_files() -> proptest::test_runner::Config {
    proptest::test_runner::Config::with_cases(48)
}
