//! Texts made harmless for one place: HTML, a query, a style, a script's quote.
//!
//! Pure functions from text to text with Go's tables. It must not know where in a page the text
//! goes; that is the business of the output.

/// What stands for a text that could not be made harmless (Go's word for it).
pub(super) const REFUSED: &str = "ZgotmplZ";

/// The function `html`, which text templates have too.
pub(super) fn html_function(text: &str) -> String {
    html(text).replace("&#43;", "+")
}

/// Element text and quoted attributes.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_html(&mut out, c);
    }
    out
}

fn push_html(out: &mut String, c: char) {
    match c {
        '\0' => out.push(char::REPLACEMENT_CHARACTER),
        '"' => out.push_str("&#34;"),
        '&' => out.push_str("&amp;"),
        '\'' => out.push_str("&#39;"),
        '+' => out.push_str("&#43;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

/// Attributes without quotes: also what would end them.
pub(super) fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t'..='\r' | ' ' | '=' | '`' => out.push_str(&format!("&#{};", u32::from(c))),
            c => push_html(&mut out, c),
        }
    }
    if out.is_empty() { REFUSED.to_owned() } else { out }
}

/// HTML without its tags, for an attribute.
pub(super) fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
    }
    out + rest
}

/// HTML in a quoted attribute: what is an entity stays one.
pub(super) fn quotes_only(html: &str) -> String {
    html.replace('"', "&#34;").replace('\'', "&#39;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One part of a URL: everything but unreserved characters in `%xx`.
pub(super) fn url_part(text: &str) -> String {
    percent(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// A whole URL or the begin of one: only what cannot stand in any.
pub(super) fn url(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let escaped = byte == b'%'
            && text
                .as_bytes()
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let plain = byte.is_ascii_alphanumeric() || b"-._~!#$&*+,/:;=?@[]".contains(&byte);
        if plain || escaped {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

/// Relative, or of the schemes that run nothing: Go's `isSafeURL`.
pub(super) fn is_safe_url(text: &str) -> bool {
    match text.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        _ => true,
    }
}

/// A value of a style: one that could do more than be a value is refused.
pub(super) fn css(text: &str) -> String {
    let bad = |c: char| {
        matches!(
            c,
            '\0' | '"'
                | '\''
                | '('
                | ')'
                | '/'
                | ';'
                | '@'
                | '['
                | '\\'
                | ']'
                | '`'
                | '{'
                | '}'
                | '<'
                | '>'
        )
    };
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_lowercase();
    let program = letters.contains("expression") || letters.contains("mozbinding");
    if text.contains(bad) || text.contains("--") || program {
        REFUSED.to_owned()
    } else {
        text.to_owned()
    }
}

/// A name of an attribute.
pub(super) fn attribute_name(text: &str) -> String {
    let name = text.to_ascii_lowercase();
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let harmless = ["title", "alt", "class", "id", "lang", "dir", "align", "width", "height"];
    if plain && harmless.contains(&name.as_str()) { name } else { REFUSED.to_owned() }
}

/// `url.QueryEscape`.
pub(super) fn query(text: &str) -> String {
    let keep =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b' ');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if keep(byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `url.QueryUnescape`.
///
/// # Errors
/// At a `%` without two hex digits, or when the result is not UTF-8.
pub(super) fn unquery(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                out.push(byte.ok_or("invalid URL escape")?);
                rest = &rest[2..];
            }
            byte => out.push(*byte),
        }
    }
    String::from_utf8(out).map_err(|_| "the unescaped text is not UTF-8".to_owned())
}

/// `template.JSEscapeString`.
pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}
