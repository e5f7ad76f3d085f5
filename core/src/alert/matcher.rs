//! Label matchers: `name="value"`, `!=`, `=~`, `!~`.
//!
//! Routes, silences, inhibition, the API's filters and the view share one grammar, Alertmanager's,
//! and one limit on what a regular expression may cost. It must not know what is being matched.

use std::fmt::Write;

use regex::Regex;

use super::LabelSet;

/// The four operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

impl MatchOp {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Match => "=~",
            MatchOp::NotMatch => "!~",
        }
    }

    /// From the API's two booleans.
    #[must_use]
    pub const fn new(is_regex: bool, is_equal: bool) -> Self {
        match (is_regex, is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Match,
            (true, false) => MatchOp::NotMatch,
        }
    }

    /// `=~` or `!~`.
    #[must_use]
    pub const fn is_regex(self) -> bool {
        matches!(self, MatchOp::Match | MatchOp::NotMatch)
    }

    /// `=` or `=~`.
    #[must_use]
    pub const fn is_equal(self) -> bool {
        matches!(self, MatchOp::Equal | MatchOp::Match)
    }
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Box<str>,
    op: MatchOp,
    value: Box<str>,
    regex: Option<Regex>,
}

/// Compiled size of one expression: far above any honest one, far below a denial of service.
const REGEX_SIZE_LIMIT: usize = 256 << 10;
/// Bytes of a matcher's value.
const VALUE_LIMIT: usize = 16 << 10;

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// The text does not have the form `name OP value`.
    #[error("bad matcher format: {0}")]
    Format(String),
    /// The name is no label name.
    #[error("bad label name in matcher: {0}")]
    Name(String),
    /// The regular expression is wrong or too large.
    #[error("bad regular expression in matcher of {name}: {reason}")]
    Regex {
        /// The label.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value is too long.
    #[error("the value to match {0} with is longer than {VALUE_LIMIT} bytes")]
    TooLong(String),
}

impl Matcher {
    /// A matcher; regular expressions (RE2 syntax) match the whole value.
    ///
    /// # Errors
    /// When the expression is wrong or too costly, or the value too long.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        if !crate::metric::is_label_name(name) {
            return Err(MatcherError::Name(short(name)));
        }
        if value.len() > VALUE_LIMIT {
            return Err(MatcherError::TooLong(name.to_owned()));
        }
        let regex = if op.is_regex() { Some(compile(name, value)?) } else { None };
        Ok(Matcher { name: name.into(), op, value: value.into(), regex })
    }

    /// Reads `name OP value`, the value quoted with `"` and backslash escapes, or bare.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let mut matchers = Matchers::parse(text)?.0;
        match (matchers.pop(), matchers.is_empty()) {
            (Some(matcher), true) => Ok(matcher),
            _ => Err(MatcherError::Format(short(text))),
        }
    }

    /// The label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator.
    #[must_use]
    pub const fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or expression as written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label's value satisfies it; an absent label has the empty value.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(value) == self.op.is_equal(),
            None => (*self.value == *value) == self.op.is_equal(),
        }
    }

    fn key(&self) -> (&str, MatchOp, &str) {
        (&self.name, self.op, &self.value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.name, &self.value, self.op).cmp(&(&other.name, &other.value, other.op))
    }
}

/// `name="value"`, with Alertmanager's escapes of a matcher: `\\`, `\"` and `\n`.
impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}\"", self.name, self.op.as_str())?;
        for c in self.value.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        f.write_str("\"")
    }
}

/// Several matchers, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    /// Reads `a="b", c=~"d"` with optional braces and one trailing comma.
    ///
    /// # Errors
    /// With the text that is no matcher.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let trimmed = text.trim();
        let inner = match trimmed.strip_prefix('{') {
            Some(rest) => {
                rest.strip_suffix('}').ok_or_else(|| MatcherError::Format(short(text)))?
            }
            None => trimmed,
        };
        let mut matchers = Vec::new();
        let mut rest = inner.trim_start();
        while !rest.is_empty() {
            let (matcher, after) = parse_one(rest)?;
            matchers.push(matcher);
            rest = match after.strip_prefix(',') {
                Some(more) => more.trim_start(),
                None if after.is_empty() => after,
                None => return Err(MatcherError::Format(short(text))),
            };
        }
        Ok(Matchers(matchers))
    }

    /// Whether all of them hold.
    #[must_use]
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
    }
}

