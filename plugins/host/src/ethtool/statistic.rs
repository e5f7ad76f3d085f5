//! Statistics of drivers become families: their names are free text, and each driver has its own.
//!
//! node_exporter spells `rx` and `tx` out and drops two statistics that would be one family. It must not know which
//! interface they are of.

use std::collections::BTreeMap;

use regex::Regex;
use vigie_core::metric::Family;

/// Statistics that most drivers have, under names chosen for them.
pub(super) static KNOWN: [(&str, Family<1>); 7] = [
    known("rx_bytes", "node_ethtool_received_bytes_total"),
    known("rx_dropped", "node_ethtool_received_dropped_total"),
    known("rx_errors", "node_ethtool_received_errors_total"),
    known("rx_packets", "node_ethtool_received_packets_total"),
    known("tx_bytes", "node_ethtool_transmitted_bytes_total"),
    known("tx_errors", "node_ethtool_transmitted_errors_total"),
    known("tx_packets", "node_ethtool_transmitted_packets_total"),
];

const fn known(statistic: &'static str, name: &'static str) -> (&'static str, Family<1>) {
    (statistic, Family::untyped(name, "A statistic of the driver.", ["device"]))
}

/// The statistics by family; those that `include` does not match, and those that share a family, are left out.
pub(super) fn by_family(
    statistics: Vec<(String, u64)>,
    include: Option<&Regex>,
) -> BTreeMap<String, u64> {
    // A driver that tells a statistic twice means the last.
    let statistics: BTreeMap<String, u64> = statistics.into_iter().collect();
    let mut families: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (name, value) in statistics {
        if include.is_none_or(|include| include.is_match(&name)) {
            let family = family(&name);
            families.entry(family).and_modify(|value| *value = None).or_insert(Some(value));
        }
    }
    families.remove(PREFIX);
    families.into_iter().filter_map(|(family, value)| Some((family, value?))).collect()
}

const PREFIX: &str = "node_ethtool_";

/// The family of a statistic: lower case, every run of other signs one underscore, `rx` and `tx` spelled out.
fn family(statistic: &str) -> String {
    if let Some((_, family)) = KNOWN.iter().find(|(known, _)| *known == statistic) {
        return family.doc().name.to_owned();
    }
    let name = sanitized(statistic).to_ascii_lowercase();
    let name = name.trim_start_matches('_');
    format!("{PREFIX}{}", spelled_out(&spelled_out(name, "rx", "received"), "tx", "transmitted"))
}

/// One underscore for each run of signs that a name cannot have, with the underscores around it.
fn sanitized(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut sanitized = String::new();
    let mut rest = name;
    while let Some(at) = rest.find(|c| !is_word(c)) {
        sanitized.push_str(rest[..at].trim_end_matches('_'));
        sanitized.push('_');
        rest = rest[at..].trim_start_matches(|c| !is_word(c)).trim_start_matches('_');
    }
    sanitized + rest
}

/// Replaces a word between underscores. Of two in a row the second stays, since they share an underscore: so it is in
/// node_exporter.
fn spelled_out(name: &str, word: &str, long: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut replaced = false;
    for part in name.split('_') {
        replaced = part == word && !replaced;
        words.push(if replaced { long } else { part });
    }
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_node_exporter() {
        for (statistic, expected) in [
            ("rx_bytes", "received_bytes_total"),
            ("rx_queue_0_xdp_tx_errors", "received_queue_0_xdp_transmitted_errors"),
            ("rx_kicks", "received_kicks"),
            ("rx0_xdp_tx", "rx0_xdp_transmitted"),
            ("tx_tx_timeouts", "transmitted_tx_timeouts"),
            ("tx0_tx_timeouts", "tx0_transmitted_timeouts"),
            ("peer_ifindex", "peer_ifindex"),
            ("port.rx_size_64", "port_received_size_64"),
            ("  [0]: TX_bytes (ucast)", "0_transmitted_bytes_ucast_"),
            ("a_-_b", "a_b"),
        ] {
            assert_eq!(family(statistic), format!("{PREFIX}{expected}"), "{statistic}");
        }
    }

    #[test]
    fn two_statistics_of_one_family_are_both_dropped() {
        let all = [("RX_frames", 1), ("rx_frames", 2), ("rx.ok", 3), ("rx.ok", 4), ("***", 5)];
        let all = || all.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let told = by_family(all(), None);
        assert_eq!(told.into_iter().collect::<Vec<_>>(), [(format!("{PREFIX}received_ok"), 4)]);
        let only = Regex::new("^rx_").unwrap();
        assert_eq!(by_family(all(), Some(&only))["node_ethtool_received_frames"], 2);
    }

    proptest! {
        #[test]
        fn families_are_names_prometheus_takes(statistic in ".{0,40}") {
            let valid = Regex::new("^[a-z_][a-z0-9_]*$").unwrap();
            prop_assert!(valid.is_match(&family(&statistic)));
        }

        #[test]
        fn sanitizing_is_that_of_the_expression(name in "[a-z0-9_.:é -]{0,20}") {
            let expression = Regex::new("_*[^0-9A-Za-z_]+_*").unwrap();
            let expected = expression.replace_all(&name, "_").into_owned();
            prop_assert_eq!(sanitized(&name), expected);
        }

        #[test]
        fn spelling_out_is_that_of_the_expression(name in "(rx|tx|a|_){0,8}") {
            let expression = Regex::new("(^|_)rx(_|$)").unwrap();
            let expected = expression.replace_all(&name, "${1}received${2}").into_owned();
            prop_assert_eq!(spelled_out(&name, "rx", "received"), expected);
        }
    }
}
