//! The program under test, started as a user starts it.
//!
//! Its ports are free ones that it says on its log, its state lies in a directory of the test, and it
//! can be killed and started again on both. It must not use anything but the outside.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::http::{Answer, Query, get, post, request};
use crate::process::{Proc, target_dir};
use crate::wait::{SOON, try_wait_for, wait_for};

/// How it is to be started.
#[derive(Debug, Default)]
pub struct VigieBuilder {
    yaml: String,
    args: Vec<String>,
    disk: Option<Disk>,
}

impl VigieBuilder {
    /// The text of its `vigie.yml`.
    #[must_use]
    pub fn yaml(mut self, yaml: impl Into<String>) -> Self {
        self.yaml = yaml.into();
        self
    }

    /// A word on its command line.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Keeps its state on a small disk of its own, which the test can fill.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start(self) -> Vigie {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("vigie.yml"), &self.yaml).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut command = self.disk.map_or_else(
            || Command::new(vigie_program()),
            |disk| disk.command(&storage(dir.path()), &vigie_program()),
        );
        command.args(arguments(dir.path(), &self.args, any, any));
        let process = Proc::start("vigie", &mut command);
        Vigie { process, web: any, alerting: any, args: self.args, dir }.ready()
    }
}

/// A running vigie.
pub struct Vigie {
    /// Its process.
    pub process: Proc,
    /// The port with `/metrics`.
    pub web: SocketAddr,
    /// The port with the alerts.
    pub alerting: SocketAddr,
    args: Vec<String>,
    dir: TempDir,
}

impl Vigie {
    /// One to be described.
    #[must_use]
    pub fn with() -> VigieBuilder {
        VigieBuilder::default()
    }

    /// One with this `vigie.yml`.
    #[must_use]
    pub fn start(yaml: &str) -> Vigie {
        Vigie::with().yaml(yaml).start()
    }

    /// The directory of its `vigie.yml`, with its state below.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where its state lies.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        storage(self.dir())
    }

    /// Replaces its `vigie.yml`, without telling it.
    pub fn rewrite(&self, yaml: &str) {
        fs::write(self.dir().join("vigie.yml"), yaml).unwrap();
    }

    /// `GET /metrics` as text.
    #[must_use]
    pub fn scrape(&self) -> String {
        get(self.web, "/metrics").unwrap().ok().text()
    }

    /// The value of one series as printed, `name{label="value"}` in full; `None` when absent.
    #[must_use]
    pub fn sample(&self, series: &str) -> Option<f64> {
        let text = self.scrape();
        let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(is_value))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// The sum over all series of a family without further suffix.
    #[must_use]
    pub fn sum(&self, family: &str) -> f64 {
        let text = self.scrape();
        let of_family = |line: &&str| {
            line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let values = text.lines().filter(of_family).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// Posts one firing alert as Prometheus would.
    pub fn post(&self, labels: &Value) -> Answer {
        post(self.alerting, "/api/v2/alerts", &json!([{ "labels": labels }])).unwrap()
    }

    /// The alerts of the API that `filter` matches; all without one.
    #[must_use]
    pub fn alerts(&self, filter: &str) -> Vec<Value> {
        let filter = filter.replace('"', "%22").replace('=', "%3D");
        let query = if filter.is_empty() { filter } else { format!("?filter={filter}") };
        let path = format!("/api/v2/alerts{query}");
        let answer = get(self.alerting, &path).unwrap().ok().json();
        answer.as_array().cloned().unwrap_or_default()
    }

    /// `POST /-/reload` on the alerting port.
    #[must_use]
    pub fn reload(&self) -> Answer {
        request(self.alerting, &Query::new("POST", "/-/reload")).unwrap()
    }

    /// Starts it again with the same state on the same ports, after it was killed or has ended.
    #[must_use]
    pub fn again(mut self) -> Vigie {
        let args = arguments(self.dir.path(), &self.args, self.web, self.alerting);
        self.process = Proc::start("vigie", Command::new(vigie_program()).args(args));
        self.ready()
    }

    /// Learns the addresses and waits until both ports answer, be it that they want TLS or a password.
    fn ready(mut self) -> Vigie {
        self.web = self.process.line("the metrics address", |line| listening(line, "metrics"));
        self.alerting = self.process.line("the alerting address", |line| listening(line, "alerts"));
        for address in [self.web, self.alerting] {
            wait_for("/-/ready", SOON, || match get(address, "/-/ready") {
                Ok(answer) if [200, 400, 401].contains(&answer.status) => Ok(()),
                Ok(answer) => Err(answer.text()),
                Err(error) => Err(error.to_string()),
            });
        }
        self
    }
}

/// The program that cargo built beside this test.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn vigie_program() -> PathBuf {
    let built = std::env::var_os("CARGO_BIN_EXE_vigie").map(PathBuf::from);
    let profile = || {
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap_or(&target_dir()).join("vigie")
    };
    let path = built.unwrap_or_else(profile);
    assert!(path.is_file(), "{} is not built", path.display());
    path
}

/// Runs the program to its end, which has to come soon.
///
/// # Panics
/// When it goes on, such as a `serve` that should have been refused.
#[must_use]
pub fn run_vigie<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut command = Command::new(vigie_program());
    command.args(args).stdin(Stdio::null());
    command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let ended = try_wait_for(SOON, || child.try_wait().unwrap().ok_or("it still runs"));
    let status = ended.unwrap_or_else(|reason| {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{command:?}: {reason} after {SOON:?}");
    });
    Output { status, stdout: whole(&mut stdout), stderr: whole(&mut stderr) }
}

fn whole(file: &mut fs::File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn arguments(dir: &Path, more: &[String], web: SocketAddr, alerting: SocketAddr) -> Vec<String> {
    let own = [
        "serve".to_owned(),
        format!("--web.listen-address={web}"),
        format!("--alerting.listen-address={alerting}"),
        format!("--storage.path={}", storage(dir).display()),
        format!("--config.file={}", dir.join("vigie.yml").display()),
    ];
    own.into_iter().chain(more.iter().cloned()).collect()
}

fn storage(dir: &Path) -> PathBuf {
    dir.join("state")
}

/// The address on a line `... listening address=127.0.0.1:1234 for=metrics`.
fn listening(line: &str, purpose: &str) -> Option<SocketAddr> {
    let value = |key: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(key))?;
        Some(word.trim_matches('"'))
    };
    (value("for=")? == purpose).then(|| value("address=")?.parse().ok())?
}

/// Whether what follows the name of a series is its value: ` 1`, ` 2.5e3`.
fn is_value(rest: &str) -> bool {
    rest.strip_prefix(' ').is_some_and(|value| value.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = "ts=1 level=info msg=listening address=127.0.0.1:81 for=metrics";
        assert_eq!(listening(line, "metrics"), Some("127.0.0.1:81".parse().unwrap()));
        assert_eq!(listening(line, "alerts"), None);
        assert_eq!(listening("nothing", "metrics"), None);
    }

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        assert!(is_value(" 1") && is_value(" +Inf") && !is_value("{a=\"b\"} 1"));
    }
}
