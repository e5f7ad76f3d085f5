//! Traefik's JSON access log, v1.7 to v3.
//!
//! The flat object that Traefik writes is read by one pass over its keys; whatever has another
//! shape (a nested `ServiceURL`, an escape in a text) goes to serde_json. It must not know what a
//! request is counted for.

use std::borrow::Cow;
use std::time::Duration;

use memchr::memchr2;
use serde::{Deserialize, Deserializer, de};

use super::{Format, time};
use crate::record::{Aborted, CLIENT_CLOSED_REQUEST, Malformed, Record};

/// `accessLog: {format: json}`.
pub(super) static FORMAT: Format =
    Format { name: "traefik-json", help: "Traefik's accessLog.format: json (v1.7 to v3)", parse };

fn parse(line: &[u8]) -> Result<Record<'_>, Malformed> {
    if line.first() != Some(&b'{') {
        return Err(Malformed::Syntax);
    }
    let text = std::str::from_utf8(line).map_err(|_| Malformed::Utf8)?;
    let fields = match scan(text) {
        Some(fields) => fields,
        None => serde_json::from_str(text).map_err(|_| Malformed::Syntax)?,
    };
    fields.into_record().ok_or(Malformed::NotARequest)
}

/// The keys that matter, by Traefik's names (v3 `pkg/middlewares/accesslog/logdata.go`; v1.7 had
/// frontends and backends). Any may be missing: `accessLog.fields` drops them at will.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "PascalCase")]
struct Fields<'a> {
    downstream_status: Option<i64>,
    origin_status: Option<i64>,
    /// Nanoseconds.
    duration: Option<i64>,
    /// Nanoseconds.
    origin_duration: Option<i64>,
    request_content_size: Option<i64>,
    downstream_content_size: Option<i64>,
    request_count: Option<i64>,
    #[serde(borrow, deserialize_with = "text")]
    request_method: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text")]
    request_path: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text", alias = "FrontendName")]
    router_name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text", alias = "BackendName")]
    service_name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text", rename = "entryPointName")]
    entry_point: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text", rename = "StartUTC")]
    start_utc: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text")]
    start_local: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "text", rename = "time")]
    time: Cow<'a, str>,
}

impl<'a> Fields<'a> {
    /// `None` for an object that says nothing of a request.
    fn into_record(self) -> Option<Record<'a>> {
        let speaks = self.downstream_status.is_some()
            || self.origin_status.is_some()
            || self.duration.is_some()
            || self.request_count.is_some()
            || !self.request_method.is_empty();
        if !speaks {
            return None;
        }
        let duration = self.duration.map(nanos);
        let upstream = self.origin_duration.filter(|_| self.origin_status != Some(0)).map(nanos);
        Some(Record {
            end: self.end(duration),
            duration,
            upstream,
            code: self.code(),
            aborted: self.aborted(),
            method: self.request_method,
            path: self.request_path,
            router: without_dash(self.router_name),
            service: without_dash(self.service_name),
            entrypoint: self.entry_point,
            request_bytes: self.request_content_size.and_then(|n| n.try_into().ok()),
            response_bytes: self.downstream_content_size.and_then(|n| n.try_into().ok()),
            number: self.request_count.and_then(|n| n.try_into().ok()),
        })
    }

    fn code(&self) -> u16 {
        let status = self.downstream_status.or(self.origin_status);
        status
            .and_then(|status| u16::try_from(status).ok())
            .filter(|code| *code < 1000)
            .unwrap_or(0)
    }

    /// The log's own time is that of the end, in whole seconds: good enough where the start was
    /// dropped.
    fn end(&self, duration: Option<Duration>) -> Option<i64> {
        let start = time::rfc3339(self.start_utc.as_bytes())
            .or_else(|| time::rfc3339(self.start_local.as_bytes()));
        match start {
            Some(start) => {
                let millis = i64::try_from(duration.unwrap_or_default().as_millis()).ok()?;
                start.checked_add(millis)
            }
            None => time::rfc3339(self.time.as_bytes()),
        }
    }

    /// A body that was cut leaves no origin status although a service was chosen. An upgraded
    /// connection has none either, and a middleware that answers chooses no service.
    fn aborted(&self) -> Option<Aborted> {
        let code = self.code();
        let served = !without_dash(Cow::Borrowed(&self.service_name)).is_empty();
        if code == CLIENT_CLOSED_REQUEST {
            Some(Aborted::ClientBefore)
        } else if self.origin_status == Some(0) && served && code != 101 {
            Some(Aborted::BodyCut)
        } else {
            None
        }
    }
}

