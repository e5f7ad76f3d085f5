//! A collector as the program builds it, and its exposition as a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use regex::Regex;
use vigie_core::collect::{CollectError, Collector, CollectorDef, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::encode::{Format, TextSink, assemble};

/// Series and their values; the labels of a series are sorted, empty ones are left out.
pub(crate) type Table = BTreeMap<String, f64>;

/// A collector and its clock.
pub(crate) struct Subject {
    collector: Box<dyn Collector>,
    now: SystemTime,
}

impl Subject {
    /// A collector of the host whose root is `root`.
    pub(crate) fn new(def: &CollectorDef, root: &Path, flags: &[(&str, &str)]) -> Self {
        let paths = Paths { rootfs: root.to_owned(), ..Paths::default() };
        let mut given = Flags::new(def.info.flags);
        for (name, value) in flags {
            assert!(def.info.flags.iter().any(|flag| flag.name == *name), "no flag {name}");
            given.set(*name, vec![(*value).to_owned()]);
        }
        let setting = Setting::new(paths, Arc::new(given), String::new());
        Subject { collector: (def.build)(&setting).unwrap(), now: SystemTime::now() }
    }

    /// One scrape: what it shows, and how it ends.
    pub(crate) fn scrape(&mut self) -> (Table, Result<(), CollectError>) {
        let mut sink = TextSink::new(Format::Text);
        let scrape = Scrape::new(self.now, Instant::now() + Duration::from_secs(60));
        let result = self.collector.collect(&scrape, &mut sink);
        let mut text = Vec::new();
        let conflicts = assemble(Format::Text, &[&sink], &mut text);
        assert!(conflicts.is_empty(), "{conflicts:?}");
        (table(&String::from_utf8(text).unwrap()), result)
    }

    /// One scrape that must succeed.
    pub(crate) fn table(&mut self) -> Table {
        let (table, result) = self.scrape();
        result.unwrap();
        table
    }

    /// One scrape that must fail: what it shows all the same, and the message.
    pub(crate) fn failure(&mut self) -> (Table, String) {
        let (table, result) = self.scrape();
        (table, result.unwrap_err().to_string())
    }

    /// Lets time pass for the collector.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

/// The samples of an exposition.
pub(crate) fn table(text: &str) -> Table {
    let label = Regex::new(r#"(\w+)="((?:[^"\\]|\\.)*)""#).unwrap();
    let mut table = Table::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut labels: Vec<String> = label
            .captures_iter(labels)
            .filter(|found| !found[2].is_empty())
            .map(|found| format!("{}={}", &found[1], &found[2]))
            .collect();
        labels.sort();
        let before =
            table.insert(format!("{name}{{{}}}", labels.join(",")), value.parse().unwrap());
        assert!(before.is_none(), "twice: {line}");
    }
    table
}
