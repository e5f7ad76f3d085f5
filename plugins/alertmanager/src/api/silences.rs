//! `/silences` and `/silence/{id}`: list, make, change, expire.
//!
//! What the body must hold is checked here, what a silence may be by the router. It must not know
//! how silences are stored.

use serde::Serialize;
use vigie_core::alert::{MatchOp, Matcher, Matchers};
use vigie_core::clock::Timestamp;
use vigie_core::http::{Query, Request, StatusCode};
use vigie_core::route::{PostedSilence, Silence, SilenceError, SilenceState, View};

use super::error::{ApiError, BAD_FORMAT, TOO_FEW_ITEMS};
use super::filter::{flag, matchers};
use super::model::{GettableSilence, PostableMatcher, PostableSilence};

/// The answer to a POST.
#[derive(Serialize)]
pub(super) struct Created {
    #[serde(rename = "silenceID")]
    pub(super) silence_id: String,
}

/// `GET /silences`: active by end, pending by start, expired by end backwards.
pub(super) fn list<'a>(
    view: &'a View,
    query: &Query,
) -> Result<Vec<GettableSilence<'a>>, ApiError> {
    let wanted = matchers(query)?;
    let is_asked = |state| match state {
        SilenceState::Active => flag(query, "active"),
        SilenceState::Pending => flag(query, "pending"),
        SilenceState::Expired => flag(query, "expired"),
    };
    // A filter asks for silences that have this very matcher, not for those that would apply.
    let has_all = |silence: &Silence| wanted.iter().all(|m| silence.matchers.0.contains(m));
    let mut silences: Vec<&Silence> = view.silences.iter().map(|silence| &**silence).collect();
    silences.retain(|silence| is_asked(silence.state(view.now)) && has_all(silence));
    silences.sort_by_key(|silence| order(silence, view.now));
    Ok(silences.into_iter().map(|silence| GettableSilence::new(silence, view.now)).collect())
}

/// Sorts as Alertmanager lists.
pub(crate) fn order(silence: &Silence, now: Timestamp) -> (u8, i128) {
    match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at.as_nanosecond()),
        SilenceState::Pending => (1, silence.starts_at.as_nanosecond()),
        SilenceState::Expired => (2, -silence.ends_at.as_nanosecond()),
    }
}

/// `GET /silence/{id}`.
pub(super) fn get<'a>(view: &'a View, id: &str) -> Result<GettableSilence<'a>, ApiError> {
    let found = view.silences.iter().find(|silence| silence.id == id);
    let found = found.ok_or(ApiError::Empty(StatusCode::NOT_FOUND))?;
    Ok(GettableSilence::new(found, view.now))
}

/// The id of a path, if it is a UUID.
pub(super) fn id(text: &str) -> Result<&str, ApiError> {
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid.then_some(text).ok_or_else(|| {
        let message = format!("silenceID in path must be of type uuid: {text:?}");
        ApiError::Schema(BAD_FORMAT, message)
    })
}

/// `DELETE /silence/{id}`: an unknown one is answered as an unknown path is, without words.
pub(super) fn not_expired(error: SilenceError) -> ApiError {
    match error {
        SilenceError::NotFound(_) => ApiError::Empty(StatusCode::NOT_FOUND),
        other => other.into(),
    }
}

/// Why the router made no silence of what was posted.
pub(super) fn not_made(error: SilenceError) -> ApiError {
    match error {
        SilenceError::Invalid(why) => ApiError::bad_request(format!("invalid silence: {why}")),
        other => other.into(),
    }
}

/// `POST /silences`: what the body posts, not yet checked by the router.
pub(super) fn read(request: &Request, now: Timestamp) -> Result<PostedSilence, ApiError> {
    let posted: Option<PostableSilence> = super::body::read(request, "silence")?;
    let missing = |name: &str| ApiError::required(name);
    let posted = posted.ok_or_else(|| missing("comment"))?;
    let comment = posted.comment.ok_or_else(|| missing("comment"))?;
    let created_by = posted.created_by.ok_or_else(|| missing("createdBy"))?;
    let ends_at = posted.ends_at.and_then(|time| time.0).ok_or_else(|| missing("endsAt"))?;
    let matchers = posted.matchers.ok_or_else(|| missing("matchers"))?;
    if matchers.is_empty() {
        let message = "matchers in body should have at least 1 items".to_owned();
        return Err(ApiError::Schema(TOO_FEW_ITEMS, message));
    }
    let matchers = matchers.into_iter().enumerate().map(matcher).collect::<Result<_, _>>()?;
    let starts_at = posted.starts_at.and_then(|time| time.0).ok_or_else(|| missing("startsAt"))?;
    let impossible = if ends_at <= starts_at {
        Some("start time must be before end time")
    } else {
        (ends_at < now).then_some("end time can't be in the past")
    };
    if let Some(why) = impossible {
        return Err(ApiError::bad_request(format!("Failed to create silence: {why}")));
    }
    Ok(PostedSilence {
        id: posted.id.unwrap_or_default(),
        matchers: Matchers(matchers),
        starts_at,
        ends_at,
        created_by,
        comment,
        annotations: posted.annotations.unwrap_or_default(),
    })
}

