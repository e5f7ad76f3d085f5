//! What node_exporter shows of the same peer.

use std::process::Command;

use common::{Proc, SOON, free_port, get, program, wait_for};

use crate::subject::{Table, table};

/// Scrapes a node_exporter with one collector on; flags are written without `--collector.`.
pub(crate) fn scrape(collector: &str, flags: &[String], variables: &[(&str, &str)]) -> Table {
    let port = free_port();
    let mut command = Command::new(program("prometheus-node-exporter"));
    command.arg("--collector.disable-defaults").arg(format!("--collector.{collector}"));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.args(flags.iter().map(|flag| format!("--collector.{flag}")));
    command.envs(variables.iter().copied());
    let mut original = Proc::start("node_exporter", &mut command);
    let text = wait_for("an answer of node_exporter", SOON, || {
        assert!(original.is_running(), "{}", original.output());
        get(([127, 0, 0, 1], port).into(), "/metrics").map(|answer| answer.ok().text())
    });
    let mut shown = table(&text);
    let success = shown.get(&format!("node_scrape_collector_success{{collector={collector}}}"));
    assert_eq!(success, Some(&1.0), "{}", original.output());
    shown.retain(|series, _| series.starts_with("node_") && !series.starts_with("node_scrape_"));
    shown.retain(|series, _| !series.starts_with("node_exporter_"));
    shown
}

/// Demands every series of the original with its value, but for those that `is_live` names, which change.
pub(crate) fn assert_covers(ours: &Table, original: &Table, is_live: impl Fn(&str) -> bool) {
    assert!(!original.is_empty());
    for (series, value) in original {
        let shown = ours.get(series).unwrap_or_else(|| panic!("{series} is missing:\n{ours:#?}"));
        assert!(is_live(series) || (shown - value).abs() < 1e-9 * value.abs().max(1.0), "{series}");
    }
}
