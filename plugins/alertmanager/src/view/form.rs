//! Making and changing a silence by an HTML form.
//!
//! The draft is what was typed, kept whole when it is refused; the preview shows exactly the alerts
//! it would hold back. It must not store a silence: it makes what the router is asked for.

use vigie_core::alert::{LabelSet, Matchers};
use vigie_core::clock;
use vigie_core::config::parse_duration;
use vigie_core::http::Query;
use vigie_core::route::{PostedSilence, Silence, SilenceState};

use super::html::Html;
use super::look::Look;
use super::overview::Counts;
use super::page::Page;
use super::selection::Selection;
use super::silences::affected;
use super::terms;

/// Durations to choose from, with their names.
const DURATIONS: [(&str, &str); 5] = [
    ("30m", "30 minutes"),
    ("2h", "2 hours"),
    ("8h", "8 hours"),
    ("1d", "1 day"),
    ("1w", "1 week"),
];
/// Leaves the end of a silence where it is.
const KEEP: &str = "keep";

/// A silence as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// The silence to change; empty for a new one.
    id: String,
    filter: String,
    duration: String,
    other: String,
    created_by: String,
    comment: String,
}

impl Draft {
    /// From the parameters of a link, or the body of the form.
    pub(super) fn from_query(query: &Query) -> Self {
        let text = |name| query.get(name).unwrap_or("").trim().to_owned();
        let duration = query.get("duration").unwrap_or("2h").to_owned();
        Draft {
            id: text("id"),
            filter: text("filter"),
            duration,
            other: text("other"),
            created_by: text("created_by"),
            comment: text("comment"),
        }
    }

    /// From a silence that is known; one that is over is made again.
    pub(super) fn of(silence: &Silence, view: &Look<'_>) -> Self {
        let matchers: Vec<String> = silence.matchers.0.iter().map(ToString::to_string).collect();
        let is_over = silence.state(view.now) == SilenceState::Expired;
        Draft {
            id: if is_over { String::new() } else { silence.id.clone() },
            filter: matchers.join("\n"),
            duration: if is_over { "2h" } else { KEEP }.into(),
            other: String::new(),
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
        }
    }

    /// What the router is asked for.
    ///
    /// # Errors
    /// With one sentence for the person who typed.
    pub(super) fn read(&self, view: &Look<'_>) -> Result<PostedSilence, String> {
        let matchers = self.matchers()?;
        if matchers.0.is_empty() {
            return Err("Say which alerts: at least one matcher is needed.".into());
        }
        if self.created_by.is_empty() || self.comment.is_empty() {
            return Err("Say who you are and why, for the others who look here.".into());
        }
        let known = view.silences.iter().find(|silence| silence.id == self.id);
        // A new start would end the old silence and make another.
        let starts_at = known.map_or(view.now, |silence| silence.starts_at);
        let ends_at = match known {
            Some(silence) if self.keeps_end() => silence.ends_at,
            _ => clock::add(starts_at.max(view.now), self.span()?),
        };
        Ok(PostedSilence {
            id: self.id.clone(),
            matchers,
            starts_at,
            ends_at,
            created_by: self.created_by.clone(),
            comment: self.comment.clone(),
            annotations: known.map_or_else(LabelSet::default, |s| s.annotations.clone()),
        })
    }

    fn matchers(&self) -> Result<Matchers, String> {
        terms::parse(&self.filter).map_err(|error| error.to_string())
    }

    fn keeps_end(&self) -> bool {
        self.other.is_empty() && self.duration == KEEP
    }

    fn span(&self) -> Result<std::time::Duration, String> {
        let text = if self.other.is_empty() { &self.duration } else { &self.other };
        let span = parse_duration(text).map_err(|error| error.to_string())?;
        if span.is_zero() { Err("A silence needs a duration.".into()) } else { Ok(span) }
    }

    /// The page of the form; `error` says why the draft was refused.
    pub(super) fn page(&self, view: &Look<'_>, error: Option<&str>) -> Page {
        let counts = Counts::of(view);
        let title = if self.id.is_empty() { "New silence" } else { "Change the silence" };
        let mut main = Html::default();
        main.raw("<h2>").raw(title).raw("</h2>\n");
        if let Some(error) = error {
            main.raw("<p class=\"error\" role=\"alert\">").text(error).raw("</p>\n");
        }
        self.form(&mut main);
        match self.matchers() {
            Ok(matchers) if matchers.0.is_empty() => {
                main.raw("<section id=\"affected\" aria-live=\"polite\"></section>\n");
            }
            Ok(matchers) => affected(&mut main, &matchers, view),
            Err(error) => {
                main.raw("<section id=\"affected\" aria-live=\"polite\"><p class=\"error\">");
                main.text(error).raw("</p></section>\n");
            }
        }
        Page {
            title: title.into(),
            badge: counts.badge(),
            place: "/silences/new",
            live: false,
            summary: counts.summary(&Selection::default()),
            main,
            ..Page::default()
        }
    }

