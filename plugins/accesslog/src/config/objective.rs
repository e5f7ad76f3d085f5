//! The section `slo`: what was promised.
//!
//! Either a list of objectives or a map of `objectives`, their `defaults` and the `interval` of
//! posting. It must not know which logs there are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use vigie_core::alert::{MatchOp, Matcher};
use vigie_core::config::{ConfigError, Node, PromDuration, Value};

use super::source::at;
use crate::slo::{AlertKinds, ClientAborts, Codes, Goal, Objective, Select};

const INTERVAL: Duration = Duration::from_secs(15);

/// Reads the objectives of a section `slo`, in either of its forms.
///
/// # Errors
/// With the place of what is wrong.
pub fn read(section: &Node) -> Result<Vec<Objective>, ConfigError> {
    read_section(section).map(|(objectives, _)| objectives)
}

pub(super) fn read_section(section: &Node) -> Result<(Vec<Objective>, Duration), ConfigError> {
    let (items, defaults, interval) = match &section.value {
        Value::Map(_) => {
            section.only_keys(["objectives", "defaults", "interval"])?;
            let interval: Option<PromDuration> = read_key(section, "interval")?;
            let defaults: Option<Tuning> = read_key(section, "defaults")?;
            let items = section.get("objectives").map_or(Ok(&[][..]), Node::items)?;
            (items, defaults.unwrap_or_default(), interval)
        }
        _ => (section.items()?, Tuning::default(), None),
    };
    let interval = interval.map_or(INTERVAL, |interval| interval.0);
    if interval < Duration::from_secs(1) {
        return Err(at(section, "interval").error("alerts are posted once a second at most"));
    }
    let mut objectives: Vec<Objective> = Vec::new();
    for item in items {
        let objective = objective(item, &defaults)?;
        if objectives.iter().any(|known| known.name == objective.name) {
            return Err(at(item, "name").error("there is an objective of this name already"));
        }
        objectives.push(objective);
    }
    Ok((objectives, interval))
}

fn read_key<T: de::DeserializeOwned>(node: &Node, key: &str) -> Result<Option<T>, ConfigError> {
    node.get(key).map(Node::read).transpose()
}

/// What `defaults` may hold; each objective may say otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    period: Option<PromDuration>,
    window: Option<PromDuration>,
    min_events: Option<u64>,
    client_aborts: Option<ClientAborts>,
    proxy_answers: Option<Inclusion>,
    upgrade: Option<Inclusion>,
    alerts: Option<Vec<Kind>>,
    severity: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectiveKeys {
    name: String,
    #[serde(default)]
    select: BTreeMap<String, String>,
    latency: Option<LatencyKeys>,
    errors: Option<ErrorKeys>,
    no_data: Option<PromDuration>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    period: Option<PromDuration>,
    window: Option<PromDuration>,
    min_events: Option<u64>,
    client_aborts: Option<ClientAborts>,
    proxy_answers: Option<Inclusion>,
    upgrade: Option<Inclusion>,
    alerts: Option<Vec<Kind>>,
    severity: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencyKeys {
    below: Option<PromDuration>,
    target: Option<Target>,
    mean: Option<PromDuration>,
    p50: Option<PromDuration>,
    p75: Option<PromDuration>,
    p90: Option<PromDuration>,
    p95: Option<PromDuration>,
    p99: Option<PromDuration>,
    #[serde(rename = "p99.9")]
    p999: Option<PromDuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorKeys {
    codes: Vec<String>,
    target: Target,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Inclusion {
    Include,
    Exclude,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Burn,
    Window,
    Period,
}

/// `95%` or `0.95`.
#[derive(Clone, Copy)]
struct Target(f64);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().map(|percent: f64| percent / 100.0),
            None => text.parse(),
        };
        match share {
            Ok(share) if share > 0.0 && share < 1.0 => Ok(Target(share)),
            _ => Err(de::Error::custom(
                "a target lies between 0% and 100%, both excluded: write for example 99.5%",
            )),
        }
    }
}

