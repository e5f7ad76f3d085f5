//! Prometheus' linter of expositions.
//!
//! Names that the peers gave are kept although the linter would choose others; everything else it says fails a test.
//! It must not know who shows the page.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::process::program;

/// Names of the peers that the linter would choose otherwise: how they begin, how the complaint ends.
const NAMES: &[(&str, &str)] = &[
    ("node_memory_", "not 'camelCase'"),
    ("node_netstat_", "not 'camelCase'"),
    ("node_entropy_", "instead of \"bits\""),
    ("node_power_supply_charge_counter ", "type 'counter'"),
    ("node_wifi_station_", "instead of \"bits\""),
];

/// What `promtool check metrics` has to say of an exposition, a line each.
///
/// # Panics
/// When promtool cannot be run.
#[must_use]
pub fn promtool_complaints(exposition: &[u8]) -> Vec<String> {
    let mut command = Command::new(program("promtool"));
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(exposition).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    said.lines().filter(|line| !is_a_name_of_a_peer(line)).map(str::to_owned).collect()
}

fn is_a_name_of_a_peer(complaint: &str) -> bool {
    NAMES.iter().any(|(name, end)| complaint.starts_with(name) && complaint.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_peers_are_let_pass() {
        let page = "# HELP node_memory_MemFree_bytes A.\n# TYPE node_memory_MemFree_bytes gauge\n\
                    node_memory_MemFree_bytes 1\n# TYPE node_memory_SwapFree_bytes gauge\n\
                    node_memory_SwapFree_bytes 1\n";
        let complaints = promtool_complaints(page.as_bytes());
        assert_eq!(complaints, ["node_memory_SwapFree_bytes no help text"]);
    }
}
