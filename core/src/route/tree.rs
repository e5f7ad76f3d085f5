//! The routing tree: which routes an alert takes.
//!
//! Inheritance, order and keys are Alertmanager's, because route keys stand in group keys and
//! those in webhooks and in the notification log. A tree that exists is valid. It must not know
//! groups or receivers beyond their names.

use std::sync::Arc;
use std::time::Duration;

use crate::alert::{LabelSet, MatchOp, Matcher, Matchers};
use crate::config::{ConfigError, Entry, Node, PromDuration, nearest};
use crate::metric::is_label_name;

/// What alerts of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// `['...']`: every label, so that each alert is its own group.
    All,
    /// These labels, sorted; none makes one group of all.
    Labels(Vec<Box<str>>),
}

impl GroupBy {
    /// The labels of the group an alert belongs to; absent ones are left out.
    #[must_use]
    pub fn group_labels(&self, labels: &LabelSet) -> LabelSet {
        match self {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let pairs = names.iter().map(|name| (name, labels.get(name)));
                pairs.filter(|(_, value)| !value.is_empty()).collect()
            }
        }
    }
}

/// One node of the tree, with what it inherited filled in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// Number in depth-first order; the root is 0.
    pub index: usize,
    /// `{}/{a="b"}/...`, as Alertmanager writes it.
    pub key: String,
    /// Whom it leads to.
    pub receiver: Arc<str>,
    /// How alerts are grouped.
    pub group_by: GroupBy,
    /// From the first alert of a group to its first notification.
    pub group_wait: Duration,
    /// Between looks at a group.
    pub group_interval: Duration,
    /// Between equal notifications.
    pub repeat_interval: Duration,
    /// Whether siblings after this one are tried as well.
    pub goes_on: bool,
    matchers: Matchers,
    routes: Vec<Arc<Route>>,
}

/// A routing tree.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Arc<Route>,
}

const KEYS: [&str; 13] = [
    "receiver",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "continue",
    "match",
    "match_re",
    "matchers",
    "routes",
    "mute_time_intervals",
    "active_time_intervals",
    "labels",
];

impl Tree {
    /// A tree of one route to one receiver, with Alertmanager's waits.
    #[must_use]
    pub fn single(receiver: Arc<str>) -> Self {
        Tree {
            root: Arc::new(Route {
                index: 0,
                key: "{}".into(),
                receiver,
                group_by: GroupBy::Labels(Vec::new()),
                group_wait: Duration::from_secs(30),
                group_interval: Duration::from_secs(5 * 60),
                repeat_interval: Duration::from_secs(4 * 3600),
                goes_on: false,
                matchers: Matchers::default(),
                routes: Vec::new(),
            }),
        }
    }

    /// Reads the section `route`; `receivers` are the names that are defined.
    ///
    /// # Errors
    /// With the place of what is wrong, as Alertmanager would refuse it.
    pub fn read(node: &Node, receivers: &[Arc<str>]) -> Result<Self, ConfigError> {
        let named = node.get("receiver").map(Node::text).transpose()?.unwrap_or_default();
        if named.is_empty() {
            return Err(node.error("the root route must name a receiver"));
        }
        for key in ["match", "match_re", "matchers"] {
            if let Some(matchers) = node.get(key).filter(|matchers| !is_empty(matchers)) {
                return Err(matchers.error("the root route must not have matchers"));
            }
        }
        let mut reader = Reader { receivers, next: 0 };
        let root = reader.route(node, &Tree::single("".into()).root, "")?;
        if root.goes_on {
            return Err(node.error("the root route cannot have `continue`"));
        }
        Ok(Tree { root: Arc::new(root) })
    }

    /// The routes an alert with these labels takes, in order; at least the root.
    #[must_use]
    pub fn routes_for(&self, labels: &LabelSet) -> Vec<Arc<Route>> {
        let mut found = Vec::new();
        collect(&self.root, labels, &mut found);
        found
    }

    /// The receivers an alert with these labels reaches, each once, in order.
    #[must_use]
    pub fn receivers_for(&self, labels: &LabelSet) -> Vec<Arc<str>> {
        receivers_of(&self.routes_for(labels))
    }

    /// Every receiver some route uses, each once.
    #[must_use]
    pub fn receivers(&self) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        let mut rest = vec![&self.root];
        while let Some(route) = rest.pop() {
            rest.extend(&route.routes);
            if !all.contains(&route.receiver) {
                all.push(route.receiver.clone());
            }
        }
        all
    }
}

