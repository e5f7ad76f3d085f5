//! What crosses to a loaded plugin and back as JSON: descriptions, settings, failures.
//!
//! All that is not a sample crosses here, rarely and as text, so that the binary interface stays
//! small enough to check. It must not know pointers.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::collect::{CollectError, CollectorInfo, Paths};
use crate::config::{ConfigError, Entry, FlagDef, FlagKind, Flags, Node, Place, Value};
use crate::metric::{FamilyDoc, Kind};

/// What a plugin says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) help: String,
    #[serde(default)]
    pub(super) sections: Vec<String>,
    #[serde(default)]
    pub(super) flags: Vec<Flag>,
    #[serde(default)]
    pub(super) collectors: Vec<Described>,
}

/// A [`CollectorInfo`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    #[serde(default)]
    pub(super) help: String,
    #[serde(default)]
    pub(super) reads: String,
    #[serde(default)]
    pub(super) needs: String,
    #[serde(default)]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) timeout_ms: Option<u64>,
    #[serde(default)]
    pub(super) flags: Vec<Flag>,
    #[serde(default)]
    pub(super) families: Vec<DescribedFamily>,
}

/// A [`FamilyDoc`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DescribedFamily {
    pub(super) name: String,
    #[serde(default)]
    pub(super) help: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) labels: Vec<String>,
}

/// A [`FlagDef`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flag {
    pub(super) name: String,
    /// `switch`, `text` or `list`.
    pub(super) kind: String,
    #[serde(default)]
    pub(super) default: String,
    #[serde(default)]
    pub(super) help: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
}

impl From<&CollectorInfo> for Described {
    fn from(info: &CollectorInfo) -> Self {
        let families = info.families.iter().map(|family| DescribedFamily {
            name: family.name.into(),
            help: family.help.into(),
            kind: family.kind.as_str().into(),
            labels: family.labels.iter().map(|label| (*label).into()).collect(),
        });
        Described {
            name: info.name.into(),
            help: info.help.into(),
            reads: info.reads.into(),
            needs: info.needs.into(),
            enabled: info.enabled,
            timeout_ms: info.timeout.map(|limit| limit.as_millis().try_into().unwrap_or(u64::MAX)),
            flags: info.flags.iter().map(Flag::from).collect(),
            families: families.collect(),
        }
    }
}

impl From<&FlagDef> for Flag {
    fn from(def: &FlagDef) -> Self {
        let kind = match def.kind {
            FlagKind::Switch => "switch",
            FlagKind::Text => "text",
            FlagKind::List => "list",
        };
        Flag {
            name: def.name.into(),
            kind: kind.into(),
            default: def.default.into(),
            help: def.help.into(),
            aliases: def.aliases.iter().map(|alias| (*alias).into()).collect(),
        }
    }
}

/// The `'static` forms: a loaded plugin is never unloaded, so what it declares stays as well.
impl Described {
    pub(super) fn leak(self) -> Result<CollectorInfo, String> {
        let mut info = CollectorInfo::new(text(self.name), text(self.help))
            .reads(text(self.reads))
            .needs(text(self.needs));
        info.enabled = self.enabled;
        info.timeout = self.timeout_ms.map(Duration::from_millis);
        info.flags = Flag::leak_all(self.flags)?;
        let families: Result<Vec<_>, _> =
            self.families.into_iter().map(DescribedFamily::leak).collect();
        info.families = families?.leak();
        Ok(info)
    }
}

impl DescribedFamily {
    fn leak(self) -> Result<FamilyDoc, String> {
        let kind = Kind::parse(&self.kind).ok_or_else(|| unknown("kind", &self.kind))?;
        let labels: Vec<&'static str> = self.labels.into_iter().map(text).collect();
        Ok(FamilyDoc { name: text(self.name), help: text(self.help), kind, labels: labels.leak() })
    }
}

impl Flag {
    pub(super) fn leak_all(flags: Vec<Flag>) -> Result<&'static [FlagDef], String> {
        let flags: Result<Vec<_>, _> = flags.into_iter().map(Flag::leak).collect();
        Ok(flags?.leak())
    }

    fn leak(self) -> Result<FlagDef, String> {
        let kind = match self.kind.as_str() {
            "switch" => FlagKind::Switch,
            "text" => FlagKind::Text,
            "list" => FlagKind::List,
            other => return Err(unknown("kind of flag", other)),
        };
        let aliases: Vec<&'static str> = self.aliases.into_iter().map(text).collect();
        let mut def = FlagDef::text(text(self.name), text(self.default), text(self.help));
        def.kind = kind;
        Ok(def.aliases(aliases.leak()))
    }
}

fn text(text: String) -> &'static str {
    text.leak()
}

fn unknown(what: &str, found: &str) -> String {
    format!("unknown {what} {found:?}")
}

/// What a plugin's parts are built from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Its section as plain JSON, for plugins not written in Rust.
    pub(super) config: Box<serde_json::value::RawValue>,
    /// Its sections with the place of every value, so that errors can name them.
    pub(super) tree: Tree,
    pub(super) file: String,
    pub(super) paths: WirePaths,
    /// Its own flags: the values, and whether a user gave them.
    pub(super) flags: BTreeMap<String, (Vec<String>, bool)>,
}

/// [`Paths`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WirePaths {
    procfs: PathBuf,
    sysfs: PathBuf,
    rootfs: PathBuf,
    udev: PathBuf,
}

impl From<&Paths> for WirePaths {
    fn from(paths: &Paths) -> Self {
        let Paths { procfs, sysfs, rootfs, udev } = paths.clone();
        WirePaths { procfs, sysfs, rootfs, udev }
    }
}

