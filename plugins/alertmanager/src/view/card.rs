//! One group as a card.
//!
//! Its receiver and what became of the last notification, then its alerts with state, age, texts
//! and labels; labels that all share stand once, at the end. It must not know where the card lies.

use vigie_core::alert::{Alert, LabelSet, Matchers};
use vigie_core::route::{AlertState, AlertView};

use super::age;
use super::assets;
use super::html::{Html, cut, is_web_link};
use super::labels::{chips, matchers_of, silence_link};
use super::look::Look;
use super::selection::{Selection, Shown, is_active};
use super::severity::Severity;

/// Alerts of a group on the overview.
pub(super) const FEW: usize = 5;
/// Alerts of a group on its own page.
const MANY: usize = 100;
/// Characters of an annotation that are shown.
const TEXT: usize = 1_000;

/// Draws a group.
pub(super) fn card(html: &mut Html, shown: &Shown<'_>, selection: &Selection, view: &Look<'_>) {
    Card { shown, selection, view, shared: shared(shown) }.draw(html);
}

/// What a card is drawn from.
struct Card<'a> {
    shown: &'a Shown<'a>,
    selection: &'a Selection,
    view: &'a Look<'a>,
    shared: LabelSet,
}

impl Card<'_> {
    fn draw(&self, html: &mut Html) {
        let Card { shown, selection, .. } = self;
        let group = shown.group;
        let name = format!("{}{}", group.key, group.receiver);
        let id = format!("{:016x}", assets::hash(name.as_bytes()));
        let quiet = !shown.alerts.iter().any(|alert| is_active(alert));
        html.raw("<article class=\"group ");
        html.raw(if quiet { "quiet" } else { shown.severity.class() });
        html.raw("\" aria-labelledby=\"g").text(&id).raw("\">\n<header><h3 id=\"g").text(&id);
        html.raw("\">");
        let word = shown.alerts.first().map(|alert| alert.alert.labels.get("severity"));
        badge(html, shown.severity, word);
        html.raw(" <bdi>").text(cut(self.title(), 120)).raw("</bdi></h3>");
        self.meta(html);
        let labels = group.labels.iter().filter(|(name, _)| *name != "alertname");
        chips(html, labels, selection);
        html.raw("</header>\n<ol class=\"alerts\">\n");
        let (from, most) = self.window();
        for alert in shown.alerts.iter().skip(from).take(most) {
            self.item(html, alert);
        }
        html.raw("</ol>\n<footer>");
        chips(html, self.shared.iter().filter(|(name, _)| !self.is_in_header(name)), selection);
        self.actions(html);
        html.raw("</footer>\n</article>\n");
    }

    /// Alerts to skip and to show.
    fn window(&self) -> (usize, usize) {
        if self.selection.group.is_some() { (self.selection.from, MANY) } else { (0, FEW) }
    }

    /// What a group is called: the alert's name where all have one.
    fn title(&self) -> &str {
        let mut names = self.shown.alerts.iter().map(|alert| alert.alert.name());
        let first = names.next().unwrap_or("");
        if first.is_empty() || names.any(|name| name != first) { "Several alerts" } else { first }
    }

    /// Who is told, and whether that succeeded.
    fn meta(&self, html: &mut Html) {
        let (group, alerts) = (self.shown.group, self.shown.alerts.len());
        html.raw("<p class=\"meta\">").text(alerts);
        html.raw(if alerts == 1 { " alert to <b>" } else { " alerts to <b>" });
        html.text(cut(&group.receiver, 80)).raw("</b>, ");
        if let Some(at) = group.notified_at {
            html.raw("notified ");
            age::since(html, at, self.view.now);
            html.raw(" ago");
        } else {
            html.raw("not yet notified");
        }
        if let Some(failure) = &group.failure {
            html.raw(", <strong class=\"failure\">last attempt failed: ").text(cut(failure, TEXT));
            html.raw("</strong>");
        }
        html.raw("</p>");
    }

    fn is_in_header(&self, name: &str) -> bool {
        matches!(name, "alertname" | "severity") || !self.shown.group.labels.get(name).is_empty()
    }

    fn item(&self, html: &mut Html, shown: &AlertView) {
        let alert = &shown.alert;
        let (class, icon, word) = state(shown);
        html.raw("<li class=\"alert ").raw(class).raw("\"><p class=\"line\"><span class=\"state ");
        html.raw(class).raw("\"><span aria-hidden=\"true\">").raw(icon).raw("</span> ").raw(word);
        html.raw("</span> for ");
        age::since(html, alert.starts_at, self.view.now);
        let severity = Severity::of(&alert.labels);
        if severity != self.shown.severity {
            badge(html, severity, Some(alert.labels.get("severity")));
        }
        html.raw("<span class=\"actions\">");
        if is_web_link(&alert.generator_url) {
            html.raw("<a rel=\"noopener noreferrer\" href=\"").text(&alert.generator_url);
            html.raw("\">Source</a> ");
        }
        html.raw("<a href=\"").text(silence_link(&matchers_of(&alert.labels)));
        html.raw("\">Silence</a></span></p>");
        annotations(html, alert);
        held_back(html, shown, self.view);
        let own = |name: &str| !self.is_in_header(name) && self.shared.get(name).is_empty();
        chips(html, alert.labels.iter().filter(|(name, _)| own(name)), self.selection);
        html.raw("</li>\n");
    }

    fn actions(&self, html: &mut Html) {
        let (group, alerts) = (self.shown.group, self.shown.alerts.len());
        let (from, most) = self.window();
        html.raw("<p class=\"actions\">");
        let end = from.saturating_add(most);
        if alerts > end {
            let from = if self.selection.group.is_some() { end } else { 0 };
            let next = Selection { group: Some(group.key.clone()), from, ..self.selection.clone() };
            html.raw("<a href=\"").text(next.url()).raw("\">").text(alerts - end);
            html.raw(" more</a> ");
        }
        if !group.labels.is_empty() {
            html.raw("<a href=\"").text(silence_link(&matchers_of(&group.labels)));
            html.raw("\">Silence the group</a>");
        }
        html.raw("</p>");
    }
}

