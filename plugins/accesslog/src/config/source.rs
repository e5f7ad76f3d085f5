//! The section `accesslog`: which files to follow.
//!
//! A list of files with their formats, and the flags that name files without a configuration. It
//! must not know objectives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use vigie_core::config::{ConfigError, Flags, Node, Place, PromDuration};
use vigie_core::metric::is_label_name;

use crate::format::Parser;
use crate::tail::Start;

/// Labels that vigie sets itself on the families of a log.
const OWN_LABELS: [&str; 8] = ["source", "service", "code", "method", "by", "reason", "kind", "le"];

/// A log to follow.
#[derive(Clone, Debug)]
pub struct Source {
    /// The label `source`; unique.
    pub name: String,
    /// The file that the proxy writes.
    pub path: PathBuf,
    /// Its format.
    pub parser: Parser,
    /// Where it is begun when it was never seen before.
    pub start: Start,
    /// Further labels of its families.
    pub labels: Vec<(String, String)>,
    /// Combinations of service, code and method that are counted apart.
    pub max_series: usize,
    /// How long the file may be away before an alert says so.
    pub stale: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceKeys {
    name: Option<String>,
    path: String,
    format: Option<String>,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    max_series: Option<usize>,
    stale: Option<PromDuration>,
}

pub(super) fn read(section: &Node, flags: &Flags) -> Result<Vec<Source>, ConfigError> {
    let mut sources: Vec<Source> = Vec::new();
    for item in section.items()? {
        let source = source(item, item.read()?)?;
        if sources.iter().any(|known| known.path == source.path) {
            return Err(item.error("this file is followed already"));
        }
        if sources.iter().any(|known| known.name == source.name) {
            return Err(at(item, "name").error("there is a log of this name already"));
        }
        sources.push(source);
    }
    let format = match flags.text("accesslog.format") {
        "" => crate::format::AUTO,
        format => format,
    };
    // Refused without a file as well: the next start may have one.
    let parser = Parser::new(format)
        .map_err(|error| ConfigError::new(Place::file("--accesslog.format"), error.to_string()))?;
    for path in flags.list("accesslog.file") {
        // A file named twice is followed once: the configuration says more than the flag.
        if sources.iter().all(|known| known.path.as_os_str() != path.as_str()) {
            sources.push(from_flag(path, parser.clone()));
        }
    }
    Ok(sources)
}

fn source(item: &Node, keys: SourceKeys) -> Result<Source, ConfigError> {
    if keys.path.is_empty() {
        return Err(at(item, "path").error("a path is needed"));
    }
    let format = keys.format.unwrap_or_else(|| crate::format::AUTO.into());
    let parser =
        Parser::new(&format).map_err(|error| at(item, "format").error(error.to_string()))?;
    for name in keys.labels.keys() {
        let place = at(item, "labels");
        if OWN_LABELS.contains(&name.as_str()) {
            return Err(place.error(format!("{name:?} is a label that vigie sets itself")));
        }
        if !is_label_name(name) {
            return Err(place.error(format!("{name:?} is no label name")));
        }
    }
    Ok(Source {
        name: keys.name.unwrap_or_else(|| keys.path.clone()),
        path: keys.path.into(),
        parser,
        start: keys.start,
        labels: keys.labels.into_iter().collect(),
        max_series: keys.max_series.unwrap_or(MAX_SERIES),
        stale: keys.stale.map_or(STALE, |stale| stale.0),
    })
}

const MAX_SERIES: usize = 1000;
const STALE: Duration = Duration::from_secs(300);

fn from_flag(path: &str, parser: Parser) -> Source {
    Source {
        name: path.to_owned(),
        path: path.into(),
        parser,
        start: Start::default(),
        labels: Vec::new(),
        max_series: MAX_SERIES,
        stale: STALE,
    }
}

/// The value of a key, or the whole item where it is not given.
pub(super) fn at<'n>(item: &'n Node, key: &str) -> &'n Node {
    item.get(key).unwrap_or(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::config::parse_yaml;

    #[test]
    fn a_path_is_enough_and_every_key_is_known() {
        let text = "- path: /a.log\n- {name: b, path: /b.log, format: traefik-json, start: end, labels: {site: x}, max_series: 5, stale: 1m}\n- {path: /c.log, start: checkpoint}\n";
        let mut flags = Flags::default();
        flags.set("accesslog.file", vec!["/a.log".into(), "/d.log".into()]);
        flags.set("accesslog.format", vec!["traefik-clf".into()]);
        let sources = read(&parse_yaml("f", text).unwrap(), &flags).unwrap();
        let names: Vec<_> = sources.iter().map(|s| (s.name.as_str(), s.parser.name())).collect();
        assert_eq!(
            names,
            [
                ("/a.log", "auto"),
                ("b", "traefik-json"),
                ("/c.log", "auto"),
                ("/d.log", "traefik-clf")
            ]
        );
        assert_eq!((sources[1].start, sources[2].start), (Start::End, Start::Beginning));
        assert_eq!((sources[1].max_series, sources[1].stale), (5, Duration::from_secs(60)));
    }

    #[test]
    fn a_bad_flag_names_itself() {
        let mut flags = Flags::default();
        flags.set("accesslog.file", vec!["/a.log".into()]);
        flags.set("accesslog.format", vec!["x".into()]);
        let error = read(&Node::null("f"), &flags).unwrap_err().to_string();
        assert!(error.starts_with("--accesslog.format: unknown format \"x\""), "{error}");
    }
}