fn objective(item: &Node, defaults: &Tuning) -> Result<Objective, ConfigError> {
    let keys: ObjectiveKeys = item.read()?;
    let goal = goal(item, &keys)?;
    let select = select(at(item, "select"), &keys.select)?;
    let include = |own: Option<Inclusion>, default: Option<Inclusion>, otherwise| {
        own.or(default).unwrap_or(otherwise) == Inclusion::Include
    };
    let day = Duration::from_secs(86_400);
    let period = keys.period.or(defaults.period).map_or(day * 30, |period| period.0);
    if period < Duration::from_secs(60) {
        return Err(at(item, "period").error("a period lasts a minute at least"));
    }
    let window = keys.window.or(defaults.window).map_or(day / 288, |window| window.0);
    let is_share = goal.target().is_some();
    if window.is_zero() && !is_share || window > period {
        return Err(at(item, "window").error("a window is longer than 0s and fits into the period"));
    }
    let alerts = keys.alerts.as_ref().or(defaults.alerts.as_ref());
    if let Some(name) = keys.labels.keys().find(|name| !vigie_core::metric::is_label_name(name)) {
        return Err(at(item, "labels").error(format!("{name:?} is no label name")));
    }
    Ok(Objective {
        select,
        window,
        period,
        min_events: keys.min_events.or(defaults.min_events).unwrap_or(100).max(1),
        client_aborts: keys.client_aborts.or(defaults.client_aborts).unwrap_or_default(),
        proxy_answers: include(keys.proxy_answers, defaults.proxy_answers, Inclusion::Include),
        upgrade: include(keys.upgrade, defaults.upgrade, Inclusion::Exclude),
        no_data: keys.no_data.map(|no_data| no_data.0),
        alerts: match alerts {
            Some(kinds) => kinds_of(kinds),
            // Who names a window wants to be told of that window.
            None if keys.window.is_some() => kinds_of(&[Kind::Window]),
            None => kinds_of(&[Kind::Burn, Kind::Window, Kind::Period]),
        },
        severity: keys.severity.or_else(|| defaults.severity.clone()).unwrap_or("page".into()),
        labels: keys.labels.into_iter().collect(),
        name: keys.name,
        goal,
    })
}

fn kinds_of(kinds: &[Kind]) -> AlertKinds {
    AlertKinds {
        burn: kinds.contains(&Kind::Burn),
        window: kinds.contains(&Kind::Window),
        period: kinds.contains(&Kind::Period),
    }
}

fn goal(item: &Node, keys: &ObjectiveKeys) -> Result<Goal, ConfigError> {
    match (&keys.latency, &keys.errors) {
        (Some(latency), None) => latency_goal(at(item, "latency"), latency),
        (None, Some(errors)) => {
            let codes = Codes::parse(errors.codes.iter().map(String::as_str));
            let place = at(at(item, "errors"), "codes");
            let codes = codes.filter(|_| !errors.codes.is_empty()).ok_or_else(|| {
                place.error("not a status code: write for example [5xx, 429, 500-504]")
            })?;
            Ok(Goal::Errors { codes, target: errors.target.0 })
        }
        (None, None) => Err(item.error("an objective needs \"latency\" or \"errors\"")),
        (Some(_), Some(_)) => {
            Err(at(item, "errors").error("an objective is about latency or errors, not both"))
        }
    }
}

fn latency_goal(place: &Node, keys: &LatencyKeys) -> Result<Goal, ConfigError> {
    let quantiles = [
        (0.5, keys.p50),
        (0.75, keys.p75),
        (0.9, keys.p90),
        (0.95, keys.p95),
        (0.99, keys.p99),
        (0.999, keys.p999),
    ];
    let quantile = |(quantile, limit): (f64, Option<PromDuration>)| {
        limit.map(|limit| Goal::Quantile { quantile, limit: limit.0 })
    };
    let mut goals: Vec<Goal> = quantiles.into_iter().filter_map(quantile).collect();
    goals.extend(keys.mean.map(|limit| Goal::Mean(limit.0)));
    match (keys.below, keys.target) {
        (Some(below), Some(target)) => {
            goals.push(Goal::Below { threshold: below.0, target: target.0 });
        }
        (Some(_), None) => return Err(place.error("\"below\" needs a \"target\", such as 95%")),
        (None, Some(_)) => return Err(place.error("\"target\" needs \"below\", such as 200ms")),
        (None, None) => {}
    }
    match (goals.pop(), goals.is_empty()) {
        (Some(goal), true) => Ok(goal),
        _ => {
            Err(place
                .error("give one of \"below\" with \"target\", \"mean\", or \"p50\" to \"p99.9\""))
        }
    }
}

