//! `time`: the clock, the time zone and the clock sources (SYS/devices/system/clocksource).
//!
//! The clock is that of the scrape, so that it can be compared with the time of its receiver. It
//! must not know how well the clock is kept: that is the collector `timex`.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::metric::{Family, MetricSink};

use crate::parse::{number, text, words};

static NOW: Family = Family::gauge("node_time_seconds", "The clock, in Unix time.", []);
static ZONE: Family<1> = Family::gauge(
    "node_time_zone_offset_seconds",
    "How far the time zone is ahead of UTC.",
    ["time_zone"],
);
static AVAILABLE: Family<2> = Family::gauge(
    "node_time_clocksource_available_info",
    "Clock sources the kernel could use; always 1.",
    ["clocksource", "device"],
);
static CURRENT: Family<2> = Family::gauge(
    "node_time_clocksource_current_info",
    "The clock source the kernel uses; always 1.",
    ["clocksource", "device"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("time", "Clock, time zone and clock sources.")
        .reads("clock, SYS/devices/system/clocksource")
        .families(&[NOW.doc(), ZONE.doc(), AVAILABLE.doc(), CURRENT.doc()]),
    build: |setting| {
        let root = setting.paths.sys("devices/system/clocksource");
        Ok(Box::new(Time { root, sources: None }))
    },
};

struct Time {
    root: PathBuf,
    /// After the first scrape.
    sources: Option<Vec<Source>>,
}

/// A directory `clocksourceN`.
struct Source {
    device: String,
    available: FileReader,
    current: FileReader,
}

impl Collector for Time {
    fn collect(&mut self, scrape: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let since = scrape.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        NOW.emit(sink, [], since.as_secs_f64());
        let now = Timestamp::try_from(scrape.now).unwrap_or_default();
        emit_zone(&TimeZone::system(), now, sink);
        let mut result = Ok(());
        for source in self.sources.get_or_insert_with(|| list(&self.root)) {
            result =
                result.and(emit_words(&AVAILABLE, &source.device, &mut source.available, sink));
            result = result.and(emit_words(&CURRENT, &source.device, &mut source.current, sink));
        }
        result
    }
}

fn emit_zone(zone: &TimeZone, now: Timestamp, sink: &mut dyn MetricSink) {
    let info = zone.to_offset_info(now);
    // What is not known counts as UTC, as everywhere else on a system without a zone.
    let name = if zone.is_unknown() { "UTC" } else { info.abbreviation() };
    ZONE.emit(sink, [name], i64::from(info.offset().seconds()));
}

fn emit_words(
    family: &'static Family<2>,
    device: &str,
    file: &mut FileReader,
    sink: &mut dyn MetricSink,
) -> Result<(), CollectError> {
    let mut family = family.open(sink);
    for word in words(file.read()?) {
        family.emit([&text(word), device], true);
    }
    Ok(())
}

/// The clock sources in order; none where there is no such directory.
fn list(root: &Path) -> Vec<Source> {
    let mut found: Vec<_> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let device = number(name.as_encoded_bytes().strip_prefix(b"clocksource")?)?;
            Some((device, entry.path()))
        })
        .collect();
    found.sort();
    let reader = |path: &Path, name| FileReader::kept_open(path.join(name));
    let source = |(device, path): (u64, PathBuf)| Source {
        device: device.to_string(),
        available: reader(&path, "available_clocksource"),
        current: reader(&path, "current_clocksource"),
    };
    found.into_iter().map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, lines, scrape};

    const SOURCE: &str = "sys/devices/system/clocksource/clocksource0";

    #[test]
    fn the_clock_is_that_of_the_scrape() {
        let text = lines(&Host::new(&[]), &DEF);
        assert!(
            text.starts_with("node_time_seconds 1700000000.25\nnode_time_zone_offset_seconds{"),
            "{text}"
        );
    }

    #[test]
    fn zones_have_their_abbreviation_and_are_ahead_of_utc() {
        let shown = |zone: &TimeZone, now: &str| {
            let mut sink = Lines::default();
            emit_zone(zone, now.parse().unwrap(), &mut sink);
            sink.text
        };
        let vienna = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (zone, now, expected) in [
            (&vienna, "2024-01-15T12:00Z", "{time_zone=\"CET\"} 3600\n"),
            (&vienna, "2024-07-15T12:00Z", "{time_zone=\"CEST\"} 7200\n"),
            (
                &TimeZone::posix("<-03>3").unwrap(),
                "2024-01-15T12:00Z",
                "{time_zone=\"-03\"} -10800\n",
            ),
            (&TimeZone::unknown(), "2024-01-15T12:00Z", "{time_zone=\"UTC\"} 0\n"),
        ] {
            assert_eq!(shown(zone, now), format!("node_time_zone_offset_seconds{expected}"));
        }
    }

    #[test]
    fn clock_sources_are_listed() {
        let host = Host::new(&[
            (&format!("{SOURCE}/available_clocksource"), "tsc hpet acpi_pm \n"),
            (&format!("{SOURCE}/current_clocksource"), "tsc\n"),
        ]);
        let text = lines(&host, &DEF);
        assert!(text.contains(
            "node_time_clocksource_available_info{clocksource=\"hpet\",device=\"0\"} 1\n"
        ));
        assert!(
            text.ends_with(
                "node_time_clocksource_current_info{clocksource=\"tsc\",device=\"0\"} 1\n"
            )
        );
        assert_eq!(text.matches("available").count(), 3);
    }

    #[test]
    fn a_missing_file_is_named_and_costs_itself_only() {
        let host = Host::new(&[(&format!("{SOURCE}/current_clocksource"), "tsc\n")]);
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.contains("current_info"));
        assert!(result.unwrap_err().to_string().contains("available_clocksource"));
    }
}
