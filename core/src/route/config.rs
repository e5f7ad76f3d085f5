//! `alertmanager.yml`: from nodes to a plan and its notifiers.
//!
//! Every key of Alertmanager is read, or refused by name when vigie does not support it yet, so
//! that nobody believes in a setting that does nothing. It must not know the keys of any notifier.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inhibit::InhibitRule;
use super::original::original;
use super::plan::{Integration, Plan, Receiver};
use super::tree::{Tree, not_yet};
use crate::config::{ConfigError, Entry, Node, PromDuration};
use crate::notify::{Notifier, NotifierDef, NotifierSetting};
use crate::template::Templates;

/// Keys of the whole file, ours first.
const KEYS: [&str; 9] = [
    "global",
    "templates",
    "route",
    "receivers",
    "inhibit_rules",
    "time_intervals",
    "mute_time_intervals",
    "tracing",
    "event_recorder",
];

/// Kinds of Alertmanager 0.34: a section of one that no plugin brings is named as missing.
const KINDS: [&str; 18] = [
    "webhook",
    "email",
    "slack",
    "pagerduty",
    "opsgenie",
    "victorops",
    "pushover",
    "sns",
    "telegram",
    "wechat",
    "discord",
    "webex",
    "msteams",
    "msteamsv2",
    "jira",
    "rocketchat",
    "incidentio",
    "mattermost",
];

/// Beginnings of Alertmanager's keys of `global` that belong to a kind.
const GLOBAL_PREFIXES: [&str; 11] = [
    "smtp_",
    "slack_",
    "pagerduty_",
    "opsgenie_",
    "wechat_api_",
    "victorops_",
    "telegram_",
    "webex_",
    "rocketchat_",
    "jira_",
    "mattermost_",
];

/// Receiver, kind and number of an integration.
type Address = (Arc<str>, Arc<str>, u32);

/// A whole configuration of routing, valid and with its notifiers built.
#[derive(Clone)]
pub struct RouteConfig {
    plan: Arc<Plan>,
    notifiers: HashMap<Address, Arc<dyn Notifier>>,
}

impl RouteConfig {
    /// Without any configuration: alerts are shown, nobody is told.
    #[must_use]
    pub fn none() -> Self {
        let name: Arc<str> = "default".into();
        let receivers = vec![Receiver { name: name.clone(), integrations: Vec::new() }];
        let mut plan = Plan::new(Tree::single(name), receivers);
        plan.original = "global:\n  resolve_timeout: 5m\nroute:\n  receiver: default\n\
            receivers:\n  - name: default\ntemplates: []\n"
            .into();
        RouteConfig { plan: plan.into(), notifiers: HashMap::new() }
    }

    /// Reads an `alertmanager.yml`, or the same inline; nothing is [`RouteConfig::none`]. `defs` are
    /// the kinds of notifiers there are. Template files are sought from the directory of the file
    /// that `node` stands in.
    ///
    /// # Errors
    /// With the place of what is wrong, unknown or not supported yet.
    pub fn read(node: &Node, defs: &[&NotifierDef]) -> Result<Self, ConfigError> {
        if node.is_null() {
            return Ok(RouteConfig::none());
        }
        for entry in node.entries()? {
            match entry.key.as_str() {
                "global" | "templates" | "route" | "receivers" | "inhibit_rules" => {}
                key if KEYS.contains(&key) => not_yet(entry)?,
                key => return Err(ConfigError::unknown_key(entry.place.clone(), key, KEYS)),
            }
        }
        let nothing = Node::null(node.place.file.clone());
        let global = node.get("global").unwrap_or(&nothing);
        check_global(global, defs)?;
        let templates = read_templates(node)?;
        let setting = NotifierSetting::new(global, &templates);
        let mut reader = Reader { defs, setting, receivers: Vec::new(), notifiers: HashMap::new() };
        for item in node.get("receivers").map_or(Ok(&[][..]), Node::items)? {
            reader.receiver(item)?;
        }
        let Some(route) = node.get("route").filter(|route| !route.is_null()) else {
            return Err(node.error("key \"route\" is missing"));
        };
        let names: Vec<_> = reader.receivers.iter().map(|r| r.name.clone()).collect();
        let mut plan = Plan::new(Tree::read(route, &names)?, reader.receivers);
        if let Some(timeout) = global.get("resolve_timeout") {
            plan.resolve_timeout = timeout.read::<PromDuration>()?.0;
        }
        for item in node.get("inhibit_rules").map_or(Ok(&[][..]), Node::items)? {
            plan.inhibit_rules.push(InhibitRule::read(item)?);
        }
        plan.original = original(node, defs).into();
        Ok(RouteConfig { plan: plan.into(), notifiers: reader.notifiers })
    }

