//! Reports over genuine logs, held against figures counted by other means.

use std::io::Write;

use super::*;
use crate::slo::tests::objective;
use crate::slo::{Codes, Goal, Verdict};

const JSON: &[u8] = include_bytes!("../../tests/logs/traefik.json.log");
const CLF: &[u8] = include_bytes!("../../tests/logs/traefik.clf.log");
const GENERIC: &[u8] = include_bytes!("../../tests/logs/traefik.gclf.log");

fn report(mut bytes: &[u8], options: Options) -> Summary {
    let mut report = Report::new(options).unwrap();
    report.read(&mut bytes, "log").unwrap();
    report.finish()
}

fn of(bytes: &[u8]) -> Summary {
    report(bytes, Options::default())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn the_figures_of_a_genuine_log_are_exact() {
    let summary = of(JSON);
    let codes = |group: &GroupSummary| serde_json::to_string(&group.codes).unwrap();
    assert_eq!((summary.lines, summary.malformed, summary.format), (24, 0, "traefik-json"));
    assert_eq!(
        codes(&summary.total),
        r#"{"200":13,"204":1,"304":1,"401":1,"404":2,"418":1,"499":1,"500":2,"502":2}"#
    );
    let requests: Vec<(&str, u64)> =
        summary.routers.iter().map(|(name, group)| (name.as_str(), group.requests)).collect();
    let expected =
        [("", 2), ("auth@file", 1), ("dead@file", 1), ("gz@file", 1), ("photos@file", 19)];
    assert_eq!(requests, expected);
    let requests: Vec<(&str, u64)> =
        summary.services.iter().map(|(name, group)| (name.as_str(), group.requests)).collect();
    assert_eq!(requests, [("", 3), ("dead@file", 1), ("photos@file", 20)]);
    assert_eq!((summary.total.aborted, summary.total.ratio_5xx), (1, 4.0 / 24.0));
    let mean = summary.total.duration_seconds.mean.unwrap();
    assert!((mean - 0.010_778_990_5).abs() < 1e-9, "{mean}");
    let within: Vec<u64> = summary.total.within.iter().map(|(_, count)| *count).collect();
    assert_eq!(within, [23, 23, 23, 24, 24, 24, 24, 24, 24], "one of 200.78 ms");
    // The excerpt has every second request of one Traefik: 1, 3, ... 47.
    assert_eq!(summary.missing, 23);
    assert_eq!(summary.first.as_deref(), Some("2026-11-20T16:10:03.288Z"));
}

#[test]
fn both_formats_give_the_same_counts() {
    let (json, clf) = (of(JSON), of(CLF));
    let text = |summary: &Summary| {
        let groups = summary.routers.iter();
        let counts: Vec<_> = groups
            .map(|(name, g)| (name.clone(), g.requests, g.codes.clone(), g.aborted))
            .collect();
        format!("{} {} {counts:?}", summary.lines, summary.missing)
    };
    assert_eq!(text(&json), text(&clf));
    // Whole milliseconds, cut.
    assert_eq!(clf.total.duration_seconds.mean, Some(0.01025));
}

#[test]
fn the_json_form_has_the_promised_keys() {
    let value = serde_json::to_value(of(JSON)).unwrap();
    assert_eq!(value["schema"], "vigie.sla/1");
    assert_eq!(value["routers"]["photos@file"]["requests"], 19);
    assert_eq!(value["services"][""]["codes"]["401"], 1);
    assert_eq!(value["total"]["within"]["0.2"], 23);
    assert_eq!(value["total"]["within"]["1"], 24);
    for key in ["mean", "p50", "p90", "p95", "p99"] {
        assert!(value["total"]["duration_seconds"][key].is_f64(), "{key}");
    }
}

#[test]
fn percentiles_are_within_one_percent() {
    let lines: String = (1..=1000)
        .map(|ms| format!("{{\"DownstreamStatus\":200,\"Duration\":{}}}\n", ms * 1_000_000))
        .collect();
    let durations = of(lines.as_bytes()).total.duration_seconds;
    for (found, exact) in
        [(durations.p50, 0.5), (durations.p90, 0.9), (durations.p95, 0.95), (durations.p99, 0.99)]
    {
        let error = (found.unwrap() / exact - 1.0).abs();
        assert!(error <= 0.011, "{found:?} for {exact}");
    }
    assert_eq!((durations.mean, durations.max), (Some(0.5005), Some(1.0)));
}

#[test]
fn gzip_is_recognised_also_in_several_members() {
    let mut bytes = gzip(JSON);
    bytes.extend(gzip(JSON));
    assert_eq!(of(&bytes).lines, 48);
}

#[test]
fn a_cut_gzip_is_an_error_after_what_was_good() {
    let lines = JSON.repeat(20);
    let bytes = gzip(&lines);
    let mut report = Report::new(Options::default()).unwrap();
    let error = report.read(&mut &bytes[..bytes.len() / 2], "x.gz").unwrap_err();
    assert!(error.to_string().starts_with("cannot read x.gz: "), "{error}");
    let summary = report.finish();
    assert!(summary.lines > 0 && summary.files[0].failed);
    assert_eq!(summary.outcome(), Outcome::Unusable);
}

#[test]
fn bad_lines_are_counted_and_the_rest_goes_on() {
    let mut bytes = b"\xff\xfe\n\nhello\n{\"level\":\"info\"}\n{\"x\":\"\xff\"}\n".to_vec();
    bytes.extend(vec![b'x'; crate::lines::MAX_LINE + 1]);
    bytes.push(b'\n');
    bytes.extend_from_slice(JSON);
    bytes.extend_from_slice(br#"{"DownstreamStatus":200}"#);
    let summary = of(&bytes);
    assert_eq!((summary.lines, summary.malformed), (31, 6));
    assert_eq!(
        serde_json::to_string(&summary.malformed_by_reason).unwrap(),
        r#"{"not_a_request":1,"syntax":3,"too_long":1,"utf8":1}"#
    );
    assert_eq!(summary.total.requests, 25, "the last line needs no newline");
}

#[test]
fn generic_lines_have_codes_but_no_durations() {
    let summary = of(GENERIC);
    assert_eq!((summary.total.requests, summary.without_duration), (24, 24));
    assert_eq!(summary.total.duration_seconds.p95, None);
}

#[test]
fn objectives_are_judged() {
    let named = |name: &str, goal| Objective { name: name.into(), ..objective(goal) };
    let millis = Duration::from_millis;
    let objectives = vec![
        named("fast", Goal::Below { threshold: millis(200), target: 0.95 }),
        named("errors", Goal::Errors { codes: Codes::parse(["5xx"]).unwrap(), target: 0.99 }),
        named("mean", Goal::Mean(millis(20))),
        named("p95", Goal::Quantile { quantile: 0.95, limit: millis(1) }),
    ];
    let summary = report(JSON, Options { objectives, ..Options::default() });
    let found: Vec<_> =
        summary.objectives.iter().map(|o| (o.name.as_str(), o.verdict, o.events, o.bad)).collect();
    // The aborted request waited 200.78 ms: too slow for "fast", excluded elsewhere.
    let expected = [
        ("fast", Verdict::Met, 24, 1),
        ("errors", Verdict::Broken, 23, 4),
        ("mean", Verdict::Met, 23, 0),
        ("p95", Verdict::Broken, 23, 0),
    ];
    assert_eq!(found, expected);
    assert_eq!(summary.outcome(), Outcome::Broken);
    assert_eq!(summary.outcome().exit_code(), 1);
    let mut text = Vec::new();
    summary.write_text(&mut text, TextStyle { color: true }).unwrap();
    assert!(String::from_utf8(text).unwrap().contains("\x1b[31mBROKEN\x1b[0m"));
}

#[test]
fn files_are_read_once_and_failures_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    std::fs::write(&path, JSON).unwrap();
    let mut report = Report::new(Options::default()).unwrap();
    let mut seen = (0, 0);
    report.read_path(&path, &mut |done, size| seen = (done, size)).unwrap();
    report.read_path(&path, &mut |_, _| ()).unwrap();
    assert_eq!(seen, (JSON.len() as u64, JSON.len() as u64));
    assert!(report.read_path(dir.path(), &mut |_, _| ()).is_err());
    assert!(report.read_path(&dir.path().join("none"), &mut |_, _| ()).is_err());
    let summary = report.finish();
    assert_eq!((summary.lines, summary.outcome()), (24, Outcome::Unusable));
}

#[test]
fn the_text_is_aligned_and_harmless() {
    let hostile = br#"{"DownstreamStatus":200,"Duration":1000000,"RouterName":"\u001b[2J"}"#;
    let mut text = Vec::new();
    of(hostile).write_text(&mut text, TextStyle::default()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains('\x1b'), "{text:?}");

    let mut text = Vec::new();
    of(JSON).write_text(&mut text, TextStyle::default()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("24 lines (traefik-json), 0 malformed, 23 missing"), "{text}");
    let total = text.lines().find(|line| line.starts_with("total")).unwrap();
    assert!(total.contains("16.67%"), "{text}");
}