/// Values are compared whole; `=~`, `!~` and `!=` before a value do what they do in matchers.
fn select(place: &Node, keys: &BTreeMap<String, String>) -> Result<Select, ConfigError> {
    if !keys.is_empty() {
        place.only_keys(Select::NAMES.into_iter().chain(["code"]))?;
    }
    let mut select = Select::default();
    for (name, value) in keys {
        let value_place = at(place, name);
        if name == "code" {
            let codes = Codes::parse(value.split(','))
                .ok_or_else(|| value_place.error("not a status code: write for example 2xx,404"))?;
            select.codes = Some(codes);
            continue;
        }
        let operators = [MatchOp::Match, MatchOp::NotMatch, MatchOp::NotEqual, MatchOp::Equal];
        let (op, value) = operators
            .into_iter()
            .find_map(|op| value.strip_prefix(op.as_str()).map(|value| (op, value)))
            .unwrap_or((MatchOp::Equal, value));
        let matcher = Matcher::new(name, op, value);
        select.matchers.push(matcher.map_err(|error| value_place.error(error.to_string()))?);
    }
    Ok(select)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_core::config::parse_yaml;

    fn objectives(text: &str) -> Vec<Objective> {
        read(&parse_yaml("vigie.yml", text).unwrap()).unwrap()
    }

    const LIST: &str = r#"
- name: galerie-latence
  select: { service: "gallery@docker" }
  latency: { below: 200ms, target: 95% }
- name: galerie-erreurs
  select: { service: "gallery@docker", path: "=~/api/.*", code: "2xx,5xx" }
  errors: { codes: [5xx], target: 0.99 }
- name: galerie-moyenne
  latency: { mean: 200ms }
  window: 1m
"#;

    #[test]
    fn a_plain_list_has_the_usual_defaults() {
        let objectives = objectives(LIST);
        let below = &objectives[0];
        assert_eq!(below.goal, Goal::Below { threshold: Duration::from_millis(200), target: 0.95 });
        assert_eq!((below.window.as_secs(), below.period.as_secs()), (300, 2_592_000));
        assert_eq!((below.min_events, below.client_aborts), (100, ClientAborts::Exclude));
        assert!(below.proxy_answers && !below.upgrade && below.alerts.burn);
        assert_eq!(below.select.service(), Some("gallery@docker"));
        assert_eq!(objectives[1].goal.target(), Some(0.99));
        assert_eq!(objectives[1].select.matchers.len(), 2);
        let mean = &objectives[2];
        assert_eq!(mean.goal, Goal::Mean(Duration::from_secs_f64(0.2)));
        assert!(mean.alerts.window && !mean.alerts.burn && !mean.alerts.period);
    }

    #[test]
    fn defaults_hold_until_an_objective_says_otherwise() {
        let text = "interval: 2s\ndefaults: {period: 7d, min_events: 5, client_aborts: bad, proxy_answers: exclude}\nobjectives:\n  - {name: a, latency: {p99.9: 1s}, min_events: 9, alerts: [burn]}\n";
        let node = parse_yaml("vigie.yml", text).unwrap();
        let (objectives, interval) = read_section(&node).unwrap();
        let objective = &objectives[0];
        assert_eq!(interval, Duration::from_secs(2));
        assert_eq!((objective.min_events, objective.period.as_secs()), (9, 604_800));
        assert_eq!(objective.client_aborts, ClientAborts::Bad);
        assert!(!objective.proxy_answers && objective.alerts.burn && !objective.alerts.window);
        let limit = Duration::from_secs(1);
        assert_eq!(objective.goal, Goal::Quantile { quantile: 0.999, limit });
    }
}
