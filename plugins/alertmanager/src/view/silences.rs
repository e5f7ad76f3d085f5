//! Silences as a list, and one alone with what it holds back.
//!
//! Who made it, why, until when, and the ways to change or end it. It must not change anything.

use std::sync::Arc;

use vigie_core::alert::Matchers;
use vigie_core::route::{AlertView, Silence, SilenceState, View};

use super::age;
use super::card::filter_link;
use super::html::{Html, cut};
use super::look::Look;
use super::overview::Counts;
use super::page::Page;
use super::selection::Selection;
use crate::api::silence_order;

/// Silences in one document; more is what nobody reads.
const MOST: usize = 500;
/// Alerts listed under a silence.
const AFFECTED: usize = 20;

/// All silences as Alertmanager lists them.
pub(super) fn in_order(view: &View) -> Vec<&Silence> {
    let mut silences: Vec<&Silence> = view.silences.iter().map(|silence| &**silence).collect();
    silences.sort_by_key(|silence| silence_order(silence, view.now));
    silences
}

/// The page of all silences.
pub(super) fn page(view: &Look<'_>) -> Page {
    let counts = Counts::of(view);
    let silences = in_order(view);
    let mut main = Html::default();
    main.raw("<h2>").text(silences.len());
    main.raw(if silences.len() == 1 { " silence" } else { " silences" }).raw("</h2>\n");
    main.raw("<p><a class=\"button\" href=\"/silences/new\">New silence</a></p>\n");
    list(&mut main, silences.into_iter().take(MOST), view);
    Page {
        title: "Silences".into(),
        badge: counts.badge(),
        place: "/silences",
        live: true,
        summary: counts.summary(&Selection::default()),
        main,
        ..Page::default()
    }
}

/// The page of one silence.
pub(super) fn one(view: &Look<'_>, silence: &Silence) -> Page {
    let counts = Counts::of(view);
    let mut main = Html::default();
    main.raw("<h2>Silence</h2>\n");
    list(&mut main, [silence], view);
    affected(&mut main, &silence.matchers, view);
    Page {
        title: "Silence".into(),
        badge: counts.badge(),
        place: "/silences",
        live: true,
        summary: counts.summary(&Selection::default()),
        main,
        ..Page::default()
    }
}

/// Silences, one entry each.
pub(super) fn list<'a>(
    html: &mut Html,
    silences: impl IntoIterator<Item = &'a Silence>,
    view: &Look<'_>,
) {
    html.raw("<ul class=\"silences\">\n");
    for silence in silences {
        entry(html, silence, view);
    }
    html.raw("</ul>\n");
}

fn entry(html: &mut Html, silence: &Silence, view: &Look<'_>) {
    let state = silence.state(view.now);
    let (class, icon) = match state {
        SilenceState::Active => ("active", "\u{25cc}"),
        SilenceState::Pending => ("pending", "\u{25d4}"),
        SilenceState::Expired => ("expired", "\u{2713}"),
    };
    html.raw("<li class=\"silence ").raw(class).raw("\"><p class=\"line\"><span class=\"state ");
    html.raw(class).raw("\"><span aria-hidden=\"true\">").raw(icon).raw("</span> ").raw(class);
    html.raw("</span> ");
    match state {
        SilenceState::Active => {
            html.raw("ends in ");
            age::until(html, silence.ends_at, view.now);
        }
        SilenceState::Pending => {
            html.raw("begins in ");
            age::until(html, silence.starts_at, view.now);
        }
        SilenceState::Expired => {
            html.raw("ended ");
            age::since(html, silence.ends_at, view.now);
            html.raw(" ago");
        }
    }
    html.raw("</p>\n<p class=\"matchers\"><a href=\"/silence/").text(&silence.id).raw("\">");
    for (i, matcher) in silence.matchers.0.iter().enumerate() {
        html.raw(if i == 0 { "<code>" } else { " <code>" });
        html.text(cut(&matcher.to_string(), 300)).raw("</code>");
    }
    html.raw("</a></p>\n<p><bdi>").text(cut(&silence.comment, 1_000)).raw("</bdi> <small>by <bdi>");
    html.text(cut(&silence.created_by, 80)).raw("</bdi></small></p>\n<p class=\"actions\">");
    html.raw("<a href=\"").text(filter_link(&silence.matchers)).raw("\">Alerts</a> ");
    html.raw("<a href=\"/silence/").text(&silence.id).raw("/edit\">");
    html.raw(if state == SilenceState::Expired { "Make again" } else { "Edit or extend" });
    html.raw("</a></p>\n");
    if state != SilenceState::Expired {
        html.raw("<form method=\"post\" action=\"/silence/").text(&silence.id);
        html.raw("/expire\"><button class=\"danger\">Expire now</button></form>\n");
    }
    html.raw("</li>\n");
}

/// The alerts that fire now and match: exactly those the silence would hold back.
pub(super) fn affected(html: &mut Html, matchers: &Matchers, view: &View) {
    let matching = |alert: &&Arc<AlertView>| matchers.matches(&alert.alert.labels);
    let affected: Vec<_> = view.alerts.iter().filter(matching).collect();
    html.raw("<section id=\"affected\" aria-live=\"polite\">\n<h3>");
    match affected.len() {
        0 => html.raw("No alert matches now"),
        1 => html.raw("1 alert matches now"),
        number => html.text(number).raw(" alerts match now"),
    };
    html.raw("</h3>\n");
    if affected.is_empty() {
        html.raw("<p>Alerts that come later and match are held back all the same.</p>\n");
    } else if affected.len() == view.alerts.len() && affected.len() > 1 {
        html.raw("<p class=\"error\">These are all alerts that fire.</p>\n");
    }
    html.raw("<ul class=\"affected\">");
    for alert in affected.iter().take(AFFECTED) {
        html.raw("<li><bdi>").text(cut(&alert.alert.labels.to_string(), 500)).raw("</bdi></li>\n");
    }
    html.raw("</ul>\n");
    if affected.len() > AFFECTED {
        html.raw("<p>and ").text(affected.len() - AFFECTED).raw(" more</p>\n");
    }
    html.raw("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn standing_ones_can_be_ended() {
        let view = sample::view();
        let page = page(&Look::new(&view, view.now));
        let main = page.main.as_str();
        assert!(main.contains("<h2>3 silences</h2>"));
        assert_eq!(main.matches("Expire now").count(), 2);
        assert!(main.contains("action=\"/silence/00000000-0000-4000-8000-000000000001/expire\""));
        assert!(main.contains("begins in <time") && main.contains("Make again"));
        assert!(main.contains("<code>a=&quot;b&quot;</code>"));
    }

    #[test]
    fn the_preview_is_exact() {
        let view = sample::view();
        let preview = |matchers| {
            let mut html = Html::default();
            affected(&mut html, &Matchers::parse(matchers).unwrap(), &view);
            html.as_str().to_owned()
        };
        assert!(preview("alertname=A").contains("1 alert matches now"));
        assert!(preview("cluster=x").contains("2 alerts match now"));
        assert!(preview("cluster=x").contains("These are all alerts"));
        assert!(preview("cluster=y").contains("No alert matches now"));
    }
}
