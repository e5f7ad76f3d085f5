//! The first page: how bad is it, and what is it.
//!
//! Counts of everything, then the groups that the URL asks for, then the silences that stand. It
//! must not change anything.

use std::collections::BTreeMap;

use vigie_core::alert::{MatchOp, Matcher};
use vigie_core::http::StatusCode;
use vigie_core::route::{SilenceState, View};

use super::card::{badge, card};
use super::html::{Html, cut};
use super::look::Look;
use super::page::Page;
use super::selection::{Selection, is_active};
use super::severity::Severity;
use super::silences;

/// Groups in one document.
const GROUPS: usize = 60;
/// Severities with a count of their own; the rest is summed up.
const COUNTS: usize = 6;
/// Silences listed below the groups.
const SILENCES: usize = 20;

/// How many alerts there are, whatever is selected.
pub(super) struct Counts<'a> {
    active: usize,
    by_severity: BTreeMap<(Severity, &'a str), usize>,
    silenced: usize,
    inhibited: usize,
}

impl<'a> Counts<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let mut counts =
            Counts { active: 0, by_severity: BTreeMap::new(), silenced: 0, inhibited: 0 };
        for alert in &view.alerts {
            counts.silenced += usize::from(!alert.silenced_by.is_empty());
            counts.inhibited += usize::from(!alert.inhibited_by.is_empty());
            if is_active(alert) {
                counts.active += 1;
                let labels = &alert.alert.labels;
                let key = (Severity::of(labels), labels.get("severity"));
                *counts.by_severity.entry(key).or_default() += 1;
            }
        }
        counts
    }

    /// For the icon.
    pub(super) fn badge(&self) -> Option<(usize, Severity)> {
        let worst = self.by_severity.keys().next()?.0;
        Some((self.active, worst))
    }

    /// For the title.
    pub(super) fn title(&self) -> String {
        match self.active {
            0 => "No active alert".into(),
            1 => "(1) active alert".into(),
            number => format!("({number}) active alerts"),
        }
    }

    /// One chip per severity, each a link to its alerts, then what is held back.
    pub(super) fn summary(&self, selection: &Selection) -> Html {
        let mut html = Html::default();
        html.raw("<ul class=\"counts\">");
        if self.active == 0 {
            html.raw(
                "<li><span class=\"badge quiet\"><span aria-hidden=\"true\">\u{2713}</span> \
                      nothing active</span></li>",
            );
        }
        let everything = Selection {
            silenced: selection.silenced,
            inhibited: selection.inhibited,
            ..Selection::default()
        };
        for ((severity, word), count) in self.by_severity.iter().take(COUNTS) {
            html.raw("<li>");
            if let Ok(matcher) = Matcher::new("severity", MatchOp::Equal, word) {
                html.raw("<a href=\"").text(everything.with(&matcher).url()).raw("\">");
            } else {
                html.raw("<a>");
            }
            html.raw("<b>").text(count).raw("</b> ");
            badge(&mut html, *severity, Some(word));
            html.raw("</a></li>");
        }
        let others: usize = self.by_severity.values().skip(COUNTS).sum();
        if others > 0 {
            html.raw("<li><b>").text(others).raw("</b> of other severities</li>");
        }
        toggle(&mut html, self.silenced, "silenced", selection.silenced, |shown| {
            Selection { silenced: shown, from: 0, ..selection.clone() }.url()
        });
        toggle(&mut html, self.inhibited, "inhibited", selection.inhibited, |shown| {
            Selection { inhibited: shown, from: 0, ..selection.clone() }.url()
        });
        html.raw("</ul>");
        html
    }
}

fn toggle(
    html: &mut Html,
    count: usize,
    word: &'static str,
    shown: bool,
    url: impl Fn(bool) -> String,
) {
    if count == 0 && shown {
        return;
    }
    html.raw("<li><a class=\"toggle\" href=\"").text(url(!shown)).raw("\"><b>").text(count);
    html.raw("</b> ").raw(word).raw(if shown {
        " <small>hide</small>"
    } else {
        " <small>show</small>"
    });
    html.raw("</a></li>");
}

/// The page.
pub(super) fn page(view: &Look<'_>, selection: &Selection) -> Page {
    let counts = Counts::of(view);
    let (mut toolbar, mut main) = (Html::default(), Html::default());
    filter_box(&mut toolbar, selection);
    groups(&mut main, view, selection);
    standing_silences(&mut main, view);
    Page {
        status: StatusCode::OK,
        title: counts.title(),
        badge: counts.badge(),
        place: "/",
        live: true,
        summary: counts.summary(selection),
        toolbar,
        main,
    }
}

fn filter_box(html: &mut Html, selection: &Selection) {
    html.raw("<form class=\"filter\" role=\"search\" action=\"/\" method=\"get\">");
    html.raw(
        "<label for=\"filter\">Filter</label><input id=\"filter\" name=\"filter\" \
              type=\"search\" autocomplete=\"off\" spellcheck=\"false\" autocapitalize=\"off\" \
              placeholder='severity=critical instance=~\"web.*\"' value=\"",
    );
    html.text(&selection.filter).raw("\"");
    if selection.matchers.is_err() {
        html.raw(" aria-invalid=\"true\" aria-describedby=\"filter-error\"");
    }
    html.raw(">");
    for (name, shown) in [("silenced", selection.silenced), ("inhibited", selection.inhibited)] {
        if !shown {
            html.raw("<input type=\"hidden\" name=\"").raw(name).raw("\" value=\"false\">");
        }
    }
    if let Some(receiver) = &selection.receiver {
        html.raw("<input type=\"hidden\" name=\"receiver\" value=\"").text(receiver).raw("\">");
    }
    html.raw("<button>Apply</button>");
    if selection.is_narrowed() {
        html.raw("<a href=\"/\">Clear</a>");
    }
    html.raw("</form>\n");
    if let Err(error) = &selection.matchers {
        html.raw("<p id=\"filter-error\" class=\"error\" role=\"alert\">")
            .text(error)
            .raw("</p>\n");
    }
}

