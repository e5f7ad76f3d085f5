//! The configuration as it may be shown: defaults filled in, secrets hidden.
//!
//! amtool reads it back from `/api/v2/status`, so it is a whole configuration in Alertmanager's
//! order, with masks that Alertmanager 0.25 parses. It must not know what any notifier does with
//! its keys: a key is taken for a secret by its name.

use crate::config::{Entry, Node, Secret, Value, write_yaml};
use crate::notify::NotifierDef;

/// Endings of keys whose value is a secret, unless the key ends in `_file`.
const SECRET_ENDINGS: [&str; 8] = [
    "password",
    "secret",
    "secrets",
    "token",
    "token_id",
    "credentials",
    "_key",
    "proxy_connect_header",
];

/// Keys whose value is a URL that often carries a token in its path.
const SECRET_URLS: [&str; 3] = ["url", "api_url", "webhook_url"];

/// The text for `config.original`.
pub(super) fn original(node: &Node, defs: &[&NotifierDef]) -> String {
    let section = |key: &str| node.get(key).cloned().unwrap_or_else(|| map(node));
    let mut global = mask(&section("global"), "global");
    fill(&mut global, "resolve_timeout", "5m");
    let mut route = section("route");
    for (key, default) in
        [("group_wait", "30s"), ("group_interval", "5m"), ("repeat_interval", "4h")]
    {
        fill(&mut route, key, default);
    }
    let mut receivers = section("receivers");
    if let Value::Seq(items) = &mut receivers.value {
        items.iter_mut().for_each(|item| *item = receiver(item, defs));
    }
    let templates = node.get("templates").filter(|templates| !templates.is_null()).cloned();
    let templates = templates.unwrap_or(Node { value: Value::Seq(Vec::new()), ..map(node) });
    let mut shown = map(node);
    push(&mut shown, "global", global);
    push(&mut shown, "route", route);
    if let Some(rules) = node.get("inhibit_rules") {
        push(&mut shown, "inhibit_rules", rules.clone());
    }
    push(&mut shown, "receivers", receivers);
    push(&mut shown, "templates", templates);
    write_yaml(&shown)
}

fn receiver(node: &Node, defs: &[&NotifierDef]) -> Node {
    let mut shown = mask(node, "receivers");
    let Value::Map(entries) = &mut shown.value else { return shown };
    for entry in entries {
        let kind = entry.key.strip_suffix("_configs").unwrap_or_default();
        let Some(def) = defs.iter().find(|def| def.kind == kind) else { continue };
        if let Value::Seq(items) = &mut entry.value.value {
            let default = if def.send_resolved { "true" } else { "false" };
            items.iter_mut().for_each(|item| fill(item, "send_resolved", default));
        }
    }
    shown
}

/// A copy in which values under keys that sound secret are hidden.
fn mask(node: &Node, key: &str) -> Node {
    let value = match &node.value {
        Value::Null => Value::Null,
        Value::Seq(items) => Value::Seq(items.iter().map(|item| mask(item, key)).collect()),
        Value::Map(entries) => {
            let inherit = is_secret(key);
            let entry = |entry: &Entry| Entry {
                value: mask(&entry.value, if inherit { key } else { &entry.key }),
                ..entry.clone()
            };
            Value::Map(entries.iter().map(entry).collect())
        }
        Value::Scalar { text, .. } if text.is_empty() => node.value.clone(),
        Value::Scalar { .. } if is_secret(key) => text(Secret::SHOWN),
        Value::Scalar { text: url, .. } if is_secret_url(key) => text(&hide_url(url)),
        Value::Scalar { text: plain, .. } => match hide_user(plain) {
            Some(hidden) => text(&hidden),
            None => node.value.clone(),
        },
    };
    Node { place: node.place.clone(), value }
}

fn is_secret(key: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

fn is_secret_url(key: &str) -> bool {
    SECRET_URLS.contains(&key) || key.ends_with("_webhook_url") || key == "slack_api_url"
}

/// Scheme and mask: `<secret>` alone is no URL to Alertmanager 0.25.
fn hide_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("{scheme}://{}", Secret::SHOWN)
        }
        _ => Secret::SHOWN.to_owned(),
    }
}

/// A URL with its password hidden as Go's `URL.Redacted` does, if the text is one that has any.
fn hide_user(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, host) = authority.rsplit_once('@')?;
    let (name, _) = user.split_once(':')?;
    Some(format!("{scheme}://{name}:xxxxx@{host}{}", &rest[authority.len()..]))
}

fn text(text: &str) -> Value {
    Value::Scalar { text: text.to_owned(), plain: false }
}

fn map(node: &Node) -> Node {
    Node { place: node.place.clone(), value: Value::Map(Vec::new()) }
}

fn push(node: &mut Node, key: &str, value: Node) {
    let place = node.place.clone();
    if let Value::Map(entries) = &mut node.value {
        entries.push(Entry { place, key: key.to_owned(), value });
    }
}

/// Adds a default where a map has not the key.
fn fill(node: &mut Node, key: &str, default: &str) {
    if node.is_null() {
        node.value = Value::Map(Vec::new());
    }
    if node.get(key).is_none_or(Node::is_null) {
        let value = Value::Scalar { text: default.to_owned(), plain: true };
        let value = Node { place: node.place.clone(), value };
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|entry| entry.key != key);
        }
        push(node, key, value);
    }
}