/// The word of a severity with its shape and colour.
pub(super) fn badge(html: &mut Html, severity: Severity, word: Option<&str>) {
    let word = word.filter(|word| !word.is_empty()).unwrap_or("no severity");
    html.raw("<span class=\"badge ").raw(severity.class()).raw("\"><span aria-hidden=\"true\">");
    html.raw(severity.icon()).raw("</span> ").text(cut(word, 24)).raw("</span>");
}

/// Labels that all alerts of the card have; none when there is only one.
fn shared(shown: &Shown<'_>) -> LabelSet {
    let mut alerts = shown.alerts.iter().map(|alert| &alert.alert.labels);
    match (alerts.next(), shown.alerts.len()) {
        (Some(first), 2..) => first
            .iter()
            .filter(|(name, value)| alerts.clone().all(|labels| labels.get(name) == *value))
            .collect(),
        _ => LabelSet::default(),
    }
}

/// Class, shape and word of a state.
fn state(alert: &AlertView) -> (&'static str, &'static str, &'static str) {
    if !alert.silenced_by.is_empty() {
        ("silenced", "\u{25cc}", "silenced")
    } else if !alert.inhibited_by.is_empty() {
        ("inhibited", "\u{2298}", "inhibited")
    } else if alert.state == AlertState::Suppressed {
        ("muted", "\u{25d4}", "muted")
    } else {
        ("firing", "\u{25cf}", "firing")
    }
}

fn annotations(html: &mut Html, alert: &Alert) {
    const FIRST: [&str; 2] = ["summary", "description"];
    for name in FIRST {
        let value = alert.annotations.get(name);
        if !value.is_empty() {
            html.raw("<p class=\"").raw(name).raw("\" dir=\"auto\">").text(cut(value, TEXT));
            html.raw("</p>");
        }
    }
    let mut others = alert.annotations.iter().filter(|(name, _)| !FIRST.contains(name)).peekable();
    if others.peek().is_none() {
        return;
    }
    html.raw("<dl>");
    for (name, value) in others {
        html.raw("<dt>").text(name).raw("</dt><dd dir=\"auto\">");
        if is_web_link(value) {
            html.raw("<a rel=\"noopener noreferrer\" href=\"").text(value).raw("\">");
            html.text(cut(value, TEXT)).raw("</a>");
        } else {
            html.text(cut(value, TEXT));
        }
        html.raw("</dd>");
    }
    html.raw("</dl>");
}

