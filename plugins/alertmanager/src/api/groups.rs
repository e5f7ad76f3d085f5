//! `/alerts/groups`: alerts as they are routed.
//!
//! One entry per aggregation group with alerts that pass the filter. It must not know how groups
//! come to be.

use std::cmp::Ordering;

use vigie_core::alert::LabelSet;
use vigie_core::http::Query;
use vigie_core::route::View;

use super::error::ApiError;
use super::filter::AlertFilter;
use super::model::{AlertGroup, GettableAlert, Receiver};

/// `GET /alerts/groups`: by labels, then receiver; groups without an alert are left out.
pub(super) fn list<'a>(view: &'a View, query: &Query) -> Result<Vec<AlertGroup<'a>>, ApiError> {
    let filter = AlertFilter::from_query(query)?;
    let groups = view.groups.iter().filter(|group| filter.group(group)).map(|group| {
        let alerts = group.alerts.iter().filter(|alert| filter.alert(alert));
        AlertGroup {
            alerts: alerts.map(|alert| GettableAlert::from(&**alert)).collect(),
            labels: &group.labels,
            receiver: Receiver { name: &group.receiver },
        }
    });
    let mut groups: Vec<_> = groups.filter(|group| !group.alerts.is_empty()).collect();
    groups.sort_by(|a, b| {
        before(a.labels, b.labels).then_with(|| a.receiver.name.cmp(b.receiver.name))
    });
    Ok(groups)
}

/// The order of Prometheus' `LabelSet.Before`: fewer labels first, then the first difference in the
/// order of names, where a set that lacks the name comes first.
fn before(a: &LabelSet, b: &LabelSet) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        a.iter()
            .zip(b.iter())
            .map(|((a_name, a_value), (b_name, b_value))| {
                // The set with the greater name lacks the smaller one.
                b_name.cmp(a_name).then_with(|| a_value.cmp(b_value))
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn groups_without_alerts_are_left_out() {
        let view = sample::view();
        let shown = |query| {
            let groups = list(&view, &Query::parse(query)).unwrap();
            groups.iter().map(|g| (g.receiver.name, g.alerts.len())).collect::<Vec<_>>()
        };
        assert_eq!(shown(""), [("team", 1), ("page", 1)]);
        assert_eq!(shown("inhibited=false"), [("page", 1)]);
        assert_eq!(shown("receiver=te"), []);
        assert!(list(&view, &Query::parse("filter=a")).is_err());
    }

    #[test]
    fn label_sets_are_ordered_as_prometheus_does() {
        let order = |a: &[(&str, &str)], b: &[(&str, &str)]| {
            before(&LabelSet::new(a.iter().copied()), &LabelSet::new(b.iter().copied()))
        };
        assert_eq!(order(&[("z", "z")], &[("a", "a"), ("b", "b")]), Ordering::Less);
        assert_eq!(order(&[("a", "1")], &[("a", "2")]), Ordering::Less);
        assert_eq!(order(&[("b", "1")], &[("a", "2")]), Ordering::Less, "lacks a");
        assert_eq!(order(&[("a", "1")], &[("a", "1")]), Ordering::Equal);
    }
}