impl From<WirePaths> for Paths {
    fn from(paths: WirePaths) -> Self {
        let WirePaths { procfs, sysfs, rootfs, udev } = paths;
        Paths { procfs, sysfs, rootfs, udev }
    }
}

impl Order {
    /// The flags as the plugin sees them.
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        for (name, (values, given)) in &self.flags {
            // A default of several values does not exist, so the last one is the default.
            flags.declare(name.as_str(), values.last().map_or("", String::as_str));
            if *given {
                flags.set(name.as_str(), values.clone());
            }
        }
        flags
    }
}

/// A [`Node`] and the line and column of everything in it; all of one file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tree(usize, usize, Twig);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Twig {
    Null,
    Plain(String),
    Quoted(String),
    Seq(Vec<Tree>),
    Map(Vec<(usize, usize, String, Tree)>),
}

impl From<&Node> for Tree {
    fn from(node: &Node) -> Self {
        let twig = match &node.value {
            Value::Null => Twig::Null,
            Value::Scalar { text, plain: true } => Twig::Plain(text.clone()),
            Value::Scalar { text, plain: false } => Twig::Quoted(text.clone()),
            Value::Seq(items) => Twig::Seq(items.iter().map(Tree::from).collect()),
            Value::Map(entries) => Twig::Map(
                entries
                    .iter()
                    .map(|e| (e.place.line, e.place.column, e.key.clone(), Tree::from(&e.value)))
                    .collect(),
            ),
        };
        Tree(node.place.line, node.place.column, twig)
    }
}

impl Tree {
    pub(super) fn into_node(self, file: &Arc<str>) -> Node {
        let place = |line, column| Place { file: file.clone(), line, column };
        let value = match self.2 {
            Twig::Null => Value::Null,
            Twig::Plain(text) => Value::Scalar { text, plain: true },
            Twig::Quoted(text) => Value::Scalar { text, plain: false },
            Twig::Seq(items) => {
                Value::Seq(items.into_iter().map(|item| item.into_node(file)).collect())
            }
            Twig::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(line, column, key, value)| Entry {
                        place: place(line, column),
                        key,
                        value: value.into_node(file),
                    })
                    .collect(),
            ),
        };
        Node { place: place(self.0, self.1), value }
    }
}

/// The parts a plugin has built: which collectors, in the order of their numbers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Built {
    pub(super) collectors: Vec<String>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

/// A [`ConfigError`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    file: String,
    line: usize,
    column: usize,
    what: String,
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        let Place { file, line, column } = error.place;
        Refusal { file: file.to_string(), line, column, what: error.what }
    }
}

// No `From`: a second one into a type this common would end inference of `?` elsewhere.
impl Refusal {
    pub(super) fn into_error(self) -> ConfigError {
        let Refusal { file, line, column, what } = self;
        ConfigError::new(Place { file: file.into(), line, column }, what)
    }
}

/// A [`CollectError`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failure {
    NoData(String),
    Read { path: PathBuf, os: Option<i32>, text: String },
    Parse { path: PathBuf, line: usize, what: String },
    Other(String),
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::NoData(what) => Failure::NoData(what.into_owned()),
            CollectError::Read { path, source } => {
                Failure::Read { path, os: source.raw_os_error(), text: source.to_string() }
            }
            CollectError::Parse { path, line, what } => Failure::Parse { path, line, what },
            CollectError::Other(what) => Failure::Other(what),
        }
    }
}

impl Failure {
    pub(super) fn into_error(self) -> CollectError {
        match self {
            Failure::NoData(what) => CollectError::no_data(what),
            Failure::Read { path, os, text } => {
                let source =
                    os.map_or_else(|| io::Error::other(text), io::Error::from_raw_os_error);
                CollectError::read(path, source)
            }
            Failure::Parse { path, line, what } => CollectError::parse(path, line, what),
            Failure::Other(what) => CollectError::Other(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    fn crossed<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn a_configuration_keeps_its_places() {
        let text = "a: 1\nb: [x, \"2\", ~]\nc:\n  d: 010\n";
        let node = parse_yaml("vigie.yml", text).unwrap();
        let tree = crossed(&Tree::from(&node));
        assert_eq!(tree.into_node(&"vigie.yml".into()), node);
    }

    #[test]
    fn collector_information_survives() {
        static FLAGS: &[FlagDef] = &[FlagDef::switch("x.on", true, "On.").aliases(&["x.yes"])];
        static FAMILIES: &[FamilyDoc] =
            &[FamilyDoc { name: "x", help: "X.", kind: Kind::Gauge, labels: &["a", "b"] }];
        let info = CollectorInfo::new("x", "Help.")
            .reads("/x")
            .needs("an x")
            .off_by_default()
            .timeout(Duration::from_millis(1500))
            .flags(FLAGS)
            .families(FAMILIES);
        let back = crossed(&Described::from(&info)).leak().unwrap();
        assert_eq!(format!("{back:?}"), format!("{info:?}"));
    }

    #[test]
    fn failures_keep_their_kind() {
        let read = CollectError::read("/x", io::Error::from_raw_os_error(2));
        let parse = CollectError::parse("/y", 3, "bad");
        for error in
            [read, parse, CollectError::no_data("nothing"), CollectError::Other("o".into())]
        {
            let (text, kind) = (error.to_string(), error.kind());
            let back = crossed(&Failure::from(error)).into_error();
            assert_eq!((back.to_string(), back.kind()), (text, kind));
        }
    }
}