/// A clock that steps back makes a negative duration.
fn nanos(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.try_into().unwrap_or(0))
}

fn without_dash(name: Cow<'_, str>) -> Cow<'_, str> {
    if name == "-" { Cow::Borrowed("") } else { name }
}

/// A text that is borrowed when it can be; `null` is the same as an absent key.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct Text;
    impl<'de> de::Visitor<'de> for Text {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text")
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }
    }
    deserializer.deserialize_any(Text)
}

/// Reads a flat object of texts without escapes, numbers and words; `None` for any other shape,
/// among them everything that is not JSON.
fn scan(text: &str) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    let mut rest = text.strip_prefix('{')?;
    loop {
        let (key, after) = quoted(rest)?;
        let value = after.strip_prefix(':')?;
        let slot = fields.slot(key);
        rest = if value.starts_with('"') {
            let (value, after) = quoted(value)?;
            match slot {
                Slot::Text(field) => *field = Cow::Borrowed(value),
                Slot::Number(_) => return None,
                Slot::Other => {}
            }
            after
        } else {
            let end = value.bytes().position(|byte| matches!(byte, b',' | b'}'))?;
            let (value, after) = value.split_at(end);
            match slot {
                Slot::Number(field) => *field = Some(integer(value.as_bytes())?),
                Slot::Other if is_plain(value.as_bytes()) => {}
                _ => return None,
            }
            after
        };
        match rest.as_bytes() {
            [b',', ..] => rest = &rest[1..],
            b"}" => return Some(fields),
            _ => return None,
        }
    }
}

/// A text at the start of `rest`, without its quotes, and what follows it.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix('"')?;
    let end = memchr2(b'"', b'\\', rest.as_bytes())?;
    let (text, after) = rest.split_at(end);
    Some((text, after.strip_prefix('"')?))
}

/// A word or a number that nobody asks for.
fn is_plain(value: &[u8]) -> bool {
    if matches!(value, b"true" | b"false" | b"null") {
        return true;
    }
    let mut halves = value.splitn(2, |byte| *byte == b'.');
    let whole = halves.next().and_then(integer).is_some();
    let decimals = halves.next().is_none_or(|d| !d.is_empty() && d.iter().all(u8::is_ascii_digit));
    whole && decimals
}

/// A whole number as JSON writes it: no plus sign, no leading zeros.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    // Eighteen digits fit into 64 bits; more go the careful way.
    let canonical = matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && digits.len() <= 18;
    if !canonical {
        return None;
    }
    let value = digits.iter().try_fold(0_i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })?;
    Some(if digits.len() < text.len() { -value } else { value })
}

