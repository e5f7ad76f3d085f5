//! Which alerts a query asks for.
//!
//! The parameters of `/alerts` and `/alerts/groups`, the same in both and shared with the view. It
//! must not know how alerts are shown.

use vigie_core::alert::{LabelSet, MatchOp, Matcher};
use vigie_core::http::Query;
use vigie_core::route::{AlertState, AlertView, GroupView};

use super::error::ApiError;

/// Matchers of one query: each may be an expression that is costly to compile.
pub(crate) const MATCHERS: usize = 64;

/// What a query lets through.
#[derive(Clone, Debug)]
pub(super) struct AlertFilter {
    active: bool,
    silenced: bool,
    inhibited: bool,
    unprocessed: bool,
    muted: bool,
    matchers: Vec<Matcher>,
    receiver: Option<Matcher>,
}

impl AlertFilter {
    /// Reads `active`, `silenced`, `inhibited`, `unprocessed`, `muted`, `receiver` and `filter`.
    pub(super) fn from_query(query: &Query) -> Result<Self, ApiError> {
        let receiver = query.get("receiver").map(|regex| {
            Matcher::new("receiver", MatchOp::Match, regex).map_err(|error| {
                ApiError::bad_request(format!("failed to parse receiver param: {error}"))
            })
        });
        Ok(AlertFilter {
            active: flag(query, "active"),
            silenced: flag(query, "silenced"),
            inhibited: flag(query, "inhibited"),
            unprocessed: flag(query, "unprocessed"),
            muted: flag(query, "muted"),
            matchers: matchers(query)?,
            receiver: receiver.transpose()?,
        })
    }

    /// Whether an alert passes, whoever receives it.
    pub(super) fn alert(&self, alert: &AlertView) -> bool {
        (self.active || alert.state != AlertState::Active)
            && (self.unprocessed || alert.state != AlertState::Unprocessed)
            && (self.silenced || alert.silenced_by.is_empty())
            && (self.inhibited || alert.inhibited_by.is_empty())
            && self.labels(&alert.alert.labels)
    }

    fn labels(&self, labels: &LabelSet) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
    }

    /// Whether a receiver of this name is asked for.
    pub(super) fn receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|matcher| matcher.matches(name))
    }

    /// Whether a group passes, whatever alerts of it do; muted are those a time interval holds back.
    pub(super) fn group(&self, group: &GroupView) -> bool {
        let is_muted = || group.alerts.iter().all(|alert| !alert.muted_by.is_empty());
        self.receiver(&group.receiver) && (self.muted || !is_muted())
    }
}

/// The `filter` parameters, one matcher each.
pub(super) fn matchers(query: &Query) -> Result<Vec<Matcher>, ApiError> {
    if query.all("filter").count() > MATCHERS {
        return Err(ApiError::bad_request(format!("more than {MATCHERS} filters")));
    }
    let parse = |text| Matcher::parse(text).map_err(|e| ApiError::bad_request(e.to_string()));
    query.all("filter").map(parse).collect()
}

/// A boolean as go-openapi reads it: absent is true, what is no yes is a no.
pub(crate) fn flag(query: &Query, name: &str) -> bool {
    const YES: [&str; 10] =
        ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
    query.get(name).is_none_or(|value| YES.iter().any(|yes| value.eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn passes(query: &str, alert: &AlertView) -> bool {
        AlertFilter::from_query(&Query::parse(query)).unwrap().alert(alert)
    }

    #[test]
    fn booleans_are_read_as_go_openapi_does() {
        let query = Query::parse("a=true&b=1&c=YES&d=zz&e=&f=false");
        for (name, value) in
            [("a", true), ("b", true), ("c", true), ("d", false), ("e", false), ("f", false)]
        {
            assert_eq!(flag(&query, name), value, "{name}");
        }
        assert!(flag(&query, "absent"));
    }

    #[test]
    fn states_and_labels_are_filtered() {
        let active = sample::alert(&[("alertname", "A"), ("job", "x")]);
        let mut silenced = active.clone();
        silenced.state = AlertState::Suppressed;
        silenced.silenced_by.push("s".into());
        assert!(passes("", &active) && passes("", &silenced));
        assert!(!passes("active=false", &active) && passes("active=false", &silenced));
        assert!(passes("silenced=0", &active) && !passes("silenced=0", &silenced));
        assert!(passes("inhibited=false&unprocessed=false", &silenced));
        assert!(passes("filter=job%3D~x|y&filter=none=", &active));
        assert!(!passes("filter=job=x&filter=alertname!=%22A%22", &active));
    }

    #[test]
    fn receivers_match_whole_names() {
        let filter = AlertFilter::from_query(&Query::parse("receiver=te.*")).unwrap();
        assert!(filter.receiver("team") && !filter.receiver("a-team"));
        let many = "filter=a=b&".repeat(MATCHERS + 1);
        for bad in ["receiver=(", "filter=a", "filter=", "filter=a=~(", &many] {
            let refused = AlertFilter::from_query(&Query::parse(bad));
            assert!(matches!(refused, Err(ApiError::Handler(..))), "{bad}");
        }
    }
}