/// `{a="b",c=~"d"}`, as route keys and group keys have it.
impl std::fmt::Display for Matchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            write!(f, "{}{matcher}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

fn parse_one(text: &str) -> Result<(Matcher, &str), MatcherError> {
    let fail = || MatcherError::Format(short(text));
    let op_at = text.find(['=', '!']).ok_or_else(fail)?;
    let (name, rest) = text.split_at(op_at);
    let (op, rest) = [MatchOp::Match, MatchOp::NotMatch, MatchOp::NotEqual, MatchOp::Equal]
        .into_iter()
        .find_map(|op| rest.strip_prefix(op.as_str()).map(|rest| (op, rest.trim_start())))
        .ok_or_else(fail)?;
    let (name, rest) = (name.trim(), rest);
    let name = match name.strip_prefix('"') {
        Some(_) => unquote(name).filter(|(_, rest)| rest.is_empty()).ok_or_else(fail)?.0,
        None => name.to_owned(),
    };
    let (value, rest) = if rest.starts_with('"') {
        unquote(rest).ok_or_else(fail)?
    } else {
        let end = rest.find(',').unwrap_or(rest.len());
        let bare = rest[..end].trim_end();
        if bare.contains('"') {
            return Err(fail());
        }
        (bare.to_owned(), &rest[end..])
    };
    Ok((Matcher::new(&name, op, &value)?, rest.trim_start()))
}

/// Reads a quoted text; returns it and what follows the closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                '"' => out.push('"'),
                '\\' => out.push('\\'),
                // As Alertmanager's classic parser: an unknown escape stands for itself.
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

/// Quotes as Go's `strconv.Quote`, as group labels are: group keys must be equal to the byte.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_unprintable(c) => {
                let code = c as u32;
                let escaped =
                    if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                out.push_str(&escaped);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What Go's `strconv.IsPrint` refuses, in the ranges that occur in practice.
fn is_unprintable(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{180e}'
        | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
        | '\u{3000}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

fn compile(name: &str, pattern: &str) -> Result<Regex, MatcherError> {
    let fail = |reason: String| MatcherError::Regex { name: name.to_owned(), reason };
    regex::RegexBuilder::new(&format!("^(?s:{})$", translate_re2(pattern)))
        .size_limit(REGEX_SIZE_LIMIT)
        .dfa_size_limit(REGEX_SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => fail("too large once compiled".into()),
            _ => fail("syntax error".into()),
        })
}

/// RE2 syntax that the regex crate writes otherwise: `\Q..\E`, and `[ && -- ~~` inside classes.
pub(crate) fn translate_re2(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let end = quoted.find("\\E");
            out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
            rest = end.map_or("", |end| &quoted[end + 2..]);
            continue;
        }
        let mut width = c.len_utf8();
        match c {
            '\\' => {
                width += rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..width]);
            }
            '[' if in_class && rest.starts_with("[:") => {
                width = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(&rest[..width]);
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                // A leading `]` (after an optional `^`) is a literal in both syntaxes.
                let head = ["[^]", "[]", "[^", "["].into_iter().find(|h| rest.starts_with(h));
                let head = head.unwrap_or("[");
                width = head.len();
                out.push_str(&head.replace(']', "\\]"));
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && rest.starts_with("--") => out.push_str("\\-"),
            c => out.push(c),
        }
        rest = &rest[width..];
    }
    out
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Matcher {
        Matcher::parse(text).unwrap()
    }

    #[test]
    fn reads_the_forms_people_write() {
        for (text, shown) in [
            ("a=b", r#"a="b""#),
            (r#"a = "b c""#, r#"a="b c""#),
            (r#"{a!~"x|y"}"#, r#"a!~"x|y""#),
            (r#"a="say \"hi\"""#, r#"a="say \"hi\"""#),
            ("a=", r#"a="""#),
            (r#""a"!="b","#, r#"a!="b""#),
        ] {
            assert_eq!(one(text).to_string(), shown, "{text}");
        }
        let two = Matchers::parse(r#"{ a="b,}" , c=~d|e }"#).unwrap();
        assert_eq!(two.to_string(), r#"{a="b,}",c=~"d|e"}"#);
        assert!(Matchers::parse("").unwrap().0.is_empty());
    }

    #[test]
    fn refuses_what_is_no_matcher() {
        for bad in ["a", "=b", "a=\"b", "a=\"b\"c", "{a=b", "a=~(", "a b=c", "a!b"] {
            assert!(Matcher::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(one_err("a=~.{0,999}.{0,999}.{0,999}"), MatcherError::Regex { .. }));
        assert!(matches!(one_err(&format!("a={}", "x".repeat(20_000))), MatcherError::TooLong(_)));
    }

    fn one_err(text: &str) -> MatcherError {
        Matcher::parse(text).unwrap_err()
    }

    #[test]
    fn expressions_match_the_whole_value() {
        assert!(one("a=~b|cc").matches("cc") && !one("a=~b|cc").matches("xcc"));
        assert!(one("a=~.*").matches("x\ny") && one("a=~").matches(""));
        assert!(one("a!=b").matches("") && !one("a!~.*").matches(""));
    }

    #[test]
    fn re2_classes_and_quotes_are_translated() {
        for (pattern, yes, no) in [
            (r"\Qa.b\E.", "a.bX", "aXbX"),
            ("[a&&b]", "&", "c"),
            ("[[]", "[", "]"),
            ("[]a]", "]", "b"),
            ("[[:alpha:]]+", "abc", "a1"),
            ("[a--]", "-", "b"),
        ] {
            let matcher = Matcher::new("l", MatchOp::Match, pattern).unwrap();
            assert!(matcher.matches(yes) && !matcher.matches(no), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(value in "[ -~]{0,40}") {
            let matcher = Matcher::new("a", MatchOp::Equal, &value).unwrap();
            prop_assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher);
        }

        #[test]
        fn any_text_is_an_answer(text in "[-a-z=!~{}\",\\\\\\[\\]&.*+?() é]{0,40}") {
            let _ = Matchers::parse(&text);
        }
    }
}
