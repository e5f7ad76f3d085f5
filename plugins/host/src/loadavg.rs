//! `loadavg`: the three load averages (PROC/loadavg).
//!
//! The oldest question put to a host, and the smallest collector. It must not know how many CPUs
//! share the load.

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{float, shown, words};

static LOAD1: Family = Family::gauge("node_load1", "Load average over 1 minute.", []);
static LOAD5: Family = Family::gauge("node_load5", "Load average over 5 minutes.", []);
static LOAD15: Family = Family::gauge("node_load15", "Load average over 15 minutes.", []);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("loadavg", "Load averages.").reads("PROC/loadavg").families(&[
        LOAD1.doc(),
        LOAD5.doc(),
        LOAD15.doc(),
    ]),
    build: |setting| {
        Ok(Box::new(LoadAvg { file: FileReader::kept_open(setting.paths.proc("loadavg")) }))
    },
};

struct LoadAvg {
    file: FileReader,
}

impl Collector for LoadAvg {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let loads = parse(self.file.read()?);
        let [one, five, fifteen] =
            loads.map_err(|what| CollectError::parse(self.file.path(), 1, what))?;
        LOAD1.emit(sink, [], one);
        LOAD5.emit(sink, [], five);
        LOAD15.emit(sink, [], fifteen);
        Ok(())
    }
}

fn parse(text: &[u8]) -> Result<[f64; 3], String> {
    let mut words = words(text);
    let mut next = || {
        let word = words.next().unwrap_or_default();
        float(word).ok_or_else(|| format!("expected a load average, found {}", shown(word)))
    };
    Ok([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape, survives};
    use proptest::prelude::*;

    #[test]
    fn three_loads_come_out() {
        let host = Host::new(&[("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n")]);
        assert_eq!(lines(&host, &DEF), "node_load1 0.21\nnode_load5 0.37\nnode_load15 0.39\n");
    }

    #[test]
    fn a_bad_file_is_named() {
        let host = Host::new(&[("proc/loadavg", "0.21 x\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        let error = result.unwrap_err().to_string();
        assert!(text.is_empty());
        assert!(error.ends_with("proc/loadavg:1: expected a load average, found \"x\""), "{error}");
    }

    proptest! {
        #![proptest_config(crate::testing::with_files())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            survives(&DEF, "proc/loadavg", &bytes);
        }
    }
}
