//! Template text to tokens.
//!
//! Go's delimiters, trim markers, comments, quoting and number forms, each token with its line and
//! column because every later error names them. It must not know any grammar above the token.

use super::TemplateError;

/// Where a token begins; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pos {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Pos {
    pub(super) fn error(self, what: impl Into<String>) -> TemplateError {
        TemplateError::new(self, what)
    }
}

/// One token of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// Literal text, trimmed.
    Text(&'t str),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word(&'t str),
    /// `.Name`, without the dot.
    Field(&'t str),
    /// `.` alone.
    Dot,
    /// `$` or `$name`, with the dollar.
    Variable(&'t str),
    /// An integer or a character constant.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A quoted text, unescaped.
    Quoted(String),
    /// One of `| , ( ) = :=`.
    Sign(&'t str),
}

/// A token in its place.
#[derive(Clone, Debug)]
pub(super) struct Lexed<'t> {
    pub(super) token: Token<'t>,
    pub(super) pos: Pos,
    /// White space stands before it: `.A .B` are two operands, `.A.B` is one.
    pub(super) spaced: bool,
}

/// Splits a template into tokens.
///
/// # Errors
/// At an action, comment or quote that does not end, or a character that begins no token.
pub(super) fn lex(text: &str) -> Result<Vec<Lexed<'_>>, TemplateError> {
    let mut lexer = Lexer { rest: text, pos: Pos { line: 1, column: 1 }, tokens: Vec::new() };
    let mut trim = false;
    while !lexer.rest.is_empty() {
        let end = lexer.rest.find("{{").unwrap_or(lexer.rest.len());
        lexer.text(end, trim);
        trim = if lexer.rest.is_empty() { false } else { lexer.action()? };
    }
    Ok(lexer.tokens)
}

/// The white space of Go's trim markers.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

struct Lexer<'t> {
    rest: &'t str,
    pos: Pos,
    tokens: Vec<Lexed<'t>>,
}

impl<'t> Lexer<'t> {
    /// Takes `len` bytes, which end at a character.
    fn take(&mut self, len: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        for c in taken.chars() {
            if c == '\n' {
                self.pos = Pos { line: self.pos.line + 1, column: 1 };
            } else {
                self.pos.column += 1;
            }
        }
        taken
    }

    fn text(&mut self, end: usize, trim_left: bool) {
        let pos = self.pos;
        let mut text = self.take(end);
        if trim_left {
            text = text.trim_start_matches(SPACE);
        }
        let marker = self.rest.strip_prefix("{{-").is_some_and(|rest| rest.starts_with(SPACE));
        if marker {
            text = text.trim_end_matches(SPACE);
        }
        if !text.is_empty() {
            self.tokens.push(Lexed { token: Token::Text(text), pos, spaced: false });
        }
    }

    /// One action from `{{` to `}}`; true when what follows shall be trimmed.
    fn action(&mut self) -> Result<bool, TemplateError> {
        let start = self.pos;
        self.take(2);
        if self.rest.starts_with('-') && self.rest[1..].starts_with(SPACE) {
            self.take(2);
        }
        if self.rest.starts_with("/*") {
            return self.comment(start);
        }
        self.tokens.push(Lexed { token: Token::Open, pos: start, spaced: false });
        loop {
            let spaces = self.rest.len() - self.rest.trim_start_matches(SPACE).len();
            let spaced = spaces > 0;
            self.take(spaces);
            let trim = spaced && self.rest.starts_with("-}}");
            let pos = self.pos;
            if trim || self.rest.starts_with("}}") {
                self.take(if trim { 3 } else { 2 });
                self.tokens.push(Lexed { token: Token::Close, pos, spaced });
                return Ok(trim);
            }
            if self.rest.is_empty() {
                return Err(start.error("unclosed action"));
            }
            let token = self.token()?;
            self.tokens.push(Lexed { token, pos, spaced });
        }
    }