fn groups(html: &mut Html, view: &Look<'_>, selection: &Selection) {
    let groups = selection.groups(view);
    let alerts: usize = groups.iter().map(|shown| shown.alerts.len()).sum();
    html.raw("<section id=\"groups\" aria-labelledby=\"groups-title\">\n");
    html.raw("<h2 id=\"groups-title\">").text(alerts);
    html.raw(if alerts == 1 { " alert in " } else { " alerts in " }).text(groups.len());
    html.raw(if groups.len() == 1 { " group" } else { " groups" });
    if let Some(receiver) = &selection.receiver {
        html.raw(" to ").text(cut(receiver, 80));
    }
    if !selection.filter.is_empty() {
        html.raw(" <small>of this filter</small>");
    }
    html.raw("</h2>\n");
    if groups.is_empty() && selection.matchers.is_ok() {
        html.raw("<p class=\"empty\">");
        let narrowed = selection.is_narrowed();
        html.raw(if narrowed { "No alert matches." } else { "Nothing fires. All is well." });
        html.raw("</p>\n");
    }
    // The one group of a group's page is never skipped: there `from` counts its alerts.
    let from = if selection.group.is_some() { 0 } else { selection.from };
    html.raw("<div class=\"grid\">\n");
    for shown in groups.iter().skip(from).take(GROUPS) {
        card(html, shown, selection, view);
    }
    html.raw("</div>\n");
    if groups.len() > from.saturating_add(GROUPS) {
        let next = Selection { from: from + GROUPS, ..selection.clone() };
        html.raw("<p class=\"more\"><a href=\"").text(next.url()).raw("\">");
        html.text(groups.len() - from - GROUPS).raw(" more groups</a></p>\n");
    }
    html.raw("</section>\n");
}

fn standing_silences(html: &mut Html, view: &Look<'_>) {
    let standing: Vec<_> = silences::in_order(view)
        .into_iter()
        .filter(|silence| silence.state(view.now) != SilenceState::Expired)
        .collect();
    if standing.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"silences-title\">\n<h2 id=\"silences-title\">");
    html.text(standing.len());
    html.raw(if standing.len() == 1 { " silence" } else { " silences" }).raw("</h2>\n");
    silences::list(html, standing.iter().take(SILENCES).copied(), view);
    if standing.len() > SILENCES {
        html.raw("<p class=\"more\"><a href=\"/silences\">");
        html.text(standing.len() - SILENCES).raw(" more</a></p>\n");
    }
    html.raw("</section>\n");
}

/// A page that says what went wrong.
pub(super) fn trouble(status: StatusCode, title: &str, message: &str) -> Page {
    let mut main = Html::default();
    main.raw("<h2>").text(title).raw("</h2>\n<p class=\"error\" role=\"alert\">");
    main.text(cut(message, 1_000)).raw("</p>\n<p><a href=\"/\">Back to the alerts</a></p>\n");
    Page { status, title: title.to_owned(), main, ..Page::default() }
}

#[cfg(test)]
mod tests {
    use vigie_core::http::Query;

    use super::*;
    use crate::sample;

    fn drawn(view: &View, query: &str) -> Page {
        page(&Look::new(view, view.now), &Selection::from_query(&Query::parse(query)))
    }

    #[test]
    fn counts_stand_at_the_top() {
        let view = sample::view();
        let page = drawn(&view, "");
        assert_eq!(page.title, "(1) active alert");
        assert_eq!(page.badge, Some((1, Severity::Critical)));
        let summary = page.summary.as_str();
        assert!(
            summary.contains("href=\"/?filter=severity%3D%22critical%22\"><b>1</b>"),
            "{summary}"
        );
        assert!(summary.contains("/?inhibited=false\"><b>1</b> inhibited <small>hide"));
        assert!(!summary.contains("silenced"));
        let main = page.main.as_str();
        assert!(main.contains("2 alerts in 2 groups") && main.contains("2 silences"));
        assert!(main.find("<article").unwrap() < main.find("inhibited").unwrap());
    }

    #[test]
    fn nothing_is_said_too() {
        let empty = sample::view_of(vec![], vec![]);
        let page = drawn(&empty, "");
        assert!(page.title == "No active alert" && page.badge.is_none());
        assert!(page.main.as_str().contains("Nothing fires"));
        assert!(page.summary.as_str().contains("nothing active"));
        let wrong = drawn(&empty, "filter=%3Cb=");
        assert!(wrong.toolbar.as_str().contains("role=\"alert\">bad label name in matcher: &lt;b"));
    }

    #[test]
    fn sixty_groups_and_a_link() {
        let groups = (0..130).map(|i| {
            let labels = [("alertname", "A"), ("i", &*i.to_string())];
            sample::group("team", &labels, vec![sample::alert(&labels)])
        });
        let view = sample::view_of(groups.collect(), vec![]);
        let cards = |query| drawn(&view, query).main.as_str().matches("<article").count();
        assert_eq!(
            (cards(""), cards("from=120"), cards("from=99999999999999999999")),
            (60, 10, 60)
        );
        assert!(drawn(&view, "").main.as_str().contains("href=\"/?from=60\">70 more groups"));
        assert_eq!(cards("from=18446744073709551615"), 0);
    }
}