fn matcher((index, posted): (usize, PostableMatcher)) -> Result<Matcher, ApiError> {
    let missing = |field| ApiError::required(format_args!("matchers.{index}.{field}"));
    let is_regex = posted.is_regex.ok_or_else(|| missing("isRegex"))?;
    let name = posted.name.ok_or_else(|| missing("name"))?;
    let value = posted.value.ok_or_else(|| missing("value"))?;
    let op = MatchOp::new(is_regex, posted.is_equal.unwrap_or(true));
    Matcher::new(&name, op, &value).map_err(|error| {
        ApiError::bad_request(format!("invalid silence: invalid label matcher {index}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use vigie_core::http::{Bytes, HeaderValue, Method, header};

    use super::*;
    use crate::sample;

    fn post(body: &str) -> Result<PostedSilence, ApiError> {
        let mut request = Request::new(Method::POST, "/api/v2/silences", "");
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = Bytes::copy_from_slice(body.as_bytes());
        read(&request, sample::at(0))
    }

    fn with_matchers(matchers: &str) -> Result<PostedSilence, ApiError> {
        post(&format!(
            r#"{{"matchers":{matchers},"startsAt":"2026-01-01T00:00:00Z",
            "endsAt":"2027-01-01T00:00:00Z","createdBy":"","comment":""}}"#
        ))
    }

    #[test]
    fn reads_what_amtool_sends() {
        let silence = with_matchers(
            r#"[{"name":"a","value":"b","isRegex":false},
                {"name":"c","value":"d|e","isRegex":true,"isEqual":false}]"#,
        );
        assert_eq!(silence.unwrap().matchers.to_string(), r#"{a="b",c!~"d|e"}"#);
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |body: &str| match post(body) {
            Err(ApiError::Schema(_, message) | ApiError::Handler(_, message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(message("{}"), "comment in body is required");
        assert_eq!(message("null"), "comment in body is required");
        let head = r#"{"comment":"","createdBy":"","endsAt":"2026-01-01T00:00:00Z","matchers":"#;
        for (matchers, expected) in [
            ("null}", "matchers in body is required"),
            ("[]}", "matchers in body should have at least 1 items"),
            (r#"[{"name":"a","value":"b"}]}"#, "matchers.0.isRegex in body is required"),
            (r#"[{"isRegex":false}]}"#, "matchers.0.name in body is required"),
            (r#"[{"isRegex":false,"name":"a","value":"b"}]}"#, "startsAt in body is required"),
        ] {
            assert_eq!(message(&format!("{head}{matchers}")), expected);
        }
        let backwards = r#"[{"isRegex":false,"name":"a","value":"b"}],
            "startsAt":"2026-01-02T00:00:00Z"}"#;
        let expected = "Failed to create silence: start time must be before end time";
        assert_eq!(message(&format!("{head}{backwards}")), expected);
    }

    #[test]
    fn bad_matchers_are_refused() {
        for matchers in [
            r#"[{"name":"a","value":"(","isRegex":true}]"#,
            r#"[{"name":"a-b","value":"b","isRegex":false}]"#,
            r#"[{"name":"a","value":".{0,999}.{0,999}.{0,999}","isRegex":true}]"#,
        ] {
            assert!(matches!(with_matchers(matchers), Err(ApiError::Handler(..))), "{matchers}");
        }
        for matchers in ["[null]", "{}", r#"[{"isRegex":"x"}]"#] {
            assert!(matches!(with_matchers(matchers), Err(ApiError::Schema(400, _))), "{matchers}");
        }
    }

    #[test]
    fn listed_by_state_and_matcher() {
        let view = sample::view();
        let states = |query| {
            let silences = list(&view, &Query::parse(query)).unwrap();
            serde_json::to_value(&silences)
                .unwrap()
                .as_array()
                .unwrap()
                .iter()
                .map(|silence| silence["status"]["state"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(states(""), ["active", "pending", "expired"]);
        assert_eq!(states("expired=false"), ["active", "pending"]);
        assert_eq!(states("filter=a=b").len(), 3);
        assert_eq!(states("filter=a=~b"), [""; 0]);
        let silence = serde_json::to_string(&get(&view, &view.silences[0].id).unwrap()).unwrap();
        let expected = concat!(
            r#"{"id":"00000000-0000-4000-8000-000000000001","status":{"state":"active"},"#,
            r#""updatedAt":"2026-01-01T00:00:00.000Z","comment":"why","createdBy":"me","#,
            r#""endsAt":"2026-01-01T01:00:00.000Z","matchers":[{"isEqual":true,"isRegex":false,"#,
            r#""name":"a","value":"b"}],"startsAt":"2026-01-01T00:00:00.000Z"}"#,
        );
        assert_eq!(silence, expected);
        assert!(matches!(get(&view, "x"), Err(ApiError::Empty(StatusCode::NOT_FOUND))));
    }

    #[test]
    fn ids_are_uuids() {
        assert!(id("8F5d7d1e-5a4b-4f5e-9a1b-000000000000").is_ok());
        for bad in ["abc", "8f5d7d1e-5a4b-4f5e-9a1b-00000000000g", "", "é"] {
            assert!(matches!(id(bad), Err(ApiError::Schema(601, _))), "{bad}");
        }
    }
}
