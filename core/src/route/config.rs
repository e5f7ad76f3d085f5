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

    /// Reads an `alertmanager.yml`, or the same inline; a file that is empty is refused, since it
    /// more likely was lost than meant. `defs` are the kinds of notifiers there are. Template files
    /// are sought from the directory of the file that `node` stands in.
    ///
    /// # Errors
    /// With the place of what is wrong, unknown or not supported yet.
    pub fn read(node: &Node, defs: &[&NotifierDef]) -> Result<Self, ConfigError> {
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

#[cfg(test)]
impl RouteConfig {
    /// The same configuration with one notifier for everything.
    pub(super) fn with_notifier(mut self, notifier: &Arc<dyn Notifier>) -> Self {
        self.notifiers.values_mut().for_each(|known| *known = notifier.clone());
        self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::BoxFuture;
    use crate::config::parse_yaml;
    use crate::notify::{Notification, NotifyError};
    use proptest::prelude::*;

    struct Nobody;

    impl Notifier for Nobody {
        fn notify<'a>(&'a self, _: &'a Notification) -> BoxFuture<'a, Result<(), NotifyError>> {
            Box::pin(async { Ok(()) })
        }
    }

    static WEBHOOK: NotifierDef = NotifierDef {
        kind: "webhook",
        help: "",
        globals: &[],
        send_resolved: true,
        build: |node, _| {
            node.only_keys(["url", "send_resolved", "http_config"])?;
            Ok(Box::new(Nobody))
        },
    };
    static EMAIL: NotifierDef = NotifierDef {
        kind: "email",
        help: "",
        globals: &["smtp_from", "smtp_auth_password"],
        send_resolved: false,
        build: |_, _| Ok(Box::new(Nobody)),
    };

    fn read(text: &str) -> Result<RouteConfig, String> {
        let node = parse_yaml("a.yml", text).map_err(|error| error.to_string())?;
        RouteConfig::read(&node, &[&WEBHOOK, &EMAIL]).map_err(|error| error.to_string())
    }

    const WHOLE: &str = r#"
global: {resolve_timeout: 1m, smtp_from: a@b, smtp_auth_password: hunter2}
receivers:
- name: team
  webhook_configs:
  - url: http://me:hunter2@example.com/hunter2
    http_config:
      proxy_url: http://me:hunter2@proxy/x
      authorization: {credentials: hunter2}
      basic_auth: {username: me, password: hunter2, password_file: /etc/pass}
      proxy_connect_header: {A: [hunter2]}
  - url: http://b
    send_resolved: false
  email_configs: [{to: x@y, headers: {Subject: hi}}]
route: {receiver: team}
inhibit_rules: [{source_match: {a: b}, target_match: {c: d}, equal: [e]}]
time_intervals: []
"#;

    #[test]
    fn a_whole_file_becomes_a_plan() {
        let config = read(WHOLE).unwrap();
        let plan = config.plan();
        assert_eq!(plan.resolve_timeout.as_secs(), 60);
        assert_eq!(plan.inhibit_rules.len(), 1);
        let shown: Vec<_> = plan.integrations("team").iter().collect();
        let short = |i: &Integration| (i.kind.to_string(), i.index, i.send_resolved);
        assert_eq!(
            shown.iter().map(|i| short(i)).collect::<Vec<_>>(),
            [("webhook".into(), 0, true), ("webhook".into(), 1, false), ("email".into(), 0, false)]
        );
        assert!(shown.iter().all(|i| config.notifier("team", i).is_some()));
        assert!(config.notifier("other", shown[0]).is_none());
    }

    #[test]
    fn what_is_shown_hides_every_secret_and_reads_back() {
        let shown = read(WHOLE).unwrap().plan().original.clone();
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in ["/etc/pass", "me:xxxxx@proxy/x", "http://<secret>", "Subject"] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
        let again = read(&shown).unwrap().plan().original.clone();
        assert_eq!(again, shown, "defaults and masks are stable");
        let none = RouteConfig::none().plan().original.clone();
        assert!(read(&none).is_ok());
    }

    #[test]
    fn wrong_files_name_their_line() {
        let route = "route: {receiver: r}\nreceivers:\n- name: r\n";
        for (text, expected) in [
            ("rout: 1", "a.yml:1:1: unknown key \"rout\"; did you mean \"route\"?"),
            ("receivers: []", "a.yml:1:1: key \"route\" is missing"),
            ("", "a.yml: key \"route\" is missing"),
            ("[a]", "a.yml:1:1: expected a map"),
            (&format!("{route}- name: r"), "a.yml:4:9: another receiver has this name"),
            (&format!("{route}- {{}}"), "a.yml:4:3: a receiver must have a name"),
            (&format!("{route}- null"), "a.yml:4:3: a receiver must have a name"),
            (
                &format!("{route}  slack_configs: [{{}}]"),
                "a.yml:4:3: key \"slack_configs\" is not supported yet",
            ),
            (
                &format!("{route}  webhok_configs: []"),
                "a.yml:4:3: unknown key \"webhok_configs\"; did you mean \"webhook_configs\"?",
            ),
            (&format!("{route}  webhook_configs: [{{ulr: x}}]"), "a.yml:4:22: unknown key \"ulr\""),
            (
                &format!("{route}global: {{slack_api_url: x}}"),
                "a.yml:4:10: key \"slack_api_url\" is not supported yet",
            ),
            (
                &format!("{route}global: {{smtp_fron: x}}"),
                "a.yml:4:10: unknown key \"smtp_fron\"; did you mean \"smtp_from\"?",
            ),
            (
                &format!("{route}time_intervals: [{{name: x}}]"),
                "a.yml:4:1: key \"time_intervals\" is not supported yet",
            ),
            (
                &format!("{route}tracing: {{endpoint: x}}"),
                "a.yml:4:1: key \"tracing\" is not supported yet",
            ),
            (&format!("{route}templates: ['***']"), "a.yml:4:13: not a file pattern"),
            (
                &format!("{route}inhibit_rules: [{{equal: [a-b]}}]"),
                "a.yml:4:26: this is no label name",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn template_files_are_sought_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.tmpl"), "{{ define \"x\" }}y{{ end }}").unwrap();
        std::fs::write(dir.path().join("broken.tmpl"), "{{ if }}").unwrap();
        let file = dir.path().join("alertmanager.yml").display().to_string();
        let read = |pattern: &str| {
            let text = format!(
                "route: {{receiver: r}}\nreceivers: [{{name: r}}]\ntemplates: ['{pattern}']"
            );
            RouteConfig::read(&parse_yaml(&file, &text).unwrap(), &[])
        };
        assert!(read("a.*").is_ok() && read("nothing/*").is_ok());
        assert!(read("*.tmpl").unwrap_err().place.file.ends_with("broken.tmpl"));
    }

    proptest! {
        #[test]
        fn any_tree_is_an_answer(text in "(route|receivers|global|name|match|- |: |\\{|\\}|\\[|\\]|,|\n| |a|0s|'\\.\\.\\.'){0,40}") {
            let _ = read(&text);
        }
    }
}