/// The receivers of some routes, each once, in order.
pub(super) fn receivers_of(routes: &[Arc<Route>]) -> Vec<Arc<str>> {
    let mut receivers: Vec<Arc<str>> = Vec::with_capacity(routes.len());
    for route in routes {
        if !receivers.contains(&route.receiver) {
            receivers.push(route.receiver.clone());
        }
    }
    receivers
}

/// Depth-first, left to right; a matching route without a matching child is itself the result.
fn collect(route: &Arc<Route>, labels: &LabelSet, found: &mut Vec<Arc<Route>>) -> bool {
    if !route.matchers.matches(labels) {
        return false;
    }
    let before = found.len();
    for child in &route.routes {
        if collect(child, labels, found) && !child.goes_on {
            break;
        }
    }
    if found.len() == before {
        found.push(route.clone());
    }
    true
}

struct Reader<'a> {
    receivers: &'a [Arc<str>],
    next: usize,
}

impl Reader<'_> {
    fn route(
        &mut self,
        node: &Node,
        parent: &Route,
        parent_key: &str,
    ) -> Result<Route, ConfigError> {
        let mut route = Route {
            index: self.next,
            key: String::new(),
            goes_on: false,
            matchers: read_matchers(node, ["match", "match_re", "matchers"])?,
            routes: Vec::new(),
            ..parent.clone()
        };
        self.next += 1;
        let slash = if parent_key.is_empty() { "" } else { "/" };
        route.key = format!("{parent_key}{slash}{}", route.matchers);
        let mut children: &[Node] = &[];
        for entry in node.entries()? {
            let value = &entry.value;
            match entry.key.as_str() {
                "match" | "match_re" | "matchers" => {}
                "receiver" if value.text()?.is_empty() => {}
                "receiver" => route.receiver = self.receiver(value)?,
                "group_by" if value.is_null() => {}
                "group_by" => route.group_by = read_group_by(value)?,
                "group_wait" => route.group_wait = value.read::<PromDuration>()?.0,
                "group_interval" => route.group_interval = positive(entry)?,
                "repeat_interval" => route.repeat_interval = positive(entry)?,
                "continue" => route.goes_on = value.read()?,
                "routes" => children = value.items()?,
                "mute_time_intervals" | "active_time_intervals" | "labels" => not_yet(entry)?,
                key => return Err(ConfigError::unknown_key(entry.place.clone(), key, KEYS)),
            }
        }
        for child in children {
            let child = self.route(child, &route, &route.key)?;
            route.routes.push(Arc::new(child));
        }
        Ok(route)
    }

    fn receiver(&self, node: &Node) -> Result<Arc<str>, ConfigError> {
        let name = node.text()?;
        if let Some(known) = self.receivers.iter().find(|known| ***known == *name) {
            return Ok(known.clone());
        }
        let meant = nearest(name, self.receivers.iter().map(AsRef::as_ref));
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        Err(node.error(format!("this receiver is not defined{meant}")))
    }
}

fn positive(entry: &Entry) -> Result<Duration, ConfigError> {
    let duration = entry.value.read::<PromDuration>()?.0;
    if duration.is_zero() {
        return Err(entry.value.error(format!("{} must not be zero", entry.key)));
    }
    Ok(duration)
}

fn read_group_by(node: &Node) -> Result<GroupBy, ConfigError> {
    let mut names: Vec<Box<str>> = Vec::new();
    let mut all = false;
    for item in node.items()? {
        let name = item.text()?;
        if name == "..." {
            all = true;
        } else if !is_label_name(name) {
            return Err(item.error("this is no label name"));
        } else if names.iter().any(|known| **known == *name) {
            return Err(item.error("this label stands already in group_by"));
        } else {
            names.push(name.into());
        }
    }
    if all && !names.is_empty() {
        return Err(node.error("'...' means all labels and takes no others beside it"));
    }
    names.sort_unstable();
    Ok(if all { GroupBy::All } else { GroupBy::Labels(names) })
}

/// Reads a map of equalities, a map of expressions and a list of matchers, sorted for the key.
pub(super) fn read_matchers(node: &Node, keys: [&str; 3]) -> Result<Matchers, ConfigError> {
    let [equal, regex, list] = keys;
    let mut matchers = Vec::new();
    for (key, op) in [(equal, MatchOp::Equal), (regex, MatchOp::Match)] {
        for entry in node.get(key).map_or(Ok(&[][..]), Node::entries)? {
            let matcher = Matcher::new(&entry.key, op, entry.value.text()?);
            matchers.push(matcher.map_err(|e| entry.value.error(e.to_string()))?);
        }
    }
    for item in node.get(list).map_or(Ok(&[][..]), Node::items)? {
        let parsed = Matchers::parse(item.text()?).map_err(|e| item.error(e.to_string()))?;
        matchers.extend(parsed.0);
    }
    matchers.sort();
    Ok(Matchers(matchers))
}