    /// What decides.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The notifier of an integration.
    #[must_use]
    pub fn notifier(
        &self,
        receiver: &str,
        integration: &Integration,
    ) -> Option<&Arc<dyn Notifier>> {
        let address = (receiver.into(), integration.kind.clone(), integration.index);
        self.notifiers.get(&address)
    }
}

/// Without the notifiers, which hold secrets.
impl std::fmt::Debug for RouteConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteConfig").field("plan", &self.plan).finish_non_exhaustive()
    }
}

struct Reader<'a> {
    defs: &'a [&'a NotifierDef],
    setting: NotifierSetting<'a>,
    receivers: Vec<Receiver>,
    notifiers: HashMap<Address, Arc<dyn Notifier>>,
}

impl Reader<'_> {
    fn receiver(&mut self, node: &Node) -> Result<(), ConfigError> {
        let name_node = node.get("name").unwrap_or(node);
        let name: Arc<str> = node.get("name").map_or(Ok(""), Node::text)?.into();
        if name.is_empty() {
            return Err(name_node.error("a receiver must have a name"));
        }
        if self.receivers.iter().any(|known| known.name == name) {
            return Err(name_node.error("another receiver has this name already"));
        }
        let mut receiver = Receiver { name, integrations: Vec::new() };
        for entry in node.entries()? {
            match entry.key.as_str() {
                "name" => {}
                "labels" => not_yet(entry)?,
                key => match self.defs.iter().find(|def| is_section_of(key, def.kind)) {
                    Some(def) => self.integrations(&mut receiver, def, &entry.value)?,
                    None => self.refuse(entry)?,
                },
            }
        }
        self.receivers.push(receiver);
        Ok(())
    }

    fn integrations(
        &mut self,
        receiver: &mut Receiver,
        def: &NotifierDef,
        section: &Node,
    ) -> Result<(), ConfigError> {
        let kind: Arc<str> = def.kind.into();
        for (index, item) in (0..).zip(section.items()?) {
            let send_resolved = item.get("send_resolved").map(Node::read::<bool>).transpose()?;
            let notifier = (def.build)(item, &self.setting)?;
            let address = (receiver.name.clone(), kind.clone(), index);
            self.notifiers.insert(address, notifier.into());
            receiver.integrations.push(Integration {
                kind: kind.clone(),
                index,
                send_resolved: send_resolved.unwrap_or(def.send_resolved),
            });
        }
        Ok(())
    }

    fn refuse(&self, entry: &Entry) -> Result<(), ConfigError> {
        if KINDS.iter().any(|kind| is_section_of(&entry.key, kind)) {
            return not_yet(entry);
        }
        let ours = self.defs.iter().map(|def| def.kind);
        let sections: Vec<_> = ours.chain(KINDS).map(|kind| format!("{kind}_configs")).collect();
        let known = sections.iter().map(String::as_str).chain(["name"]);
        Err(ConfigError::unknown_key(entry.place.clone(), &entry.key, known))
    }
}

fn is_section_of(key: &str, kind: &str) -> bool {
    key.strip_suffix("_configs") == Some(kind)
}

fn check_global(global: &Node, defs: &[&NotifierDef]) -> Result<(), ConfigError> {
    let ours = || ["resolve_timeout", "http_config"].into_iter();
    let known = || ours().chain(defs.iter().flat_map(|def| def.globals).copied());
    for entry in global.entries()? {
        let key = entry.key.as_str();
        if known().any(|known| known == key) {
            continue;
        }
        if GLOBAL_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
            && crate::config::nearest(key, known()).is_none()
        {
            not_yet(entry)?;
        } else {
            return Err(ConfigError::unknown_key(entry.place.clone(), key, known()));
        }
    }
    Ok(())
}

/// Loads the files of `templates`: patterns, relative to the file they stand in.
fn read_templates(node: &Node) -> Result<Templates, ConfigError> {
    let directory = Path::new(&*node.place.file).parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    for item in node.get("templates").map_or(Ok(&[][..]), Node::items)? {
        let pattern = directory.join(item.text()?);
        let found = glob::glob(&pattern.to_string_lossy())
            .map_err(|error| item.error(format!("not a file pattern: {}", error.msg)))?;
        for file in found {
            files.push(file.map_err(|error| item.error(error.to_string()))?);
        }
    }
    Templates::load(files)
}
