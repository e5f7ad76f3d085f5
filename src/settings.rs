//! What was typed on the command line and written in `vigie.yml`, joined.
//!
//! Flags win over the file, the file over defaults; the sections of plugins stay nodes, which the
//! plugins read. It must not know what any plugin's section means.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vigie_core::config::{
    ConfigError, Entry, FlagDef, FlagError, FlagKind, Flags, Node, Value, parse_yaml,
};
use vigie_core::http::Listener;

use crate::catalogue::{Catalogue, Member, switch_of};
use crate::error::read_file;

/// Flags as given on a command line: name without dashes, all values.
pub type Given = BTreeMap<String, Vec<String>>;

/// Keys of `vigie.yml` that are another spelling of a flag: section, key, flag.
const KEYS: &[(&str, &str, &str)] = &[
    ("web", "listen_address", "web.listen-address"),
    ("web", "telemetry_path", "web.telemetry-path"),
    ("web", "max_requests", "web.max-requests"),
    ("web", "disable_exporter_metrics", "web.disable-exporter-metrics"),
    ("web", "systemd_socket", "web.systemd-socket"),
    ("web", "config_file", "web.config.file"),
    ("alerting", "web_config_file", "alerting.web.config.file"),
    ("alerting", "listen_address", "alerting.listen-address"),
    ("alerting", "external_url", "alerting.external-url"),
    ("storage", "path", "storage.path"),
    ("path", "procfs", "path.procfs"),
    ("path", "sysfs", "path.sysfs"),
    ("path", "rootfs", "path.rootfs"),
    ("path", "udev_data", "path.udev.data"),
];

/// Everything vigie is set to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// All flags.
    pub flags: Arc<Flags>,
    /// `vigie.yml` without what has become flags.
    pub config: Node,
}

impl Settings {
    /// Joins a parsed `vigie.yml` and the given flags.
    ///
    /// # Errors
    /// For unknown sections, keys and collectors, and values of the wrong kind, with their place.
    pub fn new(catalogue: &Catalogue, config: &Node, given: &Given) -> Result<Self, ConfigError> {
        let mut flags = catalogue.defaults();
        let config = read_sections(catalogue, config, &mut flags)?;
        for (name, values) in given {
            flags.set(name.as_str(), values.clone());
        }
        Ok(Settings { flags: Arc::new(flags), config })
    }

    /// The web configuration file of a port.
    #[must_use]
    pub fn web_config_path(&self, listener: Listener) -> Option<PathBuf> {
        let own = match listener {
            Listener::Telemetry => None,
            Listener::Alerting => self.flags.path("alerting.web.config.file"),
        };
        own.or_else(|| self.flags.path("web.config.file"))
    }

    /// Where metrics are served: no request could ever ask for a path without its slash.
    pub(crate) fn telemetry_path(&self) -> Result<String, FlagError> {
        let name = "web.telemetry-path";
        let path = Some(self.flags.text(name)).filter(|path| path.starts_with('/'));
        path.map(str::to_owned)
            .ok_or_else(|| self.flags.error(name, "expected a path that begins with /"))
    }

    /// How many scrapes may be under way; `None` for any number.
    pub(crate) fn max_requests(&self) -> Result<Option<NonZeroU64>, FlagError> {
        let name = "web.max-requests";
        let parsed = self.flags.text(name).parse().map(NonZeroU64::new);
        parsed.map_err(|_| self.flags.error(name, "expected a whole number from 0"))
    }

    /// The part of `vigie.yml` under a key of a section.
    pub(crate) fn section(&self, section: &str, key: &str) -> Option<&Node> {
        self.config.get(section)?.get(key).filter(|node| !node.is_null())
    }
}

/// Reads and parses a file.
///
/// # Errors
/// With the file, and the place where it stops being YAML.
pub fn load(path: &Path) -> Result<Node, ConfigError> {
    parse_yaml(&path.display().to_string(), &read_file(path)?)
}

/// The plugin files in the section `plugins`, as seen from the file that lists them; they have to
/// be loaded before their flags are known.
///
/// # Errors
/// When the section is no list of paths.
pub fn plugin_files(config: &Node) -> Result<Vec<PathBuf>, ConfigError> {
    let Some(section) = config.get("plugins") else { return Ok(Vec::new()) };
    let beside = Path::new(&*config.place.file).parent().unwrap_or(Path::new(""));
    section.items()?.iter().map(|item| Ok(beside.join(item.text()?))).collect()
}