/// Refuses what Alertmanager knows and vigie does not, unless nothing stands there.
pub(super) fn not_yet(entry: &Entry) -> Result<(), ConfigError> {
    if is_empty(&entry.value) {
        return Ok(());
    }
    let what = format!("key {:?} is not supported yet", entry.key);
    Err(ConfigError::new(entry.place.clone(), what))
}

fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.items().is_ok_and(<[Node]>::is_empty)
        || node.entries().is_ok_and(<[Entry]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    fn read(text: &str) -> Result<Tree, String> {
        let node = parse_yaml("a.yml", text).map_err(|e| e.to_string())?;
        Tree::read(&node, &["r".into(), "team".into(), "pager".into()]).map_err(|e| e.to_string())
    }

    fn keys(tree: &Tree, labels: &[(&str, &str)]) -> Vec<String> {
        let routes = tree.routes_for(&LabelSet::new(labels.iter().copied()));
        routes.iter().map(|route| route.key.clone()).collect()
    }

    const TEXT: &str = r#"
receiver: r
group_by: [job]
group_wait: 10s
routes:
- match: {kind: many}
  continue: true
  routes:
  - matchers: ['deep=~"y|z"', also!=n]
    receiver: team
    group_by: ['...']
- match_re: {kind: "m.*"}
  receiver: pager
  repeat_interval: 1h
  group_by: []
"#;

    #[test]
    fn keys_are_alertmanagers() {
        let tree = read(TEXT).unwrap();
        assert_eq!(keys(&tree, &[("a", "b")]), ["{}"]);
        assert_eq!(
            keys(&tree, &[("kind", "many"), ("deep", "y")]),
            [r#"{}/{kind="many"}/{also!="n",deep=~"y|z"}"#, r#"{}/{kind=~"m.*"}"#]
        );
        assert_eq!(keys(&tree, &[("kind", "many")])[0], r#"{}/{kind="many"}"#);
        assert_eq!(
            tree.receivers_for(&LabelSet::new([("kind", "many")])),
            ["r".into(), Arc::<str>::from("pager")]
        );
        assert_eq!(tree.receivers().len(), 3);
    }

    #[test]
    fn what_is_unset_is_inherited() {
        let tree = read(TEXT).unwrap();
        let routes = tree.routes_for(&LabelSet::new([("kind", "many"), ("deep", "z")]));
        assert_eq!((&*routes[0].receiver, &routes[0].group_by), ("team", &GroupBy::All));
        assert_eq!(routes[0].group_wait, Duration::from_secs(10));
        assert_eq!(routes[1].group_by, GroupBy::Labels(vec![]), "an empty list overrides");
        assert_eq!(routes[1].repeat_interval, Duration::from_secs(3600));
        assert!(!routes[0].goes_on, "continue is not inherited");
        let labels = routes[0].group_by.group_labels(&LabelSet::new([("x", "1")]));
        assert_eq!(labels.len(), 1);
    }

    #[test]
    fn wrong_trees_name_their_line() {
        for (text, expected) in [
            ("receiver: teem", "a.yml:1:11: this receiver is not defined; did you mean \"team\"?"),
            ("group_wait: 1s", "a.yml:1:1: the root route must name a receiver"),
            ("receiver: r\nmatch: {a: b}", "a.yml:2:8: the root route must not have matchers"),
            ("receiver: r\ncontinue: true", "a.yml:1:1: the root route cannot have `continue`"),
            ("receiver: r\ngroup_interval: 0s", "a.yml:2:17: group_interval must not be zero"),
            ("receiver: r\ngroup_by: [a, a]", "a.yml:2:15: this label stands already"),
            ("receiver: r\ngroup_by: [a, '...']", "a.yml:2:11: '...' means all labels"),
            ("receiver: r\ngroup_by: [a-b]", "a.yml:2:12: this is no label name"),
            ("receiver: r\nroutes:\n- matchers: ['a=~(']", "a.yml:3:14: bad regular expression"),
            ("receiver: r\nroutes:\n- match_re: {a: '('}", "a.yml:3:17: bad regular expression"),
            ("receiver: r\nroutes:\n- matcher: [a=b]", "a.yml:3:3: unknown key \"matcher\"; did"),
            (
                "receiver: r\nroutes:\n- mute_time_intervals: [x]",
                "a.yml:3:3: key \"mute_time_intervals\" is not supported yet",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(read("receiver: r\nroutes: [{mute_time_intervals: []}]").is_ok());
    }
}
