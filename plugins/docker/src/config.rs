//! What a user may say about Docker: flags, and the section `docker` of `vigie.yml`.
//!
//! A flag stands over the section, the section over the environment, that over the default. It
//! must not know how any of it is used.

use serde::Deserialize;
use vigie_core::config::{ConfigError, FlagDef, Flags, Node, Place};

use crate::label::LabelFilter;

/// The plugin's flags.
pub(crate) const FLAGS: &[FlagDef] = &[
    FlagDef::text(
        "docker.socket",
        DEFAULT_SOCKET,
        "Where the Docker daemon listens: unix:///PATH or tcp://HOST:PORT (DOCKER_HOST when not given; empty: nowhere).",
    ),
    FlagDef::text(
        "docker.metrics-address",
        DEFAULT_METRICS,
        "Where the daemon shows its own metrics (metrics-addr in daemon.json); empty: nowhere.",
    ),
    FlagDef::text(
        "docker.labels",
        "default",
        "Container labels that become container_label_*: all, none, default, or patterns such as com.example.*, separated by commas.",
    ),
    FlagDef::switch("docker.node-meta", true, "In a swarm, show node_meta as SwarmProm does."),
];

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";
const DEFAULT_METRICS: &str = "127.0.0.1:9323";

/// The section `docker`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    socket: Option<String>,
    metrics_address: Option<String>,
    labels: Option<LabelFilter>,
    node_meta: Option<bool>,
}

/// What holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DockerConfig {
    /// Where the API is; `None` when the user wants none.
    pub(crate) host: Option<Host>,
    /// Why the environment's `DOCKER_HOST` is not `host`.
    pub(crate) refused: Option<String>,
    /// `HOST:PORT` of the daemon's own page.
    pub(crate) metrics_address: Option<String>,
    pub(crate) labels: LabelFilter,
    pub(crate) node_meta: bool,
}

impl DockerConfig {
    /// Joins the three sources; `environment` is the value of `DOCKER_HOST`.
    ///
    /// # Errors
    /// For an unknown key, a value of the wrong type, or an address in another form.
    pub(crate) fn read(
        section: &Node,
        flags: &Flags,
        environment: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let read: Section = section.read()?;
        let written = |flag: &str, key: &str, value: Option<String>| {
            if flags.is_given(flag) {
                return Some((flags.text(flag).to_owned(), Place::file(format!("--{flag}"))));
            }
            value.map(|text| (text, section.get(key).unwrap_or(section).place.clone()))
        };
        let (host, refused) = match written("docker.socket", "socket", read.socket) {
            Some((text, place)) => {
                (Host::parse(&text).map_err(|what| ConfigError::new(place, what))?, None)
            }
            None => inherited(environment),
        };
        let metrics_address =
            match written("docker.metrics-address", "metrics_address", read.metrics_address) {
                Some((text, place)) => {
                    parse_address(&text).map_err(|what| ConfigError::new(place, what))?
                }
                None => Some(DEFAULT_METRICS.to_owned()),
            };
        let labels = match read.labels {
            Some(labels) if !flags.is_given("docker.labels") => labels,
            _ => LabelFilter::parse(flags.text("docker.labels")),
        };
        let node_meta = match read.node_meta {
            Some(node_meta) if !flags.is_given("docker.node-meta") => node_meta,
            _ => flags.switch("docker.node-meta"),
        };
        Ok(DockerConfig { host, refused, metrics_address, labels, node_meta })
    }
}

/// The host of `DOCKER_HOST`, or the usual one. A variable meant for the `docker` command must
/// not keep vigie from starting, so one that is of no use here is only told.
fn inherited(environment: Option<&str>) -> (Option<Host>, Option<String>) {
    let usual = Host::Unix(DEFAULT_SOCKET.trim_start_matches("unix://").to_owned());
    match environment.map(Host::parse) {
        None | Some(Ok(None)) => (Some(usual), None),
        Some(Ok(host)) => (host, None),
        Some(Err(what)) => (None, Some(format!("DOCKER_HOST is of no use here: {what}"))),
    }
}

/// Where the daemon's API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Path of a socket.
    Unix(String),
    /// `HOST:PORT`, without TLS: a proxy in front of the socket.
    Tcp(String),
}

