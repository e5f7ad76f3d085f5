//! A real Prometheus that scrapes vigie and loads rules.
//!
//! What it says of its targets, its series and its alerts is the judge of our output. It must not be
//! given anything that a user could not give it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::get;
use crate::process::{Proc, free_port, program};
use crate::wait::{SOON, wait_for};

/// A running Prometheus.
pub struct Prometheus {
    /// Its process.
    pub process: Proc,
    /// Where it listens.
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Prometheus {
    /// Scrapes `targets` every second, loads `rules` and sends its alerts to `alerting`.
    #[must_use]
    pub fn start(targets: &[SocketAddr], alerting: SocketAddr, rules: &[PathBuf]) -> Prometheus {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        fs::write(&config, configuration(targets, alerting, rules)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let process = Proc::start("prometheus", &mut command);
        wait_for("Prometheus", SOON, || {
            get(address, "/-/ready")
                .map_err(|error| error.to_string())
                .and_then(|answer| if answer.status == 200 { Ok(()) } else { Err(answer.text()) })
        });
        Prometheus { process, address, _dir: dir }
    }

    /// The `data` of an answer of its API.
    #[must_use]
    pub fn api(&self, path: &str) -> Value {
        let answer = get(self.address, &format!("/api/v1/{path}")).unwrap().ok().json();
        answer["data"].clone()
    }

    /// The samples an instant query gives.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("query?query={encoded}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until an instant query gives something, and gives it.
    #[must_use]
    pub fn wait(&self, expression: &str) -> Vec<Value> {
        wait_for(expression, SOON, || {
            let found = self.query(expression);
            if found.is_empty() { Err(self.api("targets").to_string()) } else { Ok(found) }
        })
    }
}

fn configuration(targets: &[SocketAddr], alerting: SocketAddr, rules: &[PathBuf]) -> String {
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let rules: Vec<String> = rules.iter().map(|path| path.display().to_string()).collect();
    serde_json::json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": rules,
        "scrape_configs": [
            { "job_name": "vigie", "static_configs": [{ "targets": targets }] },
        ],
        "alerting": { "alertmanagers": [
            { "static_configs": [{ "targets": [alerting.to_string()] }] },
        ]},
    })
    .to_string()
}
