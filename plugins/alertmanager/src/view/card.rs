//! One group as a card.
//!
//! Its receiver and what became of the last notification, then its alerts with state, age, texts
//! and labels; labels that all share stand once, at the end. It must not know where the card lies.

use vigie_core::alert::{Alert, LabelSet, Matchers};
use vigie_core::route::{AlertState, AlertView, View};

use super::age;
use super::assets;
use super::html::{Html, cut, is_web_link};
use super::labels::{chips, matchers_of, silence_link};
use super::selection::{Selection, Shown, is_active};
use super::severity::Severity;

/// Alerts of a group on the overview.
pub(super) const FEW: usize = 5;
/// Alerts of a group on its own page.
const MANY: usize = 100;
/// Characters of an annotation that are shown.
const TEXT: usize = 1_000;

/// Draws a group.
pub(super) fn card(html: &mut Html, shown: &Shown<'_>, selection: &Selection, view: &View) {
    let group = shown.group;
    let alone = selection.group.is_some();
    let (from, most) = if alone { (selection.from, MANY) } else { (0, FEW) };
    let id =
        format!("{:016x}", assets::hash(format!("{}{}", group.key, group.receiver).as_bytes()));
    let quiet = !shown.alerts.iter().any(|alert| is_active(alert));
    html.raw("<article id=\"g").text(&id).raw("\" class=\"group ");
    html.raw(if quiet { "quiet" } else { shown.severity.class() })
        .raw("\" aria-labelledby=\"h")
        .text(&id)
        .raw("\">\n<header><h3 id=\"h")
        .text(&id)
        .raw("\">");
    badge(html, shown.severity, shown.alerts.first().map(|a| a.alert.labels.get("severity")));
    html.raw(" <bdi>").text(cut(title(shown), 120)).raw("</bdi></h3>");
    html.raw("<p class=\"meta\">");
    meta(html, shown, view);
    html.raw("</p>");
    chips(html, group.labels.iter().filter(|(name, _)| *name != "alertname"), selection);
    html.raw("</header>\n<ol class=\"alerts\">\n");
    let shared = shared(shown);
    let known =
        |name: &str| matches!(name, "alertname" | "severity") || !group.labels.get(name).is_empty();
    for alert in shown.alerts.iter().skip(from).take(most) {
        item(html, alert, selection, view, |name| known(name) || !shared.get(name).is_empty());
    }
    html.raw("</ol>\n<footer>");
    chips(html, shared.iter().filter(|(name, _)| !known(name)), selection);
    html.raw("<p class=\"actions\">");
    if shown.alerts.len() > from.saturating_add(most) {
        let next = Selection {
            group: Some(group.key.clone()),
            from: if alone { from + most } else { 0 },
            ..selection.clone()
        };
        html.raw("<a href=\"").text(next.url()).raw("\">");
        html.text(shown.alerts.len() - from - most).raw(" more</a> ");
    }
    if !group.labels.is_empty() {
        html.raw("<a href=\"").text(silence_link(&matchers_of(&group.labels)));
        html.raw("\">Silence the group</a>");
    }
    html.raw("</p></footer>\n</article>\n");
}

/// The word of a severity with its shape and colour.
pub(super) fn badge(html: &mut Html, severity: Severity, word: Option<&str>) {
    let word = word.filter(|word| !word.is_empty()).unwrap_or("no severity");
    html.raw("<span class=\"badge ").raw(severity.class()).raw("\"><span aria-hidden=\"true\">");
    html.raw(severity.icon()).raw("</span> ").text(cut(word, 24)).raw("</span>");
}

/// What a group is called: the alert's name where all have one.
fn title<'a>(shown: &Shown<'a>) -> &'a str {
    let mut names = shown.alerts.iter().map(|alert| alert.alert.name());
    let first = names.next().unwrap_or("");
    if first.is_empty() || names.any(|name| name != first) { "Several alerts" } else { first }
}

fn meta(html: &mut Html, shown: &Shown<'_>, view: &View) {
    let group = shown.group;
    let plural = if shown.alerts.len() == 1 { " alert" } else { " alerts" };
    html.text(shown.alerts.len()).raw(plural).raw(" to <b>").text(cut(&group.receiver, 80));
    html.raw("</b>, ");
    match group.notified_at {
        Some(at) => {
            html.raw("notified ");
            age::since(html, at, view.now);
            html.raw(" ago");
        }
        None => {
            html.raw("not yet notified");
        }
    }
    if let Some(failure) = &group.failure {
        html.raw(", <strong class=\"failure\">last attempt failed: ").text(cut(failure, TEXT));
        html.raw("</strong>");
    }
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

fn item(
    html: &mut Html,
    shown: &AlertView,
    selection: &Selection,
    view: &View,
    hidden: impl Fn(&str) -> bool,
) {
    let alert = &shown.alert;
    let (class, icon, word) = state(shown);
    html.raw("<li class=\"alert ").raw(class).raw("\"><p class=\"line\"><span class=\"state ");
    html.raw(class).raw("\"><span aria-hidden=\"true\">").raw(icon).raw("</span> ").raw(word);
    html.raw("</span> for ");
    age::since(html, alert.starts_at, view.now);
    html.raw("<span class=\"actions\">");
    if is_web_link(&alert.generator_url) {
        html.raw("<a rel=\"noopener noreferrer\" href=\"").text(&alert.generator_url);
        html.raw("\">Source</a> ");
    }
    html.raw("<a href=\"").text(silence_link(&matchers_of(&alert.labels)));
    html.raw("\">Silence</a></span></p>");
    annotations(html, alert);
    held_back(html, shown, view);
    chips(html, alert.labels.iter().filter(|(name, _)| !hidden(name)), selection);
    html.raw("</li>\n");
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
fn held_back(html: &mut Html, alert: &AlertView, view: &View) {
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

    use super::*;
    use crate::sample;

    fn drawn(query: &str, view: &View) -> String {
        let selection = Selection::from_query(&Query::parse(query));
        let mut html = Html::default();
        for shown in selection.groups(view) {
            card(&mut html, &shown, &selection, view);
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
