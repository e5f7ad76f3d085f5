//! What a visitor wants to see, as it stands in the URL.
//!
//! A view is a link: whoever opens it sees the same. It must not know how alerts are drawn.

use std::cmp::Reverse;
use std::sync::Arc;

use vigie_core::alert::{Matcher, Matchers};
use vigie_core::clock::Timestamp;
use vigie_core::http::Query;
use vigie_core::route::{AlertState, AlertView, GroupView, View};

use super::html::link;
use super::severity::Severity;
use super::terms;
use crate::api::flag;

/// The parameters of the page.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// The filter box as typed.
    pub(super) filter: String,
    /// What it means, or why it means nothing.
    pub(super) matchers: Result<Matchers, String>,
    /// Show silenced alerts.
    pub(super) silenced: bool,
    /// Show inhibited alerts.
    pub(super) inhibited: bool,
    /// Only groups of this receiver; notifications link to it.
    pub(super) receiver: Option<String>,
    /// Only the group of this key, with all its alerts.
    pub(super) group: Option<String>,
    /// Groups (or alerts of the one group) to skip.
    pub(super) from: usize,
}

/// A group with those of its alerts that are to be seen.
pub(super) struct Shown<'a> {
    pub(super) group: &'a GroupView,
    pub(super) alerts: Vec<&'a Arc<AlertView>>,
    /// Of the worst that is active, else of the worst.
    pub(super) severity: Severity,
}

/// Everything.
impl Default for Selection {
    fn default() -> Self {
        Selection::from_query(&Query::default())
    }
}

impl Selection {
    pub(super) fn from_query(query: &Query) -> Self {
        let filter = query.get("filter").unwrap_or("").trim().to_owned();
        Selection {
            matchers: terms::parse(&filter).map_err(|error| error.to_string()),
            filter,
            silenced: flag(query, "silenced"),
            inhibited: flag(query, "inhibited"),
            receiver: query.get("receiver").filter(|name| !name.is_empty()).map(str::to_owned),
            group: query.get("group").map(str::to_owned),
            from: query.get("from").and_then(|from| from.parse().ok()).unwrap_or(0),
        }
    }

    /// The URL of this view.
    pub(super) fn url(&self) -> String {
        let from = self.from.to_string();
        let mut parameters = Vec::new();
        if !self.filter.is_empty() {
            parameters.push(("filter", self.filter.as_str()));
        }
        if !self.silenced {
            parameters.push(("silenced", "false"));
        }
        if !self.inhibited {
            parameters.push(("inhibited", "false"));
        }
        if let Some(receiver) = &self.receiver {
            parameters.push(("receiver", receiver));
        }
        if let Some(group) = &self.group {
            parameters.push(("group", group));
        }
        if self.from > 0 {
            parameters.push(("from", &from));
        }
        link("/", &parameters)
    }

    /// Whether some alerts are left out for what they are.
    pub(super) const fn is_narrowed(&self) -> bool {
        !self.filter.is_empty() || self.receiver.is_some() || self.group.is_some()
    }

    /// This view with one more matcher.
    pub(super) fn with(&self, matcher: &Matcher) -> Self {
        let mut filter = self.matchers.clone().unwrap_or_default();
        if !filter.0.contains(matcher) {
            filter.0.push(matcher.clone());
        }
        let texts: Vec<String> = filter.0.iter().map(ToString::to_string).collect();
        Selection {
            filter: texts.join(" "),
            matchers: Ok(filter),
            group: None,
            from: 0,
            ..self.clone()
        }
    }

    fn alert(&self, alert: &AlertView) -> bool {
        (self.silenced || alert.silenced_by.is_empty())
            && (self.inhibited || alert.inhibited_by.is_empty())
            && self.matchers.as_ref().is_ok_and(|matchers| matchers.matches(&alert.alert.labels))
    }

    /// The groups to be seen: the worst first, then the newest.
    pub(super) fn groups<'a>(&self, view: &'a View) -> Vec<Shown<'a>> {
        let wanted = |group: &&GroupView| {
            self.group.as_ref().is_none_or(|key| *key == group.key)
                && self.receiver.as_ref().is_none_or(|name| **name == *group.receiver)
        };
        let shown = |group| {
            let alerts = alerts_of(group, |alert| self.alert(alert));
            let first = &alerts.first()?.alert.labels;
            Some(Shown { group, severity: Severity::of(first), alerts })
        };
        let mut groups: Vec<_> = view.groups.iter().filter(wanted).filter_map(shown).collect();
        groups.sort_by_cached_key(Shown::order);
        groups
    }
}