/// Turns what is a flag into a flag; returns what is left for the plugins.
fn read_sections(
    catalogue: &Catalogue,
    config: &Node,
    flags: &mut Flags,
) -> Result<Node, ConfigError> {
    let mut left = Vec::new();
    for entry in config.entries()? {
        let plugin = catalogue.members().iter().find(|member| member.name() == entry.key);
        let value = match (entry.key.as_str(), plugin) {
            ("web" | "storage", _) => read_keys(&entry.key, &entry.value, &[], flags)?,
            ("alerting", _) => read_keys("alerting", &entry.value, &["config"], flags)?,
            ("plugins", _) => Node { value: Value::Null, ..entry.value.clone() },
            (name, Some(_)) => read_plugin_section(catalogue, name, &entry.value, flags)?,
            _ if is_extra_section(catalogue, &entry.key) => entry.value.clone(),
            _ => {
                let known = section_names(catalogue);
                let place = entry.place.clone();
                let known = known.iter().map(String::as_str);
                return Err(ConfigError::unknown_key(place, &entry.key, known));
            }
        };
        left.push(Entry { value, ..entry.clone() });
    }
    Ok(Node { place: config.place.clone(), value: Value::Map(left) })
}

fn is_extra_section(catalogue: &Catalogue, name: &str) -> bool {
    catalogue.members().iter().any(|member| member.sections().iter().any(|s| s == name))
}

fn section_names(catalogue: &Catalogue) -> Vec<String> {
    let own = ["web", "alerting", "storage", "plugins"].map(str::to_owned);
    let of = |member: &Member| [vec![member.name().to_owned()], member.sections()].concat();
    own.into_iter().chain(catalogue.members().iter().flat_map(of)).collect()
}

