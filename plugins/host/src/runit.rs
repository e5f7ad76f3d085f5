//! `runit`: what runit's supervisors say of their services (`/etc/service/*/supervise/status`).
//!
//! A status file is 20 bytes that runsv(8) replaces at each change, so nothing is asked of a supervisor and none can
//! hang. It must not know other supervisors, though they would share the families.

use std::io;
use std::path::{Path, PathBuf};

use vigie_core::collect::{
    CollectError, Collector, CollectorDef, CollectorInfo, FileReader, Scrape,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, MetricSink};

use crate::sysfs::entries;

const DIRECTORY: &str = "collector.runit.servicedir";
const DEFAULT_DIRECTORY: &str = "/etc/service";

static STATE: Family<2> = Family::gauge(
    "node_service_state",
    "What the service does: 0 is down, 1 runs, 2 runs its finish script.",
    ["service", "supervisor"],
);
static DESIRED: Family<2> = Family::gauge(
    "node_service_desired_state",
    "What the service was told to do: 0 to be down, 1 to run.",
    ["service", "supervisor"],
);
static NORMAL: Family<2> = Family::gauge(
    "node_service_normal_state",
    "Whether the service runs without being told to: it has no file named down.",
    ["service", "supervisor"],
);
static CHANGED: Family<2> = Family::gauge(
    "node_service_state_last_change_timestamp_seconds",
    "When the state changed last, in seconds since 1970.",
    ["service", "supervisor"],
);

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("runit", "States of the services that runit supervises.")
        .reads("ROOTFS/etc/service/*/supervise/status")
        .needs("services supervised by runit")
        .off_by_default()
        .flags(&[FlagDef::text(
            DIRECTORY,
            DEFAULT_DIRECTORY,
            "Directory of runit's services; the default is looked for below --path.rootfs.",
        )])
        .families(&[STATE.doc(), DESIRED.doc(), NORMAL.doc(), CHANGED.doc()]),
    build: |setting| {
        let given = setting.flags.text(DIRECTORY);
        let directory = match setting.flags.is_given(DIRECTORY) {
            true => PathBuf::from(given),
            false => setting.paths.root(DEFAULT_DIRECTORY),
        };
        Ok(Box::new(Runit { directory, status: FileReader::new(PathBuf::new()) }))
    },
};

struct Runit {
    directory: PathBuf,
    status: FileReader,
}