/// Why an alert is not notified.
fn held_back(html: &mut Html, alert: &AlertView, view: &Look<'_>) {
    for id in alert.silenced_by.iter().take(FEW) {
        html.raw("<p class=\"why\">Silenced by <a href=\"/silence/").text(id).raw("\">");
        match view.silences.iter().find(|silence| silence.id == *id) {
            Some(silence) => {
                html.text(cut(&silence.created_by, 80)).raw("</a>: <bdi>");
                html.text(cut(&silence.comment, 200)).raw("</bdi>, ends in ");
                age::until(html, silence.ends_at, view.now);
            }
            None => {
                html.text(id).raw("</a>");
            }
        }
        html.raw("</p>");
    }
    for source in alert.inhibited_by.iter().take(FEW) {
        html.raw("<p class=\"why\">Inhibited by ");
        match view.alerts.binary_search_by_key(source, |alert| alert.fingerprint) {
            Ok(at) => {
                let labels = &view.alerts[at].alert.labels;
                html.raw("<a href=\"").text(filter_link(&matchers_of(labels))).raw("\"><bdi>");
                html.text(cut(&labels.to_string(), 300)).raw("</bdi></a>");
            }
            Err(_) => {
                html.text(source);
            }
        }
        html.raw("</p>");
    }
    for interval in alert.muted_by.iter().take(FEW) {
        html.raw("<p class=\"why\">Muted by the time interval ").text(interval).raw("</p>");
    }
}

/// The overview of what these matchers match.
pub(super) fn filter_link(matchers: &Matchers) -> String {
    let mut selection = Selection::default();
    for matcher in &matchers.0 {
        selection = selection.with(matcher);
    }
    selection.url()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vigie_core::http::Query;
    use vigie_core::route::View;

    use super::*;
    use crate::sample;

    fn drawn(query: &str, view: &View) -> String {
        let selection = Selection::from_query(&Query::parse(query));
        let mut html = Html::default();
        for shown in selection.groups(view) {
            card(&mut html, &shown, &selection, &Look::new(view, view.now));
        }
        html.as_str().to_owned()
    }

    #[test]
    fn says_why_nobody_is_told() {
        let shown = drawn("", &sample::view());
        assert!(shown.contains("Inhibited by <a href=\"/?filter=alertname%3D%22A%22"), "{shown}");
        assert!(shown.contains("</span> inhibited</span> for <time"));
        assert!(shown.contains("<b>page</b>, not yet notified"));
        assert!(shown.contains("href=\"http://p/x\">Source"));
    }

    #[test]
    fn many_alerts_are_counted() {
        let alerts = (0..107)
            .map(|i| sample::alert(&[("alertname", "A"), ("job", "j"), ("i", &i.to_string())]));
        let group = sample::group("team", &[("alertname", "A")], alerts.collect());
        let view = sample::view_of(vec![group], vec![]);
        let overview = drawn("", &view);
        assert_eq!(overview.matches("<li class=\"alert").count(), 5);
        assert!(overview.contains("group=%7B%7D%3A%7Balertname%3D%22A%22%7D\">102 more"));
        assert_eq!(overview.matches("<bdi>j</bdi>").count(), 1, "a shared label stands once");
        let alone = drawn("group={}:{alertname=\"A\"}", &view);
        assert_eq!(alone.matches("<li class=\"alert").count(), 100);
        assert!(alone.contains("from=100\">7 more"));
        let rest = drawn("group={}:{alertname=\"A\"}&from=100", &view);
        assert_eq!(rest.matches("<li class=\"alert").count(), 7);
    }

    proptest! {
        #[test]
        fn hostile_labels_stay_text(value in "<script>.{0,20}|\"><img onerror=.*|javascript:.*") {
            let labels = [("alertname", value.as_str()), ("x", &value), ("severity", &value)];
            let mut alert = sample::annotated(&labels, &[("summary", &value), ("url", &value)]);
            let mut changed = (*alert.alert).clone();
            changed.generator_url = value.clone();
            alert.alert = changed.into();
            let group = sample::group(&value, &labels, vec![alert]);
            let shown = drawn("", &sample::view_of(vec![group], vec![]));
            prop_assert!(!shown.contains("<script") && !shown.contains("<img"));
            prop_assert!(!shown.contains("href=\"javascript"));
        }
    }
}
