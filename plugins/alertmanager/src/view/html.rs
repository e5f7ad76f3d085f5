//! HTML that is escaped unless it stands in the program.
//!
//! Markup can only be a `&'static str`, everything else passes through [`escape`]; so no label,
//! annotation or comment becomes markup. It must not know what a page shows.

use std::fmt::{self, Display, Write};

/// A piece of HTML being written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup of our own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, escaped for content and for quoted attributes.
    pub(super) fn text(&mut self, value: impl Display) -> &mut Self {
        // Writing into a string cannot fail; a value that cannot be displayed shows what it could.
        let _ = write!(Escaper(&mut self.0), "{value}");
        self
    }

    /// Adds another piece.
    pub(super) fn html(&mut self, piece: &Html) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// What was written.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What was written.
    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Escapes what has a meaning in HTML, in content and in attributes with either quote.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            // No character of HTML.
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

struct Escaper<'a>(&'a mut String);

impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(text, self.0);
        Ok(())
    }
}

/// A text cut to so many characters, with an ellipsis when something is missing.
pub(super) fn cut(text: &str, characters: usize) -> impl Display + '_ {
    struct Cut<'a>(&'a str, bool);
    impl Display for Cut<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)?;
            if self.1 { f.write_str("\u{2026}") } else { Ok(()) }
        }
    }
    text.char_indices().nth(characters).map_or(Cut(text, false), |(end, _)| Cut(&text[..end], true))
}

/// A path with query parameters, percent-encoded.
pub(super) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    for (i, (name, value)) in parameters.iter().enumerate() {
        url.push(if i == 0 { '?' } else { '&' });
        url.push_str(name);
        url.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    url.push(char::from(byte));
                }
                byte => url.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    url
}

/// Whether a text may stand in `href`: only the web's own schemes, never `javascript:`.
pub(super) fn is_web_link(text: &str) -> bool {
    let has = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    (has("http://") || has("https://")) && !text.chars().any(|c| c.is_control() || c == ' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vigie_core::http::Query;

    use super::*;

    #[test]
    fn only_web_links_are_links() {
        assert!(is_web_link("http://x/?a=b") && is_web_link("HTTPS://x"));
        for bad in ["javascript:alert(1)", " http://x", "http:/x", "data:text/html,x", "é", ""] {
            assert!(!is_web_link(bad), "{bad}");
        }
        assert!(!is_web_link("http://x\n") && !is_web_link("http://x y"));
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("éàü", 2).to_string(), "éà…");
        assert_eq!(cut("éàü", 3).to_string(), "éàü");
    }

    proptest! {
        #[test]
        fn hostile_text_never_becomes_markup(text in ".*|[<>&\"'`]{0,20}|<script>.*|\"onx=.*") {
            let mut html = Html::default();
            html.text(&text);
            let shown = html.as_str();
            prop_assert!(!shown.contains(['<', '>', '"', '\'', '`', '\0']));
            let back = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
                .replace("&#39;", "'").replace("&#96;", "`").replace("&amp;", "&");
            prop_assert_eq!(back, text.replace('\0', "\u{fffd}"));
        }

        #[test]
        fn links_are_read_back(value in ".*") {
            let url = link("/x", &[("a", &value), ("b", "c")]);
            let query = Query::parse(url.split_once('?').unwrap().1);
            prop_assert_eq!(query.get("a"), Some(value.as_str()));
            prop_assert_eq!(query.get("b"), Some("c"));
        }
    }
}
