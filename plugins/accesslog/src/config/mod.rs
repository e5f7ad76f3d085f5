//! What a user writes about logs and objectives, and what it means.
//!
//! Two sections of `vigie.yml`, `accesslog` and `slo`, and two flags end in values that are right by
//! construction; every error names its place. It must not know how logs are followed.

mod objective;
mod source;

use std::time::Duration;

use vigie_core::config::{ConfigError, Flags, Node};

use crate::burn;
use crate::slo::Objective;
pub use crate::tail::Start;
pub use objective::read as read_objectives;
pub use source::Source;

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The logs to follow.
    pub sources: Vec<Source>,
    /// What was promised.
    pub objectives: Vec<Objective>,
    /// How often a standing alert is posted again.
    pub interval: Duration,
    /// What is no error, but hardly meant.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the sections `accesslog` and `slo` and the flags.
    ///
    /// # Errors
    /// With the place of what is wrong, or the name of the flag.
    pub fn read(accesslog: &Node, slo: &Node, flags: &Flags) -> Result<Self, ConfigError> {
        let sources = source::read(accesslog, flags)?;
        let (objectives, interval) = objective::read_section(slo)?;
        let mut warnings = Vec::new();
        for objective in objectives.iter().filter(|objective| objective.alerts.burn) {
            let target = objective.goal.target().unwrap_or(1.0);
            let idle = burn::warnings(objective.period, target);
            warnings.extend(idle.into_iter().map(|w| format!("slo {:?}: {w}", objective.name)));
        }
        if sources.is_empty() && !objectives.is_empty() {
            warnings.push("objectives are given, but no access log is followed".into());
        }
        Ok(Config { sources, objectives, interval, warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::config::parse_yaml;

    fn read(text: &str) -> Result<Config, String> {
        let node = parse_yaml("vigie.yml", text).unwrap();
        let section =
            |name: &str| node.get(name).cloned().unwrap_or_else(|| Node::null("vigie.yml"));
        Config::read(&section("accesslog"), &section("slo"), &Flags::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_needed() {
        let config = read("").unwrap();
        assert!(config.sources.is_empty() && config.objectives.is_empty());
    }

    #[test]
    fn errors_name_place_and_nearest_key() {
        for (text, expected) in [
            (
                "accesslog:\n  - pth: /x\n",
                "vigie.yml:2:5: unknown key \"pth\"; did you mean \"path\"?",
            ),
            ("accesslog:\n  - name: x\n", "vigie.yml:2:5: key \"path\" is missing"),
            ("accesslog:\n  path: /x\n", "vigie.yml:2:3: expected a list, found a map"),
            (
                "accesslog: [{path: /x, format: clf}]\n",
                "vigie.yml:1:32: unknown format \"clf\"; known are auto,",
            ),
            (
                "accesslog: [{path: /x}, {path: /x}]\n",
                "vigie.yml:1:25: this file is followed already",
            ),
            (
                "accesslog: [{path: /x, labels: {le: a}}]\n",
                "vigie.yml:1:32: \"le\" is a label that vigie sets",
            ),
            ("slo: [{latency: {mean: 1s}}]\n", "vigie.yml:1:7: key \"name\" is missing"),
            ("slo: [{name: a}]\n", "vigie.yml:1:7: an objective needs \"latency\" or \"errors\""),
            (
                "slo: [{name: a, latency: {below: 200ms}}]\n",
                "vigie.yml:1:26: \"below\" needs a \"target\"",
            ),
            ("slo: [{name: a, latency: {mean: 1s, p95: 2s}}]\n", "vigie.yml:1:26: give one of"),
            (
                "slo: [{name: a, latency: {below: fast, target: 95%}}]\n",
                "vigie.yml:1:34: not a valid duration",
            ),
            (
                "slo: [{name: a, latency: {below: 1s, target: 100%}}]\n",
                "vigie.yml:1:46: a target lies between 0% and 100%",
            ),
            (
                "slo: [{name: a, errors: {codes: [5yx], target: 99%}}]\n",
                "vigie.yml:1:33: not a status code",
            ),
            (
                "slo: [{name: a, select: {servce: x}, latency: {mean: 1s}}]\n",
                "vigie.yml:1:26: unknown key \"servce\"; did you mean \"service\"?",
            ),
            (
                "slo: [{name: a, select: {path: '=~('}, latency: {mean: 1s}}]\n",
                "vigie.yml:1:32: bad regular expression",
            ),
            (
                "slo: [{name: a, latency: {mean: 1s}}, {name: a, latency: {mean: 1s}}]\n",
                "vigie.yml:1:46: there is an objective of this name",
            ),
            ("slo: {defaults: {client_aborts: maybe}}\n", "vigie.yml:1:33: expected one of"),
            ("slo: {objectives: [], intervall: 1s}\n", "vigie.yml:1:23: unknown key \"intervall\""),
            ("slo: never\n", "vigie.yml:1:6: expected a list"),
        ] {
            let error = read(text).map(|_| ()).expect_err(text);
            assert!(error.starts_with(expected), "{error}\nis not\n{expected}");
        }
    }

    #[test]
    fn a_loose_target_is_warned_of() {
        let config = read("slo: [{name: a, errors: {codes: [5xx], target: 93%}}]\n").unwrap();
        assert_eq!(config.warnings.len(), 2);
        assert!(
            config.warnings[0].starts_with("slo \"a\": a burn rate of 14.4"),
            "{:?}",
            config.warnings
        );
    }
}
