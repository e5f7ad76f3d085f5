//! Labels as chips that narrow the view.
//!
//! Each chip is a link to the present view with one more matcher; long values are cut for the eye
//! only. It must not know which labels matter.

use vigie_core::alert::{LabelSet, MatchOp, Matcher, Matchers};

use super::html::{Html, cut, link};
use super::selection::Selection;

/// Characters of a value that are shown.
const SHOWN: usize = 200;

/// A list of chips; nothing when there is no label.
pub(super) fn chips<'a>(
    html: &mut Html,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    selection: &Selection,
) {
    let mut labels = labels.into_iter().peekable();
    if labels.peek().is_none() {
        return;
    }
    html.raw("<ul class=\"labels\">");
    for (name, value) in labels {
        html.raw("<li>");
        match Matcher::new(name, MatchOp::Equal, value) {
            Ok(matcher) => {
                html.raw("<a href=\"").text(selection.with(&matcher).url()).raw("\">");
                chip(html, name, value);
                html.raw("</a>");
            }
            // Too long to be matched: shown all the same.
            Err(_) => chip(html, name, value),
        }
        html.raw("</li>");
    }
    html.raw("</ul>");
}

fn chip(html: &mut Html, name: &str, value: &str) {
    html.raw("<span class=\"name\">").text(name).raw("</span>=<bdi>").text(cut(value, SHOWN));
    html.raw("</bdi>");
}

/// Matchers that hold for exactly these labels' values.
pub(super) fn matchers_of(labels: &LabelSet) -> Matchers {
    let matcher = |(name, value)| Matcher::new(name, MatchOp::Equal, value).ok();
    Matchers(labels.iter().filter_map(matcher).collect())
}

/// Where a new silence of these matchers is made.
pub(super) fn silence_link(matchers: &Matchers) -> String {
    let text: Vec<String> = matchers.0.iter().map(ToString::to_string).collect();
    link("/silences/new", &[("filter", &text.join(" "))])
}

#[cfg(test)]
mod tests {
    use vigie_core::http::Query;

    use super::*;

    #[test]
    fn a_chip_adds_a_matcher() {
        let mut html = Html::default();
        let selection = Selection::from_query(&Query::parse("filter=x"));
        chips(&mut html, [("a", "<b>"), ("c", &"y".repeat(20_000))], &selection);
        let shown = html.as_str();
        assert!(shown.contains("?filter=alertname%3D%22x%22%20a%3D%22%3Cb%3E%22\">"), "{shown}");
        assert!(shown.contains("<bdi>&lt;b&gt;</bdi>") && shown.len() < 1_000);
        let mut nothing = Html::default();
        chips(&mut nothing, [], &selection);
        assert_eq!(nothing.as_str(), "");
    }
}