/// A section whose keys are flags, but for those in `kept`, which are returned.
fn read_keys(
    section: &str,
    node: &Node,
    kept: &[&'static str],
    flags: &mut Flags,
) -> Result<Node, ConfigError> {
    let keys = KEYS.iter().filter(|(of, ..)| *of == section);
    let known: Vec<&str> =
        keys.clone().map(|(_, key, _)| *key).chain(kept.iter().copied()).collect();
    node.only_keys(known.iter().copied())?;
    for (_, key, flag) in keys {
        let Some(value) = node.get(key) else { continue };
        let def = crate::FLAGS.iter().find(|def| def.name == *flag);
        set_flag(flags, flag, def, value)?;
    }
    let left = node.entries()?.iter().filter(|entry| kept.contains(&entry.key.as_str()));
    Ok(Node { place: node.place.clone(), value: Value::Map(left.cloned().collect()) })
}

/// A plugin's section: `collectors` and, for the host, `path` become flags.
fn read_plugin_section(
    catalogue: &Catalogue,
    plugin: &str,
    node: &Node,
    flags: &mut Flags,
) -> Result<Node, ConfigError> {
    let mut left = Vec::new();
    let Value::Map(entries) = &node.value else { return Ok(node.clone()) };
    for entry in entries {
        match entry.key.as_str() {
            "collectors" => read_collectors(catalogue, plugin, &entry.value, flags)?,
            "path" if plugin == "host" => {
                read_keys("path", &entry.value, &[], flags)?;
            }
            other if plugin == "host" => {
                let place = entry.place.clone();
                return Err(ConfigError::unknown_key(place, other, ["collectors", "path"]));
            }
            _ => left.push(entry.clone()),
        }
    }
    let value = if left.is_empty() { Value::Null } else { Value::Map(left) };
    Ok(Node { place: node.place.clone(), value })
}

/// `NAME: true|false` or `NAME: {enabled: ..., FLAG: ...}`, where `FLAG` is the rest of
/// `--collector.NAME.FLAG`.
fn read_collectors(
    catalogue: &Catalogue,
    plugin: &str,
    node: &Node,
    flags: &mut Flags,
) -> Result<(), ConfigError> {
    let collectors = catalogue.collectors();
    let of_plugin = || collectors.iter().filter(|(of, _)| *of == plugin).map(|(_, info)| info);
    for entry in node.entries()? {
        let Some(info) = of_plugin().find(|info| info.name == entry.key) else {
            let known = of_plugin().map(|info| info.name);
            return Err(ConfigError::unknown_key(entry.place.clone(), &entry.key, known));
        };
        let switch = FlagDef::switch("", true, "");
        let Value::Map(options) = &entry.value.value else {
            set_flag(flags, &switch_of(info.name), Some(&switch), &entry.value)?;
            continue;
        };
        let prefix = format!("{}.", switch_of(info.name));
        for option in options {
            if option.key == "enabled" {
                set_flag(flags, &switch_of(info.name), Some(&switch), &option.value)?;
                continue;
            }
            let name = format!("{prefix}{}", option.key);
            let Some(def) = info.flags.iter().find(|def| def.name == name) else {
                let short = info.flags.iter().filter_map(|def| def.name.strip_prefix(&prefix));
                let known = short.chain(["enabled"]);
                return Err(ConfigError::unknown_key(option.place.clone(), &option.key, known));
            };
            set_flag(flags, &name, Some(def), &option.value)?;
        }
    }
    Ok(())
}

fn set_flag(
    flags: &mut Flags,
    name: &str,
    def: Option<&FlagDef>,
    node: &Node,
) -> Result<(), ConfigError> {
    let values = match def.map(|def| def.kind) {
        Some(FlagKind::Switch) => vec![node.read::<bool>()?.to_string()],
        Some(FlagKind::List) => match &node.value {
            Value::Seq(items) => {
                items.iter().map(|item| Ok(item.text()?.to_owned())).collect::<Result<_, _>>()?
            }
            _ => vec![node.text()?.to_owned()],
        },
        _ => vec![node.text()?.to_owned()],
    };
    flags.set_at(node.place.clone(), name, values);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, given: &[(&str, &str)]) -> Result<Settings, String> {
        let catalogue = Catalogue::bundled();
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), vec![(*v).to_owned()])).collect();
        let node = parse_yaml("vigie.yml", text).map_err(|e| e.to_string())?;
        Settings::new(&catalogue, &node, &given).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_needs_to_be_written() {
        let settings = settings("", &[]).unwrap();
        assert_eq!(settings.flags.list("web.listen-address"), [":9100"]);
        assert_eq!(settings.flags.text("path.procfs"), "/proc");
    }

    #[test]
    fn flags_win_over_the_file() {
        let text = "web: {listen_address: [':1', ':2'], telemetry_path: /m}\n";
        let settings = settings(text, &[("web.telemetry-path", "/n")]).unwrap();
        assert_eq!(settings.flags.list("web.listen-address"), [":1", ":2"]);
        assert_eq!(settings.telemetry_path().unwrap(), "/n");
    }

    #[test]
    fn metrics_have_a_path_that_can_be_asked_for() {
        for bad in ["metrics", ""] {
            let settings = settings("", &[("web.telemetry-path", bad)]).unwrap();
            let error = settings.telemetry_path().unwrap_err().to_string();
            assert!(error.starts_with("--web.telemetry-path: expected a path"), "{error}");
        }
    }

    #[test]
    #[cfg(feature = "host")]
    fn collectors_are_switched_and_set_by_their_plugin_s_section() {
        let text = "host:\n  path: {procfs: /host/proc}\n  collectors:\n    loadavg: false\n    \
                    textfile: {directory: [/a, /b]}\n    cpu: {enabled: yes, info: true}\n";
        let settings = settings(text, &[]).unwrap();
        assert_eq!(settings.flags.text("path.procfs"), "/host/proc");
        assert!(!settings.flags.switch("collector.loadavg"));
        assert_eq!(settings.flags.list("collector.textfile.directory"), ["/a", "/b"]);
        assert!(settings.flags.switch("collector.cpu.info"));
    }

    #[test]
    fn mistakes_name_their_place_and_the_nearest_key() {
        for (text, expected) in [
            ("wbe: {}\n", "vigie.yml:1:1: unknown key \"wbe\"; did you mean \"web\"?"),
            ("web: {listen: x}\n", "vigie.yml:1:7: unknown key \"listen\""),
            ("web: [x]\n", "vigie.yml:1:6: expected a map, found a list"),
            ("web: {telemetry_path: [x]}\n", "vigie.yml:1:23: expected a text, found a list"),
        ] {
            let error = settings(text, &[]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    #[cfg(feature = "host")]
    fn mistakes_in_collectors_too() {
        for (text, expected) in [
            ("collectors: {cup: true}", "unknown key \"cup\"; did you mean \"cpu\"?"),
            ("collectors: {cpu: maybe}", "expected true or false"),
            ("collectors: {cpu: {inof: true}}", "unknown key \"inof\"; did you mean \"info\"?"),
            ("paths: {}", "unknown key \"paths\"; did you mean \"path\"?"),
        ] {
            let error = settings(&format!("host:\n  {text}\n"), &[]).unwrap_err();
            assert!(error.starts_with("vigie.yml:2:") && error.contains(expected), "{error}");
        }
    }
}