    fn form(&self, html: &mut Html) {
        html.raw("<form class=\"silence-form\" method=\"post\" action=\"/silences\">\n");
        html.raw("<input type=\"hidden\" name=\"id\" value=\"").text(&self.id).raw("\">\n");
        html.raw("<label for=\"matchers\">Which alerts? <small>Matchers, all of which must hold: \
                  name=value, !=, =~, !~</small></label>\n<textarea id=\"matchers\" name=\"filter\" \
                  rows=\"4\" required spellcheck=\"false\" autocapitalize=\"off\">");
        html.text(self.filter.replace("\" ", "\"\n")).raw("</textarea>\n");
        self.durations(html);
        html.raw(
            "<label for=\"created-by\">Who are you?</label>\n<input id=\"created-by\" \
                  name=\"created_by\" required autocomplete=\"username\" value=\"",
        );
        html.text(&self.created_by).raw("\">\n<label for=\"comment\">Why?</label>\n");
        html.raw("<input id=\"comment\" name=\"comment\" required value=\"");
        html.text(&self.comment).raw("\">\n<p class=\"actions\">");
        html.raw("<button class=\"primary\">");
        html.raw(if self.id.is_empty() { "Create the silence" } else { "Change the silence" });
        html.raw(
            "</button> <button formmethod=\"get\" formaction=\"/silences/new\" \
                  formnovalidate>Preview</button></p>\n</form>\n",
        );
    }

    fn durations(&self, html: &mut Html) {
        html.raw("<fieldset><legend>For how long from now?</legend>\n");
        let keep = (!self.id.is_empty()).then_some((KEEP, "keep the end"));
        for (value, name) in keep.into_iter().chain(DURATIONS) {
            html.raw("<label class=\"choice\"><input type=\"radio\" name=\"duration\" value=\"");
            html.text(value).raw("\"").raw(if value == self.duration {
                " checked> "
            } else {
                "> "
            });
            html.text(name).raw("</label>\n");
        }
        html.raw(
            "<label class=\"choice\">or <input name=\"other\" size=\"8\" placeholder=\"1h30m\" \
                  aria-label=\"another duration, like 1h30m\" value=\"",
        );
        html.text(&self.other).raw("\"></label></fieldset>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, at};

    fn draft(form: &str) -> Draft {
        Draft::from_query(&Query::parse(form))
    }

    const WHO: &str = "created_by=me&comment=why&";

    #[test]
    fn a_new_silence_begins_now() {
        let view = sample::view();
        let view = Look::new(&view, view.now);
        let posted = draft(&format!("{WHO}filter=a=b%0Ac=~%22d|e%22")).read(&view).unwrap();
        assert_eq!(posted.matchers.to_string(), r#"{a="b",c=~"d|e"}"#);
        assert_eq!((posted.starts_at, posted.ends_at), (view.now, at(60 + 7_200)));
        assert_eq!((posted.id.as_str(), posted.created_by.as_str()), ("", "me"));
        let other = draft(&format!("{WHO}filter=a=b&duration=1d&other=1h30m")).read(&view).unwrap();
        assert_eq!(other.ends_at, at(60 + 5_400), "what was typed counts");
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        let view = sample::view();
        let view = Look::new(&view, view.now);
        for (form, part) in [
            ("", "at least one matcher"),
            ("filter=a=b", "who you are"),
            ("created_by=me&comment=why&filter=a=~(", "bad regular expression"),
            ("created_by=me&comment=why&filter=a=b&other=soon", "not a valid duration"),
            ("created_by=me&comment=why&filter=a=b&other=0", "needs a duration"),
        ] {
            let refused = draft(form).read(&view).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn changing_keeps_the_start() {
        let view = sample::view();
        let view = Look::new(&view, view.now);
        let known = Draft::of(&view.silences[0], &view);
        let kept = known.read(&view).unwrap();
        assert_eq!((kept.starts_at, kept.ends_at), (at(0), at(3_600)));
        assert_eq!(kept.id, view.silences[0].id);
        let longer = Draft { duration: "1d".into(), ..known }.read(&view).unwrap();
        assert_eq!((longer.starts_at, longer.ends_at), (at(0), at(60 + 86_400)));
        let again = Draft::of(&view.silences[2], &view);
        assert!(again.id.is_empty() && again.read(&view).unwrap().starts_at == view.now);
    }

    #[test]
    fn a_refused_draft_is_kept_and_escaped() {
        let view = sample::view();
        let view = Look::new(&view, view.now);
        let draft = draft("filter=cluster%3D%22x%22&comment=%22%3E%3Cscript%3E&other=%3Cb%3E");
        let main = draft.page(&view, Some("<no>")).main;
        let shown = main.as_str();
        assert!(shown.contains("cluster=&quot;x&quot;</textarea>"), "{shown}");
        assert!(
            shown.contains("value=\"&quot;&gt;&lt;script&gt;\"") && shown.contains("&lt;no&gt;")
        );
        assert!(shown.contains("2 alerts match now") && !shown.contains("<script"));
        assert!(shown.contains("value=\"2h\" checked>"));
    }
}
