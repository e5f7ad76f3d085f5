//! Traefik's common log format, v1.4 to v3, and its `genericCLF`.
//!
//! Nothing in such a line is escaped for sure, so it is read from both ends: date and request from
//! the left, the last four fields from the right. It must not know what a request is counted for.

use std::borrow::Cow;
use std::time::Duration;

use memchr::{memchr_iter, memmem, memrchr};

use super::{Format, time};
use crate::record::{Aborted, CLIENT_CLOSED_REQUEST, Malformed, Record};

/// `accessLog: {format: common}`, Traefik's default.
pub(super) static FORMAT: Format = Format {
    name: "traefik-clf",
    help: "Traefik's accessLog.format: common (its default), and genericCLF, which has no durations",
    parse,
};

/// `HOST - USER [DATE] "METHOD PATH PROTO" STATUS SIZE "REFERER" "UA" COUNT "ROUTER" "URL" Nms`
fn parse(line: &[u8]) -> Result<Record<'_>, Malformed> {
    read(line).ok_or(Malformed::Syntax)
}

fn read(line: &[u8]) -> Option<Record<'_>> {
    let (start, rest) = date(line)?;
    let (request, rest) = request(rest)?;
    let (status, rest) = word(rest)?;
    let (size, rest) = word(rest)?;
    let tail = match Tail::read(rest) {
        Some(tail) => tail,
        None if is_generic(rest) => Tail::default(),
        None => return None,
    };
    let code = code(status)?;
    let millis = i64::try_from(tail.millis.unwrap_or(0)).ok()?;
    let router = text(tail.router);
    let service = if tail.url.is_empty() { Cow::Borrowed("") } else { router.clone() };
    Some(Record {
        end: Some(start.checked_add(millis)?),
        duration: tail.millis.map(Duration::from_millis),
        code,
        method: text(request.method),
        path: text(request.path),
        service,
        router,
        response_bytes: number(size),
        number: tail.number,
        aborted: (code == CLIENT_CLOSED_REQUEST).then_some(Aborted::ClientBefore),
        ..Record::default()
    })
}

/// The date, and what follows `] "`. The host may be a whole X-Forwarded-For header and the user
/// may hold anything, so the first bracket with a date in it counts.
fn date(line: &[u8]) -> Option<(i64, &[u8])> {
    const LENGTH: usize = 26;
    memchr_iter(b'[', line).find_map(|at| {
        let (head, rest) = line.split_at(at);
        let (date, rest) = rest.get(1..)?.split_at_checked(LENGTH)?;
        let rest = rest.strip_prefix(b"] \"")?;
        memmem::find(head, b" - ")?;
        Some((time::clf(date)?, rest))
    })
}

struct Request<'a> {
    method: &'a [u8],
    path: &'a [u8],
}

/// The request, and what follows its closing quote. Quotes in a query are written raw: the one
/// that closes stands behind the protocol.
fn request(text: &[u8]) -> Option<(Request<'_>, &[u8])> {
    memchr_iter(b'"', text).find_map(|at| {
        let (request, rest) = text.split_at(at);
        let rest = rest.strip_prefix(b"\" ")?;
        let (target, protocol) = split_last(request)?;
        let version = protocol.strip_prefix(b"HTTP/")?;
        version.first().filter(|byte| byte.is_ascii_digit())?;
        let space = target.iter().position(|byte| *byte == b' ')?;
        Some((Request { method: &target[..space], path: &target[space + 1..] }, rest))
    })
}

/// What stands behind the sizes, read from the right.
#[derive(Default)]
struct Tail<'a> {
    number: Option<u64>,
    router: &'a [u8],
    url: &'a [u8],
    millis: Option<u64>,
}

impl<'a> Tail<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (rest, millis) = split_last(text.strip_suffix(b"ms")?)?;
        let (rest, url) = name_at_end(rest)?;
        let (rest, router) = name_at_end(rest)?;
        let (agents, count) = split_last(rest)?;
        // The referer and the user agent remain; they may hold anything.
        let quoted = agents.starts_with(b"\"") && agents.ends_with(b"\"");
        let number = if count == b"-" { None } else { Some(number(count)?) };
        quoted.then_some(Tail { number, router, url, millis: Some(self::number(millis)?) })
    }
}

/// A quoted name or a bare `-` at the end, and what stands before it and a space.
fn name_at_end(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text.strip_suffix(b"\"") {
        Some(open) => {
            let quote = memrchr(b'"', open)?;
            let name = &open[quote + 1..];
            let name = if name == b"-" { &[][..] } else { name };
            Some((open[..quote].strip_suffix(b" ")?, name))
        }
        None => Some((text.strip_suffix(b" -")?, &[])),
    }
}

/// `"REFERER" "UA"` and nothing more. This form came when quotes were already escaped, so that any
/// other number of quotes means a torn line.
fn is_generic(text: &[u8]) -> bool {
    let mut escaped = false;
    let quotes = text.iter().filter(|byte| {
        let counts = **byte == b'"' && !escaped;
        escaped = **byte == b'\\' && !escaped;
        counts
    });
    quotes.count() == 4 && text.starts_with(b"\"") && text.ends_with(b"\"")
}