/// The wanted alerts of a group: active ones first, then the worst, then the newest.
fn alerts_of(group: &GroupView, wanted: impl Fn(&AlertView) -> bool) -> Vec<&Arc<AlertView>> {
    let mut alerts: Vec<_> = group.alerts.iter().filter(|alert| wanted(alert)).collect();
    alerts.sort_by_cached_key(|alert| alert_order(alert));
    alerts
}

impl<'a> Shown<'a> {
    /// Groups with something active first, then the worst, then the newest.
    fn order(&self) -> impl Ord + use<'a> {
        let active = self.alerts.first().is_some_and(|alert| is_active(alert));
        let newest = self.alerts.iter().map(|alert| alert.alert.starts_at).max();
        (!active, self.severity, Reverse(newest), self.group.key.as_str())
    }
}

fn alert_order(alert: &AlertView) -> (bool, Severity, Reverse<Timestamp>) {
    let severity = Severity::of(&alert.alert.labels);
    (!is_active(alert), severity, Reverse(alert.alert.starts_at))
}

/// Whether somebody is to be told.
pub(super) fn is_active(alert: &AlertView) -> bool {
    alert.state != AlertState::Suppressed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{alert, at, group, view, view_of};

    fn selection(query: &str) -> Selection {
        Selection::from_query(&Query::parse(query))
    }

    fn names(selection: &Selection, view: &View) -> Vec<String> {
        let groups = selection.groups(view);
        groups.iter().map(|g| g.alerts[0].alert.name().to_owned()).collect()
    }

    #[test]
    fn the_url_holds_the_state() {
        for url in [
            "/",
            "/?filter=a%3D%22b%22&silenced=false&inhibited=false&receiver=team&group=%7B%7D&from=60",
        ] {
            let again = selection(url.split_once('?').map_or("", |(_, query)| query));
            assert_eq!(again.url(), url);
        }
        let more = selection("filter=x&from=9").with(&Matcher::parse("c=d").unwrap());
        assert_eq!(more.filter, r#"alertname="x" c="d""#);
        assert_eq!(more.with(&Matcher::parse("c=d").unwrap()).filter, more.filter);
        assert_eq!(more.from, 0);
    }

    #[test]
    fn worst_first_then_newest() {
        let warn = |name, seconds| {
            let mut warn = alert(&[("alertname", name), ("severity", "warning")]);
            let mut changed = (*warn.alert).clone();
            changed.starts_at = at(seconds);
            warn.alert = changed.into();
            warn
        };
        let mut silenced = alert(&[("alertname", "Silenced"), ("severity", "critical")]);
        silenced.state = AlertState::Suppressed;
        silenced.silenced_by.push("x".into());
        let critical = alert(&[("alertname", "Critical"), ("severity", "critical")]);
        let groups = [silenced, warn("Old", 0), warn("New", 9), critical];
        let groups = groups.into_iter().map(|a| {
            let name = a.alert.name().to_owned();
            group("team", &[("alertname", &name)], vec![a])
        });
        let view = view_of(groups.collect(), vec![]);
        assert_eq!(names(&selection(""), &view), ["Critical", "New", "Old", "Silenced"]);
        assert_eq!(
            names(&selection("silenced=false&filter=severity=critical"), &view),
            ["Critical"]
        );
    }

    #[test]
    fn what_is_silenced_does_not_make_a_group_worse() {
        let mut silenced = alert(&[("alertname", "A"), ("severity", "critical")]);
        silenced.state = AlertState::Suppressed;
        let warning = alert(&[("alertname", "A"), ("severity", "warning")]);
        let view = view_of(vec![group("team", &[], vec![silenced, warning])], vec![]);
        let everything = Selection::default();
        let shown = everything.groups(&view);
        assert_eq!((shown[0].severity, shown[0].alerts.len()), (Severity::Warning, 2));
    }

    #[test]
    fn a_bad_filter_shows_nothing_and_says_why() {
        let bad = selection("filter=a=~(");
        assert!(bad.groups(&view()).is_empty() && bad.matchers.is_err());
        assert_eq!(names(&selection("group={}:{alertname=\"B\"}"), &view()), ["B"]);
        assert_eq!(names(&selection("receiver=page"), &view()), ["A"]);
    }
}
