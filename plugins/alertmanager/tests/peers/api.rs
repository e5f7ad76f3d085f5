//! The same questions to vigie and to Debian's Alertmanager 0.25, and the same answers.
//!
//! Where a later Alertmanager answers otherwise, or a peer's answer is no answer (it drops the
//! connection on `null`), the test says so. It must not look inside either.

use std::net::SocketAddr;

use crate::support::{Ours, Theirs};
use common::{Answer, Query, SOON, get, request, wait_for};
use serde_json::{Value, json};

fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    let query = Query::new("POST", path).body("application/json", body.as_bytes());
    request(address, &query).unwrap()
}

/// Times become a word, ids a number, fields that 0.25 does not know go.
fn normal(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = normal(item.take())),
        Value::Object(fields) => {
            fields.remove("mutedBy");
            for (name, field) in fields.iter_mut() {
                *field = match name.as_str() {
                    "startsAt" | "endsAt" | "updatedAt" => time(field),
                    "id" | "silenceID" => json!("an id"),
                    "silencedBy" => json!(field.as_array().unwrap().len()),
                    _ => normal(field.take()),
                };
            }
        }
        _ => {}
    }
    value
}

/// A time that is far from now is compared, one that is about now is only known to be one.
fn time(value: &Value) -> Value {
    let text = value.as_str().unwrap();
    assert!(text.len() == 24 && text.ends_with('Z'), "milliseconds in UTC: {text}");
    if text.starts_with("2099") || text.starts_with("2020") { json!(text) } else { json!("now") }
}

fn shown(answer: &Answer) -> (u16, String) {
    let body = serde_json::from_slice(&answer.body).map(normal);
    (answer.status, body.map_or_else(|_| answer.text(), |body| body.to_string()))
}

const ALERTS: &str = r#"[
    {"labels":{"alertname":"A","severity":"critical","cluster":"x"},"annotations":{"summary":"s"},
     "generatorURL":"http://p/x","startsAt":"2020-01-01T00:00:00.1234Z",
     "endsAt":"2099-01-01T00:00:00Z"},
    {"labels":{"alertname":"B","severity":"warning","cluster":"x","empty":""}},
    {"labels":{"alertname":"B","severity":"warning","cluster":"y"}},
    {"labels":{"alertname":"C","quote":"a\"b\\c","uni":"é🔥\n"},"annotations":null},
    {"labels":{"only":"this"},"startsAt":"0001-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z"}
]"#;

const SILENCE: &str = r#"{"matchers":[{"name":"alertname","value":"C","isRegex":false},
    {"name":"quote","value":"a.*","isRegex":true},
    {"name":"none","value":"x","isRegex":false,"isEqual":false}],"startsAt":"2020-01-01T00:00:00Z",
    "endsAt":"2099-01-01T00:00:00Z","createdBy":"me","comment":"why"}"#;

#[test]
fn the_same_alerts_look_the_same() {
    let (ours, theirs) = (Ours::start(), Theirs::start());
    for address in [ours.address, theirs.address] {
        assert_eq!(post(address, "/api/v2/alerts", ALERTS).status, 200);
        assert_eq!(post(address, "/api/v2/silences", SILENCE).status, 200);
        let grouped = |answer: Answer| {
            let groups = answer.json().as_array().unwrap().len();
            if groups == 4 { Ok(()) } else { Err(format!("{groups} groups")) }
        };
        wait_for("groups", SOON, || {
            grouped(get(address, "/api/v2/alerts/groups").map_err(|e| e.to_string())?)
        });
    }
    for path in [
        "receivers",
        "alerts",
        "alerts?active=false",
        "alerts?silenced=false&inhibited=false",
        "alerts?filter=alertname=%22B%22&filter=cluster!=x",
        "alerts?filter=quote=~a.*&filter=none=",
        "alerts?filter=none=~.%2B",
        "alerts?receiver=pa.e",
        "alerts?receiver=p",
        "alerts?active=zz",
        "alerts/groups",
        "alerts/groups?inhibited=false",
        "alerts/groups?receiver=team&silenced=no",
        "silences",
        "silences?filter=alertname=C",
        "silences?filter=alertname=~C",
        "silences?filter=quote=~a.*",
    ] {
        let path = format!("/api/v2/{path}");
        let ask = |address| shown(&get(address, &path).unwrap().ok());
        let (mut ours, mut theirs) = (ask(ours.address), ask(theirs.address));
        if path.contains("groups") {
            // Alertmanager lists the alerts of a group in no order.
            (ours, theirs) = (in_order(&ours), in_order(&theirs));
        }
        assert_eq!(ours, theirs, "{path}");
    }
}