fn split_last(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memrchr(b' ', text)?;
    Some((&text[..space], &text[space + 1..]))
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

/// `-` where Traefik answered itself, before v2.10; v1.4 wrote `%!d(<nil>)` instead.
fn code(status: &[u8]) -> Option<u16> {
    match status {
        b"-" | b"%!d(<nil>)" => Some(0),
        [_] | [_, _] | [_, _, _] => u16::try_from(number(status)?).ok(),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |sum: u64, b| b.is_ascii_digit().then(|| sum * 10 + u64::from(b - b'0')))
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GENUINE: &[u8] = include_bytes!("../../tests/logs/traefik.clf.log");

    fn record(line: &str) -> Record<'_> {
        parse(line.as_bytes()).unwrap_or_else(|_| panic!("{line}"))
    }

    #[test]
    fn a_line_is_read_whole() {
        let record = record(
            r#"127.0.0.1 - - [20/Nov/2026:16:10:03 +0000] "GET /s/500/20 HTTP/1.1" 500 12 "-" "curl/8" 7 "photos@file" "http://127.0.0.1:28081" 22ms"#,
        );
        assert_eq!(record.end, Some(1_795_191_003_022));
        assert_eq!(record.duration, Some(Duration::from_millis(22)));
        assert_eq!((record.code, &*record.method, &*record.path), (500, "GET", "/s/500/20"));
        assert_eq!((&*record.router, &*record.service), ("photos@file", "photos@file"));
        assert_eq!((record.number, record.response_bytes), (Some(7), Some(12)));
    }

    #[test]
    fn hostile_fields_do_not_move_the_others() {
        let tail = r#"7 "photos@file" "http://b" 22ms"#;
        for (host, request, agents) in [
            ("10.9.8.7, 1.2.3.4 - -", "GET / HTTP/1.1", r#""-" "-""#),
            ("::1 - jean dupont [x]", "GET / HTTP/1.1", r#""-" "-""#),
            ("::1 - -", r#"GET /?q="quoted"\back HTTP/1.1"#, r#""-" "-""#),
            ("::1 - -", r#"GET /?q=" 200 12 HTTP/2.0"#, r#""-" "-""#),
            ("::1 - -", "GET / HTTP/1.1", r#""a" "ends with \""#),
            ("::1 - -", "GET / HTTP/1.1", r#""a "b" c" "9 "evil" "x" 1ms""#),
        ] {
            let line =
                format!("{host} [20/Nov/2026:16:10:03 +0000] \"{request}\" 404 12 {agents} {tail}");
            let record = record(&line);
            assert_eq!((record.code, record.number), (404, Some(7)), "{line}");
            assert_eq!((&*record.method, &*record.router), ("GET", "photos@file"), "{line}");
            assert_eq!(record.duration, Some(Duration::from_millis(22)), "{line}");
        }
    }

    #[test]
    fn dashes_stand_for_nothing() {
        let head = r#"::1 - - [20/Nov/2026:16:10:03 +0000] "GET / HTTP/1.1""#;
        for (middle, tail) in [("- -", "- \"-\""), ("%!d(<nil>) %!d(<nil>)", "\"-\" \"-\"")] {
            let line = format!("{head} {middle} \"-\" \"-\" 3 {tail} 0ms");
            let record = record(&line);
            assert_eq!((record.code, record.response_bytes), (0, None));
            assert_eq!((&*record.router, &*record.service), ("", ""));
        }
        let line = format!("{head} 401 17 \"-\" \"-\" 3 \"auth@file\" \"-\" 0ms");
        let record = record(&line);
        assert_eq!((&*record.router, &*record.service), ("auth@file", ""), "Traefik answered");
    }

    #[test]
    fn the_generic_form_has_no_duration() {
        let generic = include_bytes!("../../tests/logs/traefik.gclf.log");
        for line in generic.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = parse(line).unwrap();
            assert_eq!((record.duration, record.number, &*record.router), (None, None, ""));
            assert!(record.code >= 200);
        }
    }

    #[test]
    fn torn_lines_are_refused() {
        let line = GENUINE.split(|byte| *byte == b'\n').next().unwrap();
        // The whole line, and the line up to its user agent, which is a generic one.
        let generic = line.len() - r#" 1 "photos@file" "http://127.0.0.1:28081" 1ms"#.len();
        for end in (0..line.len()).filter(|end| *end != generic) {
            assert_eq!(parse(&line[..end]), Err(Malformed::Syntax), "cut at {end}");
        }
        assert!(parse(line).is_ok() && parse(&line[..generic]).is_ok());
    }

    #[test]
    fn invalid_utf8_is_no_obstacle() {
        let line = b"::1 - - [20/Nov/2026:16:10:03 +0000] \"GET /\xff HTTP/1.1\" 200 1 \"\xfe\" \"\xfd\" 3 \"a\" \"b\" 0ms";
        assert_eq!(parse(line).unwrap().path, "/\u{fffd}");
    }

    proptest! {
        #[test]
        fn fields_come_back(
            host in "[0-9., :]{1,20}", user in "[a-z \\[\\]]{1,10}", path in "/[!-~é]{0,30}",
            agent in "[ -~]{0,30}", code in 100..600_u16, count in 1..1_000_000_u64,
            router in "[a-z0-9@-]{2,20}", millis in 0..1_000_000_u64,
        ) {
            let line = format!(
                "{host} - {user} [20/Nov/2026:16:10:03 +0000] \"GET {path} HTTP/1.1\" {code} 5 \"-\" \"{agent}\" {count} \"{router}\" \"http://b\" {millis}ms"
            );
            let record = parse(line.as_bytes()).unwrap();
            prop_assert_eq!(record.code, code);
            prop_assert_eq!(record.path, path);
            prop_assert_eq!(record.router, router);
            prop_assert_eq!(record.number, Some(count));
            prop_assert_eq!(record.duration, Some(Duration::from_millis(millis)));
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
