//! The language of the filter box.
//!
//! Matchers as amtool takes them, divided by spaces or commas, or one pasted `{a="b",c=~"d"}`; a
//! bare word is the name of an alert. It must not know what is filtered.

use vigie_core::alert::{MatchOp, Matcher, MatcherError, Matchers};

use crate::api::MATCHERS;

/// Reads a filter; the empty text lets everything through.
pub(super) fn parse(text: &str) -> Result<Matchers, MatcherError> {
    let text = text.trim();
    if text.starts_with('{') {
        return Matchers::parse(text);
    }
    let terms = split(text);
    if terms.len() > MATCHERS {
        return Err(MatcherError::Format(format!("more than {MATCHERS} matchers")));
    }
    terms.into_iter().map(one).collect::<Result<_, _>>().map(Matchers)
}

fn one(term: &str) -> Result<Matcher, MatcherError> {
    if term.contains(['=', '!', '~', '"']) {
        Matcher::parse(term)
    } else {
        Matcher::new("alertname", MatchOp::Equal, term)
    }
}

/// Cuts at spaces and commas outside quotes; spaces around an operator do not cut.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        let begins_space = c.is_whitespace() && !text[..at].ends_with(char::is_whitespace);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && (c == ',' || (begins_space && !in_matcher(text, at))) => {
                terms.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms.into_iter().map(str::trim).filter(|term| !term.is_empty()).collect()
}

/// Whether the space at `at` stands between a name, an operator and a value.
fn in_matcher(text: &str, at: usize) -> bool {
    text[..at].ends_with(['=', '~', '!']) || text[at..].trim_start().starts_with(['=', '!'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_type() {
        for (text, shown) in [
            ("", "{}"),
            ("DiskFull", r#"{alertname="DiskFull"}"#),
            ("DiskFull severity=critical", r#"{alertname="DiskFull",severity="critical"}"#),
            (r#"a="x y", b=~c|d"#, r#"{a="x y",b=~"c|d"}"#),
            (r#"a = "b"  c != d"#, r#"{a="b",c!="d"}"#),
            (r#"{a="b, c",d!~"e f"}"#, r#"{a="b, c",d!~"e f"}"#),
            (r#"a="say \" hi" b=c,"#, r#"{a="say \" hi",b="c"}"#),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert!(parse(&"a=b ".repeat(MATCHERS + 1)).is_err());
        for bad in ["a=~(", "=x", "a-b", "{a=b", "\"x"] {
            // A bare word may be anything but must be a possible value.
            assert_eq!(parse(bad).is_err(), bad != "a-b", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "[-a-z=!~{}\", \\\\(é]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_matchers_print_reads_back(value in "[ -~]{0,30}") {
            let printed = Matcher::new("a", MatchOp::Equal, &value).unwrap().to_string();
            let read = parse(&printed).unwrap();
            prop_assert_eq!(read.0[0].value(), value.as_str());
        }
    }
}
