//! `/alerts`: the alerts that fire, and where new ones are posted.
//!
//! Prometheus posts here, amtool and Grafana read here. It must not know groups.

use vigie_core::alert::PostedAlert;
use vigie_core::http::{Query, Request};
use vigie_core::route::View;

use super::error::{ApiError, BAD_FORMAT};
use super::filter::AlertFilter;
use super::model::{GettableAlert, PostableAlert};

/// Bytes of a link; Prometheus puts a whole expression into it.
const URL_LIMIT: usize = 64 << 10;

/// `GET /alerts`: by fingerprint.
pub(super) fn list<'a>(view: &'a View, query: &Query) -> Result<Vec<GettableAlert<'a>>, ApiError> {
    let filter = AlertFilter::from_query(query)?;
    let alerts = view.alerts.iter().filter(|alert| {
        alert.receivers.iter().any(|name| filter.receiver(name)) && filter.alert(alert)
    });
    Ok(alerts.map(|alert| GettableAlert::from(&**alert)).collect())
}

/// `POST /alerts`: what the body posts, not yet checked by the alert model.
pub(super) fn read(request: &Request) -> Result<Vec<PostedAlert>, ApiError> {
    let posted: Option<Vec<PostableAlert>> = super::body::read(request, "alerts")?;
    posted.unwrap_or_default().into_iter().enumerate().map(receive).collect()
}

fn receive((index, alert): (usize, PostableAlert)) -> Result<PostedAlert, ApiError> {
    let url = alert.generator_url.unwrap_or_default();
    if !url.is_empty() && !is_uri(&url) {
        let message = format!("{index}.generatorURL in body must be of type uri: {url:?}");
        return Err(ApiError::Schema(BAD_FORMAT, message));
    }
    Ok(PostedAlert {
        labels: alert.labels.ok_or_else(|| ApiError::required(format!("{index}.labels")))?,
        annotations: alert.annotations.unwrap_or_default(),
        starts_at: alert.starts_at.unwrap_or_default().0,
        ends_at: alert.ends_at.unwrap_or_default().0,
        generator_url: url,
    })
}

/// As Go's `url.ParseRequestURI`: absolute, or a path from the root.
fn is_uri(url: &str) -> bool {
    let scheme = url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    url.len() <= URL_LIMIT
        && (scheme || url.starts_with('/'))
        && !url.bytes().any(|byte| byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vigie_core::http::{Bytes, HeaderValue, Method, header};

    use super::*;
    use crate::sample;

    fn post(body: &[u8]) -> Result<Vec<PostedAlert>, ApiError> {
        let mut request = Request::new(Method::POST, "/api/v2/alerts", "");
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Bytes::copy_from_slice(body);
        read(&request)
    }

    fn code(body: &str) -> u16 {
        match post(body.as_bytes()) {
            Err(ApiError::Schema(code, _)) => code,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn reads_what_amtool_sends() {
        let body = br#"[{"annotations":{"x":"y"},"endsAt":"0001-01-01T00:00:00.000Z","startsAt":
            "2026-11-20T18:00:00.000Z","labels":{"alertname":"foo"},"unknown":[{}]}]"#;
        let alerts = post(body).unwrap();
        assert_eq!(alerts[0].labels.get("alertname"), "foo");
        assert_eq!(alerts[0].annotations.get("x"), "y");
        assert!(alerts[0].starts_at.is_some() && alerts[0].ends_at.is_none());
        assert!(post(b"null").unwrap().is_empty() && post(b"[]").unwrap().is_empty());
    }

    #[test]
    fn refuses_what_is_no_alert() {
        for (body, expected) in [
            ("[null]", 400),
            ("[[]]", 400),
            ("{}", 400),
            (r#"[{"labels":{"a":1}}]"#, 400),
            (r#"[{"labels":{"a":null}}]"#, 400),
            (r#"[{"labels":{"a":"b"},"startsAt":"x"}]"#, 400),
            (r#"[{"labels":{"a":"b"},"startsAt":12}]"#, 400),
            (r#"[{"labels":null}]"#, 602),
            (r#"[{"annotations":{"a":"b"}}]"#, 602),
            (r#"[{"labels":{"a":"b"},"generatorURL":"foo"}]"#, 601),
            (r#"[{"labels":{"a":"b"},"generatorURL":"http://a\u0000"}]"#, 601),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
        let message = "1.labels in body is required";
        let second = post(br#"[{"labels":{}},{}]"#);
        assert!(matches!(second, Err(ApiError::Schema(602, m)) if m == message));
    }

    #[test]
    fn lists_as_alertmanager_does() {
        let view = sample::view();
        let shown = list(&view, &Query::parse("receiver=page")).unwrap();
        let shown = serde_json::to_string(&shown).unwrap();
        let expected = concat!(
            r#"[{"annotations":{"summary":"s"},"endsAt":"2026-01-01T00:05:00.000Z","#,
            r#""fingerprint":"3faafd8e0b61e953","receivers":[{"name":"page"}],"#,
            r#""startsAt":"2026-01-01T00:00:00.000Z","status":{"inhibitedBy":[],"mutedBy":[],"#,
            r#""silencedBy":[],"state":"active"},"updatedAt":"2026-01-01T00:00:00.000Z","#,
            r#""generatorURL":"http://p/x","#,
            r#""labels":{"alertname":"A","cluster":"x","severity":"critical"}}]"#,
        );
        assert_eq!(shown, expected);
        assert_eq!(list(&view, &Query::parse("")).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = post(&body);
        }

        #[test]
        fn any_json_is_an_answer(body in r#"[\[\]{}:,"a-c0-9]{0,40}"#) {
            let _ = post(body.as_bytes());
        }
    }
}