fn in_order(answer: &(u16, String)) -> (u16, String) {
    let mut groups: Value = serde_json::from_str(&answer.1).unwrap();
    for group in groups.as_array_mut().unwrap() {
        let alerts = group["alerts"].as_array_mut().unwrap();
        alerts.sort_by_key(|alert| alert["fingerprint"].to_string());
    }
    (answer.0, groups.to_string())
}

#[test]
fn the_same_requests_are_refused_the_same_way() {
    let (ours, theirs) = (Ours::start(), Theirs::start());
    let both = |ask: &dyn Fn(SocketAddr) -> Answer, what: &str| {
        let (ours, theirs) = (ask(ours.address), ask(theirs.address));
        assert_eq!(ours.status, theirs.status, "{what}: {} and {}", ours.text(), theirs.text());
        assert_eq!(ours.header("content-type"), theirs.header("content-type"), "{what}");
        (ours.text(), theirs.text())
    };
    for path in [
        "alerts?filter=a",
        "alerts?filter=",
        "alerts/groups?filter=a",
        "silences?filter=a",
        "silence/abc",
        "silence/8f5d7d1e-5a4b-4f5e-9a1b-000000000000",
        "nope",
    ] {
        let (ours, theirs) = both(&|to| get(to, &format!("/api/v2/{path}")).unwrap(), path);
        assert_eq!(ours, theirs, "{path}");
    }
    let receiver = both(&|to| get(to, "/api/v2/alerts?receiver=(").unwrap(), "receiver");
    assert!(receiver.0.starts_with("\"failed to parse receiver param: "));
    let unsupported = |to| {
        let query = Query::new("POST", "/api/v2/alerts").body("text/plain", b"[]");
        request(to, &query).unwrap()
    };
    let (ours_said, theirs_said) = both(&unsupported, "text/plain");
    assert_eq!(ours_said, theirs_said);
    for (method, path) in
        [("PUT", "alerts"), ("POST", "status"), ("OPTIONS", "silences"), ("DELETE", "receivers")]
    {
        let path = format!("/api/v2/{path}");
        both(&|to| request(to, &Query::new(method, &path)).unwrap(), method);
    }
    for (body, same_words) in [
        ("", true),
        ("{}", false),
        ("[{]", false),
        ("\"x\"", false),
        ("[[]]", false),
        ("null", true),
        (r#"[{"labels":{}}]"#, true),
        (r#"[{"labels":null}]"#, true),
        (r#"[{"annotations":{}}]"#, true),
        (r#"[{"labels":{"a":1}}]"#, false),
        (r#"[{"labels":{"a":"b"},"startsAt":"x"}]"#, false),
        (r#"[{"labels":{"a":"b"},"generatorURL":"foo"}]"#, true),
        (r#"[{"labels":{"":"c"}}]"#, true),
        (r#"[{"labels":{"a":"b"},"annotations":{"":"e"}},{"labels":{"a":""}}]"#, true),
        (
            r#"[{"labels":{"a":"b"},"startsAt":"2021-01-01T00:00:00Z",
               "endsAt":"2020-01-01T00:00:00Z"}]"#,
            true,
        ),
    ] {
        let (ours, theirs) = both(&|to| post(to, "/api/v2/alerts", body), body);
        assert!(!same_words || ours == theirs, "{body}: {ours} and {theirs}");
    }
}

#[test]
fn the_same_silences_are_refused_the_same_way() {
    let (ours, theirs) = (Ours::start(), Theirs::start());
    let silence = |change: &dyn Fn(&mut Value)| {
        let mut silence: Value = serde_json::from_str(SILENCE).unwrap();
        change(&mut silence);
        silence.to_string()
    };
    let without = |name: &'static str| {
        silence(&|silence| drop(silence.as_object_mut().unwrap().remove(name)))
    };
    let with = |name: &'static str, value: Value| silence(&|silence| silence[name] = value.clone());
    let matcher = |value: Value| with("matchers", json!([value]));
    for (body, same_words) in [
        (String::new(), true),
        ("{}".into(), true),
        ("null".into(), true),
        (without("comment"), true),
        (without("createdBy"), true),
        (without("endsAt"), true),
        (without("startsAt"), true),
        (without("matchers"), true),
        (with("matchers", json!([])), true),
        (matcher(json!({"name": "a", "value": "b"})), true),
        (matcher(json!({"value": "b", "isRegex": false})), true),
        (matcher(json!({"name": "a", "isRegex": false})), true),
        (matcher(json!({"name": "a", "value": "", "isRegex": false})), true),
        (matcher(json!({"name": "a", "value": ".*", "isRegex": true})), true),
        (matcher(json!({"name": "a", "value": "(", "isRegex": true})), false),
        (matcher(json!({"name": "", "value": "b", "isRegex": false})), false),
        (matcher(json!({"name": "a", "value": "b", "isRegex": "x"})), false),
        (with("endsAt", json!("2019-01-01T00:00:00Z")), true),
        (with("endsAt", json!("2020-01-02T00:00:00Z")), true),
        (with("endsAt", json!("soon")), false),
        (with("id", json!("8f5d7d1e-5a4b-4f5e-9a1b-000000000000")), true),
        (with("id", json!("zz")), true),
        (silence(&|_| ()), true),
    ] {
        let (ours, theirs) = (
            post(ours.address, "/api/v2/silences", &body),
            post(theirs.address, "/api/v2/silences", &body),
        );
        assert_eq!(ours.status, theirs.status, "{body}: {} and {}", ours.text(), theirs.text());
        let (status, words) = shown(&theirs);
        // The words of before 0.28, which Debian 12 has.
        let theirs = (status, words.replace("silence invalid", "invalid silence"));
        assert!(!same_words || shown(&ours) == theirs, "{body}: {ours:?} and {theirs:?}");
    }
}

#[test]
fn where_newer_alertmanagers_answer_otherwise_so_do_we() {
    let ours = Ours::start();
    let unknown = "/api/v2/silence/8f5d7d1e-5a4b-4f5e-9a1b-000000000000";
    let deleted = request(ours.address, &Query::new("DELETE", unknown)).unwrap();
    assert_eq!((deleted.status, deleted.text()), (404, String::new()), "500 before 0.26");
    assert_eq!(get(ours.address, "/api/v1/alerts").unwrap().status, 410, "gone since 0.27");
    let listed = get(ours.address, "/api/v2/alerts").unwrap();
    assert_eq!(listed.header("cache-control"), "no-store");
}

#[test]
fn hostile_bodies_are_answered() {
    let ours = Ours::start();
    let deep = "[".repeat(200_000);
    let deep_value = format!("[{{\"labels\":{{}},\"x\":{}", "[".repeat(10_000));
    for body in [
        b"[null]".as_slice(),
        b"[{\"labels\":{\"a\":null}}]",
        b"[{\"labels\":{\"a\":\"\xff\xfe\"}}]",
        b"[] x",
        b"\x00\x01\x02",
        b"\x1f\x8b\x08\x00\x00",
        deep.as_bytes(),
        deep_value.as_bytes(),
    ] {
        let query = Query::new("POST", "/api/v2/alerts").body("application/json", body);
        let refused = request(ours.address, &query).unwrap();
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("line 1 column"), "{}", refused.text());
    }
    let nulls = br#"{"matchers":[null],"startsAt":"2020-01-01T00:00:00Z","comment":"",
        "endsAt":"2099-01-01T00:00:00Z","createdBy":""}"#;
    let query = Query::new("POST", "/api/v2/silences").body("application/json", nulls);
    assert_eq!(request(ours.address, &query).unwrap().status, 400);
    let large = format!(r#"[{{"labels":{{"a":"{}"}}}}]"#, "x".repeat(70_000));
    assert_eq!(post(ours.address, "/api/v2/alerts", &large).status, 400, "a label value");
    let too_large = vec![b' '; 17 << 20];
    let query = Query::new("POST", "/api/v2/alerts").body("application/json", &too_large);
    match request(ours.address, &query) {
        Ok(refused) => assert_eq!(refused.status, 413),
        // The server may close while we still send.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert_eq!(get(ours.address, "/api/v2/alerts").unwrap().ok().json(), json!([]));
}