/// Where the value of a key goes.
enum Slot<'f, 'a> {
    Text(&'f mut Cow<'a, str>),
    Number(&'f mut Option<i64>),
    Other,
}

impl<'a> Fields<'a> {
    fn slot(&mut self, key: &str) -> Slot<'_, 'a> {
        match key {
            "DownstreamStatus" => Slot::Number(&mut self.downstream_status),
            "OriginStatus" => Slot::Number(&mut self.origin_status),
            "Duration" => Slot::Number(&mut self.duration),
            "OriginDuration" => Slot::Number(&mut self.origin_duration),
            "RequestContentSize" => Slot::Number(&mut self.request_content_size),
            "DownstreamContentSize" => Slot::Number(&mut self.downstream_content_size),
            "RequestCount" => Slot::Number(&mut self.request_count),
            "RequestMethod" => Slot::Text(&mut self.request_method),
            "RequestPath" => Slot::Text(&mut self.request_path),
            "RouterName" | "FrontendName" => Slot::Text(&mut self.router_name),
            "ServiceName" | "BackendName" => Slot::Text(&mut self.service_name),
            "entryPointName" => Slot::Text(&mut self.entry_point),
            "StartUTC" => Slot::Text(&mut self.start_utc),
            "StartLocal" => Slot::Text(&mut self.start_local),
            "time" => Slot::Text(&mut self.time),
            _ => Slot::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GENUINE: &str = include_str!("../../tests/logs/traefik.json.log");

    fn record(line: &str) -> Record<'_> {
        parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_genuine_line_is_read_whole() {
        let record = record(GENUINE.lines().next().unwrap());
        assert_eq!(record.end, Some(1_795_191_003_288), "start .287285175 and 1.0115 ms");
        assert_eq!(record.duration, Some(Duration::from_nanos(1_011_500)));
        assert_eq!(record.upstream, Some(Duration::from_nanos(884_742)));
        assert_eq!((record.code, &*record.method, &*record.path), (200, "GET", "/s/200/0"));
        assert_eq!((&*record.router, &*record.service), ("photos@file", "photos@file"));
        assert_eq!((&*record.entrypoint, record.number), ("web", Some(1)));
        assert_eq!((record.request_bytes, record.response_bytes), (Some(0), Some(12)));
        assert_eq!(record.aborted, None);
    }

    #[test]
    fn the_scan_reads_genuine_lines_as_serde_does() {
        let mut scanned = 0;
        for line in GENUINE.lines() {
            let expected: Fields<'_> = serde_json::from_str(line).unwrap();
            if let Some(fields) = scan(line) {
                assert_eq!(fields, expected);
                scanned += 1;
            }
        }
        assert_eq!(scanned, 22, "the two lines with escapes take the other way");
    }

    #[test]
    fn old_names_and_nested_urls_are_understood() {
        let line = r#"{"BackendName":"b","BackendURL":{"Scheme":"http","Host":"h","Path":""},"DownstreamStatus":200,"Duration":5,"FrontendName":"f","OriginStatus":200}"#;
        let record = record(line);
        assert_eq!((&*record.router, &*record.service), ("f", "b"));
        assert_eq!(record.aborted, None);
    }

    #[test]
    fn cut_exchanges_are_told_apart() {
        let cut =
            r#"{"DownstreamStatus":200,"OriginDuration":0,"OriginStatus":0,"ServiceName":"a@b"}"#;
        assert_eq!(record(cut).aborted, Some(Aborted::BodyCut));
        assert_eq!(record(cut).upstream, None);
        let left = r#"{"DownstreamStatus":499,"OriginStatus":499,"ServiceName":"a@b"}"#;
        assert_eq!(record(left).aborted, Some(Aborted::ClientBefore));
        for whole in [
            r#"{"DownstreamStatus":401,"OriginStatus":0,"RouterName":"a@b"}"#,
            r#"{"DownstreamStatus":101,"OriginStatus":0,"ServiceName":"a@b"}"#,
        ] {
            assert_eq!(record(whole).aborted, None, "{whole}");
        }
    }

    #[test]
    fn odd_values_do_no_harm() {
        let odd = r#"{"DownstreamStatus":-5,"Duration":-1,"RequestCount":-3,"RouterName":null,"StartUTC":"x"}"#;
        let record = record(odd);
        assert_eq!((record.code, record.number, record.end), (0, None, None));
        assert_eq!(record.duration, Some(Duration::ZERO));
        for (line, reason) in [
            (&b"{\"level\":\"info\",\"msg\":\"ready\"}"[..], Malformed::NotARequest),
            (b"{}", Malformed::NotARequest),
            (b"{\"DownstreamStatus\":\"200\"}", Malformed::Syntax),
            (b"{\"DownstreamStatus\":200", Malformed::Syntax),
            (b"{\"DownstreamStatus\":200}}", Malformed::Syntax),
            (b"{\"DownstreamStatus\":200,\"x\":\"\xff\"}", Malformed::Utf8),
            (b"", Malformed::Syntax),
        ] {
            assert_eq!(parse(line), Err(reason), "{}", String::from_utf8_lossy(line));
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            any::<i64>().prop_map(Into::into),
            any::<u16>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            "[a-z@/ \"\\\\é-]{0,8}".prop_map(Into::into),
            Just(serde_json::Value::Null),
            Just(serde_json::json!({"Duration": 1, "a": [1, "}"]})),
        ]
    }

    const KEYS: &str = "(DownstreamStatus|Duration|OriginStatus|RouterName|ServiceName|time|x|y)";

    proptest! {
        #[test]
        fn what_the_scan_reads_serde_reads_alike(
            object in proptest::collection::btree_map(KEYS, value(), 0..6),
        ) {
            let text = serde_json::to_string(&object).unwrap();
            if let Some(fields) = scan(&text) {
                prop_assert_eq!(fields, serde_json::from_str::<Fields<'_>>(&text).unwrap());
            }
        }

        #[test]
        fn damaged_lines_are_an_answer(
            line in 0..24_usize,
            at in any::<proptest::sample::Index>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut text = GENUINE.lines().nth(line).unwrap().as_bytes().to_vec();
            let at = at.index(text.len());
            text.splice(at..(at + bytes.len()).min(text.len()), bytes);
            let _ = parse(&text);
        }
    }
}