impl Host {
    /// Reads the forms of `DOCKER_HOST`, and a plain path; nothing from an empty text.
    fn parse(text: &str) -> Result<Option<Host>, &'static str> {
        let wanted = "expected unix:///PATH or tcp://HOST:PORT";
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(path) = text.strip_prefix("unix://").or(text.starts_with('/').then_some(text)) {
            // The kernel's `sun_path` has 108 bytes, the last of them zero.
            return match path {
                "" => Err(wanted),
                path if path.len() > 107 => Err("a socket's path has at most 107 bytes"),
                path => Ok(Some(Host::Unix(path.to_owned()))),
            };
        }
        let address = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://"));
        let address = address.map(|address| address.trim_end_matches('/')).ok_or(wanted)?;
        let address = parse_address(address).map_err(|_| wanted)?.ok_or(wanted)?;
        Ok(Some(Host::Tcp(address)))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Unix(path) => write!(f, "unix://{path}"),
            Host::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// `HOST:PORT`; nothing from an empty text.
fn parse_address(text: &str) -> Result<Option<String>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b));
    if host.is_empty() || !plain || port.parse::<u16>().is_err() {
        return Err("expected HOST:PORT");
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vigie_core::config::parse_yaml;

    fn read(
        yaml: &str,
        given: &[(&str, &str)],
        environment: Option<&str>,
    ) -> Result<DockerConfig, String> {
        let mut flags = Flags::new(FLAGS);
        for (name, value) in given {
            flags.set(*name, vec![(*value).to_owned()]);
        }
        let section = parse_yaml("vigie.yml", yaml).unwrap();
        DockerConfig::read(&section, &flags, environment).map_err(|error| error.to_string())
    }

    #[test]
    fn flag_then_section_then_environment_then_default() {
        let unix = |path: &str| Some(Host::Unix(path.to_owned()));
        let host = |yaml, given, environment| read(yaml, given, environment).unwrap().host;
        let section = "socket: unix:///b\n";
        assert_eq!(host(section, &[("docker.socket", "/a")], Some("unix:///c")), unix("/a"));
        assert_eq!(host(section, &[], Some("unix:///c")), unix("/b"));
        assert_eq!(host("", &[], Some("unix:///c")), unix("/c"));
        assert_eq!(host("", &[], Some("")), unix("/var/run/docker.sock"));
        assert_eq!(host("", &[("docker.socket", "")], None), None, "wanted: nowhere");
        assert_eq!(
            host("socket: tcp://10.0.0.1:2375\n", &[], None),
            Some(Host::Tcp("10.0.0.1:2375".into()))
        );
    }

    #[test]
    fn a_foreign_environment_is_told_and_no_error() {
        let config = read("", &[], Some("ssh://me@there")).unwrap();
        assert_eq!(config.host, None);
        assert!(
            config.refused.unwrap().starts_with("DOCKER_HOST is of no use here: expected unix")
        );
    }

    #[test]
    fn labels_are_a_word_or_a_list() {
        let labels = |yaml| read(yaml, &[], None).unwrap().labels;
        assert_eq!(labels("labels: all\n"), LabelFilter::All);
        assert_eq!(labels("labels: [com.example.*]\n"), LabelFilter::parse("com.example.*"));
        assert_eq!(labels("node_meta: no\n"), LabelFilter::default());
        let flag = read("labels: all\n", &[("docker.labels", "none")], None).unwrap();
        assert_eq!(flag.labels, LabelFilter::Matching(Vec::new()));
    }

    #[test]
    fn errors_name_their_place() {
        for (yaml, given, environment, expected) in [
            (
                "sockt: x\n",
                &[][..],
                None,
                "vigie.yml:1:1: unknown key \"sockt\"; did you mean \"socket\"?",
            ),
            (
                "socket: ssh://x\n",
                &[],
                None,
                "vigie.yml:1:9: expected unix:///PATH or tcp://HOST:PORT",
            ),
            ("metrics_address: 9323\n", &[], None, "vigie.yml:1:18: expected HOST:PORT"),
            (
                "",
                &[("docker.metrics-address", "x:99999")],
                None,
                "--docker.metrics-address: expected HOST:PORT",
            ),
            ("node_meta: perhaps\n", &[], None, "vigie.yml:1:12: expected true or false"),
            ("labels: {a: b}\n", &[], None, "vigie.yml:1:9: expected all, none, default or a list"),
        ] {
            let error = read(yaml, given, environment).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let long = format!("/{}", "x".repeat(107));
        assert!(Host::parse(&long).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in ".*") {
            let _ = (Host::parse(&text), parse_address(&text));
        }
    }
}