impl Collector for Runit {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        let mut result = Ok(());
        for name in entries(&self.directory).map_err(CollectError::missing_is_no_data)? {
            let service = self.directory.join(&name);
            match self.status(&service) {
                Ok(Some(status)) => emit(&status, &name, is_normally_up(&service), sink),
                Ok(None) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

impl Runit {
    /// Nothing for what no supervisor was ever started for.
    fn status(&mut self, service: &Path) -> Result<Option<Status>, CollectError> {
        let file = service.join("supervise/status");
        let status = match self.status.read_from(&file) {
            Ok(bytes) => parse(bytes),
            Err(CollectError::Read { source, .. }) if is_absent(&source) => return Ok(None),
            Err(error) => return Err(error),
        };
        status.map(Some).map_err(|what| CollectError::parse(file, 0, what))
    }
}

/// What cannot be looked into is there: runsv(8) lets only its user into `supervise`.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// runsv(8) starts a service by itself unless this file exists; node_exporter looks for it one level deeper.
fn is_normally_up(service: &Path) -> bool {
    !service.join("down").exists() && !service.join("supervise/down").exists()
}

fn emit(status: &Status, name: &str, normally_up: bool, sink: &mut dyn MetricSink) {
    let labels = [name, "runit"];
    STATE.emit(sink, labels, u64::from(status.state));
    DESIRED.emit(sink, labels, status.wanted_up);
    NORMAL.emit(sink, labels, normally_up);
    CHANGED.emit(sink, labels, status.changed as f64);
}

/// A status file, as runsv.c of runit 2.1 writes it.
#[derive(Debug, PartialEq)]
struct Status {
    /// Seconds since 1970.
    changed: i64,
    wanted_up: bool,
    /// 0 is down, 1 runs, 2 runs its finish script.
    state: u8,
}

/// A TAI64N label, the process (little-endian), whether it is paused, what is wanted, whether TERM was sent, and the
/// state.
const STATUS: usize = 20;

/// What runit adds to the seconds since 1970: 2^62, and the ten seconds between TAI and UTC in 1970.
const TAI: u64 = (1 << 62) + 10;

fn parse(status: &[u8]) -> Result<Status, String> {
    let short = || format!("expected {STATUS} bytes, found {}", status.len());
    let (seconds, rest) = status.split_first_chunk::<8>().ok_or_else(short)?;
    let [.., wanted, _, state] = *rest.first_chunk::<12>().ok_or_else(short)?;
    let changed = u64::from_be_bytes(*seconds).wrapping_sub(TAI).cast_signed();
    Ok(Status { changed, wanted_up: wanted == b'u', state })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, lines, scrape};
    use proptest::prelude::*;

    fn bytes(status: &Status) -> Vec<u8> {
        let mut bytes = status.changed.cast_unsigned().wrapping_add(TAI).to_be_bytes().to_vec();
        bytes.extend([0, 0, 0, 9, 210, 4, 0, 0, 0]);
        bytes.extend([if status.wanted_up { b'u' } else { b'd' }, 0, status.state]);
        bytes
    }

    fn host() -> Host {
        let host = Host::new(&[("etc/service/README", ""), ("etc/service/new/run", "")]);
        let directory = host.path("etc/service");
        host.flag(DIRECTORY, &[&directory])
    }

    #[test]
    fn states_come_out() {
        let host = host();
        let web = Status { changed: 1_700_000_000, wanted_up: false, state: 2 };
        host.write("etc/service/web/supervise/status", bytes(&web));
        host.write("etc/service/web/down", "");
        assert_eq!(
            lines(&host, &DEF),
            "node_service_state{service=\"web\",supervisor=\"runit\"} 2\n\
             node_service_desired_state{service=\"web\",supervisor=\"runit\"} 0\n\
             node_service_normal_state{service=\"web\",supervisor=\"runit\"} 0\n\
             node_service_state_last_change_timestamp_seconds{service=\"web\",supervisor=\"runit\"} 1700000000\n"
        );
    }

    #[test]
    fn a_short_status_costs_its_service_only() {
        let host = host();
        host.write("etc/service/a/supervise/status", "short");
        let up = Status { changed: 1, wanted_up: true, state: 1 };
        host.write("etc/service/b/supervise/status", bytes(&up));
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        assert!(text.starts_with("node_service_state{service=\"b\""), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("a/supervise/status:0: expected 20 bytes, found 5"), "{error}");
    }

    #[test]
    fn a_status_that_cannot_be_opened_is_an_error() {
        let host = host();
        host.write("etc/service/web/supervise/lock", "");
        // Root may open everything but a link to itself.
        let status = host.dir.path().join("etc/service/web/supervise/status");
        std::os::unix::fs::symlink("status", &status).unwrap();
        let (text, result) = scrape(&mut *host.build(&DEF).unwrap());
        let error = result.unwrap_err().to_string();
        assert!(text.is_empty() && error.contains("web/supervise/status"), "{error}");
    }

    #[test]
    fn without_runit_there_is_no_data() {
        let host = Host::new(&[]);
        let directory = host.path("etc/service");
        let host = host.flag(DIRECTORY, &[&directory]);
        let error = scrape(&mut *host.build(&DEF).unwrap()).1.unwrap_err();
        assert_eq!(error.kind(), "no_data");
    }

    proptest! {
        #[test]
        fn what_runsv_writes_is_read(changed: i64, wanted_up: bool, state: u8) {
            let status = Status { changed, wanted_up, state };
            prop_assert_eq!(parse(&bytes(&status)), Ok(status));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(parse(&bytes).is_ok(), bytes.len() >= STATUS);
        }
    }
}