    fn comment(&mut self, start: Pos) -> Result<bool, TemplateError> {
        let end = self.rest.find("*/").ok_or_else(|| start.error("unclosed comment"))?;
        self.take(end + 2);
        let after = self.rest.trim_start_matches(SPACE);
        let trim = after.len() < self.rest.len() && after.starts_with("-}}");
        let close = if trim { self.rest.len() - after.len() + 3 } else { 2 };
        if !trim && !self.rest.starts_with("}}") {
            return Err(start.error("a comment must end its action"));
        }
        self.take(close);
        Ok(trim)
    }

    fn token(&mut self) -> Result<Token<'t>, TemplateError> {
        let pos = self.pos;
        let mut chars = self.rest.chars();
        let first = chars.next().unwrap_or_default();
        let second = chars.next().unwrap_or_default();
        match first {
            '"' => self.quoted(pos),
            '`' => self.raw(pos),
            '\'' => self.character(pos),
            '.' if is_name(second) && !second.is_ascii_digit() => {
                self.take(1);
                Ok(Token::Field(self.name()))
            }
            '.' if !second.is_ascii_digit() => {
                self.take(1);
                Ok(Token::Dot)
            }
            '$' => {
                let len = 1 + name_len(&self.rest[1..]);
                Ok(Token::Variable(self.take(len)))
            }
            ':' if second == '=' => Ok(Token::Sign(self.take(2))),
            '|' | ',' | '(' | ')' | '=' => Ok(Token::Sign(self.take(1))),
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number(pos),
            c if is_name(c) => Ok(Token::Word(self.name())),
            c => Err(pos.error(format!("unexpected {c:?} in action"))),
        }
    }

    fn name(&mut self) -> &'t str {
        self.take(name_len(self.rest))
    }

    fn number(&mut self, pos: Pos) -> Result<Token<'t>, TemplateError> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let mut len = sign;
        let mut before = ' ';
        for c in self.rest[sign..].chars() {
            let exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E' | 'p' | 'P');
            if !(c.is_alphanumeric() || c == '_' || c == '.' || exponent) {
                break;
            }
            len += c.len_utf8();
            before = c;
        }
        let text = self.take(len);
        parse_number(text).ok_or_else(|| pos.error(format!("bad number {text:?}")))
    }

    fn raw(&mut self, pos: Pos) -> Result<Token<'t>, TemplateError> {
        let end = self.rest[1..].find('`').ok_or_else(|| pos.error("unclosed raw text"))?;
        let text = self.take(end + 2);
        Ok(Token::Quoted(text[1..=end].replace('\r', "")))
    }

    fn quoted(&mut self, pos: Pos) -> Result<Token<'t>, TemplateError> {
        let mut out = String::new();
        self.take(1);
        loop {
            match self.rest.chars().next() {
                None | Some('\n') => return Err(pos.error("unclosed quote")),
                Some('"') => {
                    self.take(1);
                    return Ok(Token::Quoted(out));
                }
                Some('\\') => out.push(self.escape(pos)?),
                Some(c) => {
                    self.take(c.len_utf8());
                    out.push(c);
                }
            }
        }
    }

    fn character(&mut self, pos: Pos) -> Result<Token<'t>, TemplateError> {
        self.take(1);
        let c = match self.rest.chars().next() {
            Some('\\') => self.escape(pos)?,
            Some(c) if c != '\'' && c != '\n' => {
                self.take(c.len_utf8());
                c
            }
            _ => return Err(pos.error("bad character constant")),
        };
        if !self.rest.starts_with('\'') {
            return Err(pos.error("bad character constant"));
        }
        self.take(1);
        Ok(Token::Int(i64::from(u32::from(c))))
    }

    /// An escape of Go's string syntax, from its backslash on.
    fn escape(&mut self, pos: Pos) -> Result<char, TemplateError> {
        self.take(1);
        let kind = self.rest.chars().next().ok_or_else(|| pos.error("unclosed quote"))?;
        let (skip, digits, radix) = match kind {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            _ => {
                self.take(kind.len_utf8());
                return match kind {
                    'n' => Ok('\n'),
                    't' => Ok('\t'),
                    'r' => Ok('\r'),
                    'a' => Ok('\x07'),
                    'b' => Ok('\x08'),
                    'f' => Ok('\x0c'),
                    'v' => Ok('\x0b'),
                    '\\' | '"' | '\'' => Ok(kind),
                    _ => Err(pos.error(format!("unknown escape \\{kind}"))),
                };
            }
        };
        self.take(skip);
        let code = self.rest.get(..digits).and_then(|hex| u32::from_str_radix(hex, radix).ok());
        let c = code.and_then(char::from_u32).ok_or_else(|| pos.error("bad escape in quote"))?;
        self.take(digits);
        Ok(c)
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn name_len(text: &str) -> usize {
    text.find(|c| !is_name(c)).unwrap_or(text.len())
}

/// Go's integer and float literals; `None` for anything else, also for what does not fit.
fn parse_number<'t>(text: &str) -> Option<Token<'t>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|rest| (rest, radix)));
    let (body, radix) = radix.unwrap_or((&lower, 10));
    if !body.starts_with(|c: char| c.is_ascii_hexdigit() || c == '.') {
        return None;
    }
    if let Ok(value) = i128::from_str_radix(body, radix) {
        let value = if negative { -value } else { value };
        return i64::try_from(value).ok().map(Token::Int);
    }
    let decimal = radix == 10 && body.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value: f64 = if decimal { body.parse().ok()? } else { return None };
    value.is_finite().then_some(Token::Float(if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        lex(text).unwrap().into_iter().map(|lexed| lexed.token).collect()
    }

    #[test]
    fn text_actions_and_trim_markers() {
        use Token::{Close, Field, Open, Quoted, Sign, Text, Variable, Word};
        assert_eq!(
            tokens("a {{- .B | join \", \" -}} \n c{{/* no */}}d {{- /* x */ -}} e{{$x := 3}}"),
            [
                Text("a"),
                Open,
                Field("B"),
                Sign("|"),
                Word("join"),
                Quoted(", ".into()),
                Close,
                Text("c"),
                Text("d"),
                Text("e"),
                Open,
                Variable("$x"),
                Sign(":="),
                Token::Int(3),
                Close,
            ]
        );
        assert_eq!(tokens("{{-3}}")[1], Token::Int(-3), "no space, no trim marker");
    }

    #[test]
    fn quotes_numbers_and_characters() {
        for (text, token) in [
            (r#"{{"a\n\"\x41\u00e9"}}"#, Token::Quoted("a\n\"Aé".into())),
            ("{{`a\\n`}}", Token::Quoted("a\\n".into())),
            ("{{'a'}}", Token::Int(97)),
            ("{{0x1F}}", Token::Int(31)),
            ("{{1_000}}", Token::Int(1000)),
            ("{{1.5e3}}", Token::Float(1500.0)),
            ("{{.5}}", Token::Float(0.5)),
        ] {
            assert_eq!(tokens(text)[1], token, "{text}");
        }
    }

    #[test]
    fn errors_name_their_place() {
        for (text, expected) in [
            ("a\n {{ .B", "2:2: unclosed action"),
            ("{{ \"x }}", "1:4: unclosed quote"),
            ("{{/* x }}", "1:1: unclosed comment"),
            ("{{ .A ; }}", "1:7: unexpected ';' in action"),
            ("{{ 0xZZ }}", "1:4: bad number \"0xZZ\""),
            ("{{ 99999999999999999999 }}", "1:4: bad number \"99999999999999999999\""),
        ] {
            assert_eq!(lex(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "[-{}a.$\"'`\\\\/*|()=: \n0-9xeé]{0,60}") {
            let _ = lex(&text);
        }
    }
}
