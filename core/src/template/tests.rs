//! Templates as users write them, from text to text.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::alert::{Alert, LabelSet};
use crate::notify::Reason;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn alert(instance: &str, ends: i64) -> Arc<Alert> {
    let labels = [("alertname", "Down"), ("instance", instance), ("job", "node")];
    let annotations = [("summary", "it is <down> & out"), ("runbook", "https://x.example/a?b=c d")];
    Arc::new(Alert {
        labels: LabelSet::new(labels),
        annotations: LabelSet::new(annotations),
        starts_at: at(1_700_000_000),
        ends_at: at(ends),
        updated_at: at(1_700_000_000),
        generator_url: "http://prom.example/graph?g0.expr=up%3D%3D0&g0.tab=1".into(),
        timeout: false,
    })
}

/// Two alerts, the second of which is resolved.
fn notification() -> Notification {
    let now = at(1_700_000_600);
    let mut of = Notification::new("team".into(), "{}:{}".into(), Reason::FirstNotification, now);
    of.group_labels = LabelSet::new([("alertname", "Down")]);
    of.alerts = vec![alert("a:9100", 1_700_009_000), alert("b:9100", 1_700_000_300)];
    of.external_url = "http://vigie.example:9094".into();
    of
}

fn text(template: &str) -> String {
    Templates::default().text(template, &notification()).unwrap()
}

fn html(template: &str) -> String {
    Templates::default().html(template, &notification()).unwrap()
}

fn error(template: &str) -> String {
    Templates::default().text(template, &notification()).unwrap_err().to_string()
}

#[test]
fn the_default_templates_are_templates() {
    for (name, text) in DEFAULTS {
        assert!(read(text).is_ok(), "{name}: {:?}", read(text).map(drop));
    }
    let templates = Templates::default();
    for name in templates.set.keys() {
        templates.check(&format!("{{{{ template {name:?} . }}}}")).unwrap();
    }
}

#[test]
fn what_users_write() {
    for (template, expected) in [
        (
            "{{ .Receiver }} {{ .Status }} {{ .ExternalURL }}",
            "team firing http://vigie.example:9094",
        ),
        ("{{ .Alerts.Firing | len }}/{{ len .Alerts.Resolved }}/{{ .Alerts | len }}", "1/1/2"),
        ("{{ .GroupLabels.SortedPairs.Values | join \" \" }}", "Down"),
        (
            "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}",
            "alertname=Down;job=node;",
        ),
        ("{{ (.CommonLabels.Remove .GroupLabels.Names).Values.Join \",\" }}", "node"),
        (
            "{{ range $i, $a := .Alerts }}{{ $i }}:{{ $a.Labels.instance }} {{ end }}",
            "0:a:9100 1:b:9100 ",
        ),
        ("{{ range $k, $v := .GroupLabels }}{{ $k }}={{ $v }}{{ end }}", "alertname=Down"),
        (
            "[{{ .CommonLabels.nope }}] {{ if .CommonLabels.nope }}a{{ else if eq .Status \"firing\" }}b{{ else }}c{{ end }}",
            "[] b",
        ),
        (
            "{{ with .CommonAnnotations.summary }}{{ . }}{{ else }}none{{ end }}",
            "it is <down> & out",
        ),
        (
            "{{ (index .Alerts 0).StartsAt.Format \"2006-01-02 15:04:05 MST\" }}",
            "2023-11-14 22:13:20 UTC",
        ),
        (
            "{{ (index .Alerts 0).StartsAt }} {{ (index .Alerts 0).EndsAt.IsZero }}",
            "2023-11-14 22:13:20 +0000 UTC true",
        ),
        ("{{ (index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt }}", "5m0s"),
        ("{{ since (index .Alerts 0).StartsAt | humanizeDuration }}", "10m 0s"),
        (
            "{{ (index .Alerts 0).StartsAt | tz \"Europe/Paris\" | date \"15:04 MST\" }}",
            "23:13 CET",
        ),
        ("{{ printf \"%s-%d\" .Receiver (len .Alerts) }}", "team-2"),
        ("{{ .Status | toUpper | printf \"%s!%s\" \"a\" }}", "a!FIRING"),
        ("{{ reReplaceAll \"(.*):.*\" \"$1\" (index .Alerts 0).Labels.instance }}", "a"),
        ("{{ if and (match \"^D\" .GroupLabels.alertname) (not false) }}y{{ end }}", "y"),
        ("{{ $x := 1 }}{{ range .Alerts }}{{ $x = 2 }}{{ break }}{{ end }}{{ $x }}", "2"),
        (
            "{{ range .Alerts }}{{ if eq .Status \"firing\" }}{{ continue }}{{ end }}{{ .Status }}{{ end }}",
            "resolved",
        ),
        (
            "a  {{- /* no */ -}}  b {{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" .Status }}",
            "ab <firing>",
        ),
        ("{{ block \"own\" .Receiver }}({{ . }}){{ end }}", "(team)"),
        (
            "{{ list 1 \"a\" | toJson }} {{ (dict \"k\" (list)).k | len }} {{ .GroupLabels | toJson }}",
            "[1,\"a\"] 0 {\"alertname\":\"Down\"}",
        ),
        ("{{ urlUnescape \"a%20b+c\" }} {{ \"a b&c\" | urlquery }}", "a b c a+b%26c"),
        ("{{ .NotificationReason }}", "first notification"),
        (
            "{{ eq .Status \"x\" \"firing\" }} {{ or .CommonLabels.nope \"-\" }} {{ and 1 0 }}",
            "true - 0",
        ),
        (
            "{{ slice .Receiver 1 3 }} {{ index .GroupLabels \"alertname\" }} {{ stringSlice \"a\" \"b\" | join \"+\" }}",
            "ea Down a+b",
        ),
        (
            "{{ .GroupLabels }} {{ .Alerts.Firing.Resolved }} {{ nil | print }}",
            "alertname=Down [] <nil>",
        ),
        (
            "{{ .CommonLabels.SortedPairs }}|{{ printf \"%q %x %T\" .GroupLabels .GroupLabels.SortedPairs .GroupLabels.SortedPairs }}|{{ (.GroupLabels.Remove .GroupLabels.Names).SortedPairs }}",
            "alertname=Down, job=node|\"alertname=Down\" 616c6572746e616d653d446f776e template.Pairs|",
        ),
    ] {
        let template = template.replace("{{ nil | print }}", "{{ print nil }}");
        assert_eq!(text(&template), expected, "{template}");
    }
}

#[test]
fn the_defaults_read_well() {
    assert_eq!(text("{{ template \"email.default.subject\" . }}"), "[FIRING:1] Down (node)");
    let body = text("{{ template \"email.default.text\" . }}");
    assert!(
        body.starts_with(
            "2 alerts for alertname=Down\n\nFIRING (1)\n\n  Down: it is <down> & out\n"
        ),
        "{body}"
    );
    assert!(
        body.contains("  instance = b:9100\n") && body.contains("until  2023-11-14 22:18:20 UTC"),
        "{body}"
    );
    let page = html("{{ template \"email.default.html\" . }}");
    assert!(page.contains("it is &lt;down&gt; &amp; out") && !page.contains("ZgotmplZ"), "{page}");
    assert!(page.contains("href=\"https://x.example/a?b=c%20d\""), "{page}");
    assert!(page.contains("g0.expr=up%3D%3D0&amp;g0.tab=1"), "{page}");
}

#[test]
fn values_are_escaped_for_their_place() {
    for (template, expected) in [
        ("<b>{{ \"<i>+&\" }}</b>", "<b>&lt;i&gt;&#43;&amp;</b>"),
        ("<a title=\"{{ \"\\\" onclick=x\" }}\">", "<a title=\"&#34; onclick=x\">"),
        ("<a title={{ \"x y\" }}>", "<a title=x&#32;y>"),
        ("<a href=\"{{ \"javascript:alert(1)\" }}\">", "<a href=\"#ZgotmplZ\">"),
        ("<a href='{{ \"JaVa\\tscript:x\" }}'>", "<a href='#ZgotmplZ'>"),
        ("<a href=\"{{ \"java\" }}{{ \"script:x\" }}\">", "<a href=\"java#ZgotmplZ\">"),
        ("<a href=\"{{ \"https://x/?a=b&c\" }}\">", "<a href=\"https://x/?a=b&amp;c\">"),
        ("<a href=\"/x?q={{ \"a b&c=<\" }}\">", "<a href=\"/x?q=a%20b%26c%3d%3c\">"),
        (
            "<img src=\"{{ safeUrl \"data:image/png;base64,AA\" }}\">",
            "<img src=\"data:image/png;base64,AA\">",
        ),
        ("<p style=\"color:{{ \"red;x\" }}\">", "<p style=\"color:ZgotmplZ\">"),
        ("<p style=\"color:{{ \"#fff\" }}\">", "<p style=\"color:#fff\">"),
        ("{{ \"<b>\" | safeHtml }}{{ \"<b>\" | html }}", "<b>&lt;b&gt;"),
        ("<a title=\"{{ \"<b>x</b>&amp;\" | safeHtml }}\">", "<a title=\"x&amp;\">"),
        ("a<!-- {{ .Status }} --->b <!DOCTYPE html>", "ab <!DOCTYPE html>"),
        (
            "<title>{{ \"</title><b>\" }}</title>{{ \"<\" }}",
            "<title>&lt;/title&gt;&lt;b&gt;</title>&lt;",
        ),
        ("1 < 2 {{ .CommonLabels.nope }}{{ nope }}", "1 < 2 "),
        ("<{{ \"script\" }}>", "&lt;script>"),
        ("<a href=\"/\" {{ \"class\" }}=\"{{ \"a b\" }}\">", "<a href=\"/\" class=\"a b\">"),
        ("<p {{ \"onclick\" }}=\"{{ 1 }}\">", "<p ZgotmplZ=\"1\">"),
    ] {
        let template = template.replace("{{ nope }}", "{{ (dict).x }}");
        assert_eq!(html(&template), expected, "{template}");
    }
    for script in ["<script>var x={{ 1 }};</script>", "<a onclick=\"f({{ 1 }})\">"] {
        let error = Templates::default().html(script, &notification()).unwrap_err();
        assert!(error.what.contains("script"), "{error}");
    }
}

#[test]
fn errors_name_their_place() {
    for (template, expected) in [
        ("{{ .Nope }}", "1:4: can't evaluate field Nope in type template.Data"),
        ("a\n{{ index .Alerts 7 }}", "2:4: error calling index: index out of range: 7"),
        (
            "{{ eq 1 \"a\" }}",
            "1:4: error calling eq: incompatible types for comparison: int and string",
        ),
        ("{{ template \"no\" }}", "1:1: template \"no\" not defined"),
        (
            "{{ define \"t\" }}{{ .X }}{{ end }}{{ template \"t\" . }}",
            "template \"t\": 1:20: can't",
        ),
        ("{{ toUpper 3 }}", "1:4: error calling toUpper: expected a text, found int"),
        ("{{ join \",\" }}", "1:4: join takes 2 arguments, got 1"),
        (
            "{{ reReplaceAll \"(\" \"\" \"\" }}",
            "1:4: error calling reReplaceAll: not a valid regular",
        ),
        ("{{ nil }}", "1:4: nil is not a command"),
        ("{{ range .Status }}{{ end }}", "1:10: range can't iterate over string"),
    ] {
        let error = error(template);
        assert!(error.starts_with(expected), "{template}: {error}");
    }
}

#[test]
fn what_would_not_end_is_stopped() {
    let doubling = "{{ $s := \"0123456789abcdef\" }}{{ range .Alerts }}".to_owned()
        + &"{{ $s = print $s $s }}".repeat(40)
        + "{{ end }}";
    let nesting = "{{ $l := list }}".to_owned() + &"{{ $l = list $l }}".repeat(40);
    let widening = "{{ $l := list 1 }}".to_owned() + &"{{ $l = list $l $l }}".repeat(30);
    let regex = "{{ $s := \"aaaaaaaaaaaaaaaa\" }}".to_owned()
        + &"{{ $s = reReplaceAll \"\" \"xxxxxxxxxxxxxxxx\" $s }}".repeat(8);
    let call = "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    let tree = "{{ define \"r\" }}{{ template \"r\" . }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    let range = "{{ define \"r\" }}{{ range . }}{{ if . }}{{ template \"r\" $ }}{{ end }}{{ end }}{{ end }}{{ template \"r\" .Alerts }}";
    let comment = "{{ define \"r\" }}<!--".to_owned()
        + &"x".repeat(1000)
        + "{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    for template in [&doubling, &nesting, &widening, &regex, call, tree, range, &comment] {
        for result in [
            Templates::default().text(template, &notification()),
            Templates::default().html(template, &notification()),
        ] {
            assert!(result.is_err(), "{}", &template[..60]);
        }
    }
    let loops = "{{ range $.Alerts }}".repeat(30) + "x" + &"{{ end }}".repeat(30);
    assert_eq!(error(&loops).split(": ").last(), Some("runs too long"));
    let wide = "x".repeat(100_000) + "{{ 1 }}";
    let wide = "{{ range $.Alerts }}".repeat(7) + &wide + &"{{ end }}".repeat(7);
    assert!(error(&wide).contains("writes more than"), "{}", error(&wide));
}

#[test]
fn the_deepest_template_fits_a_small_stack() {
    let parens = "(print ".repeat(50) + "." + &")".repeat(50);
    let body = format!("{{{{ if {parens} }}}}{{{{ with . }}}}{{{{ range $.Alerts }}}}");
    let ends = "{{ end }}".repeat(3);
    let template = format!(
        "{{{{ define \"r\" }}}}{body}{{{{ template \"r\" $ }}}}{ends}{{{{ end }}}}{{{{ template \"r\" . }}}}"
    );
    let render = move || error(&template);
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(render).unwrap();
    assert!(thread.join().unwrap().contains("nested deeper"), "stopped, not overflown");
}

#[test]
fn a_check_finds_what_is_missing() {
    let templates = Templates::default();
    let error = |text: &str| templates.check(text).unwrap_err().to_string();
    assert!(templates.check("{{ template \"email.default.html\" . }}").is_ok());
    assert_eq!(
        error("{{ if .A }}{{ template \"x\" }}{{ end }}"),
        "1:12: template \"x\" not defined"
    );
    let nested = "{{ define \"a\" }}{{ template \"x\" }}{{ end }}{{ template \"a\" }}";
    assert_eq!(error(nested), "template \"a\": 1:17: template \"x\" not defined");
    assert_eq!(error("{{ toUper . }}"), "1:4: function \"toUper\" not defined");
}

#[test]
fn files_add_and_replace() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let own =
        file("own.tmpl", "{{ define \"__subject\" }}mine {{ template \"extra\" . }}{{ end }}");
    let more = file("more.tmpl", "{{ define \"extra\" }}{{ .Status }}{{ end }}");
    let templates = Templates::load([own, more]).unwrap();
    let subject = "{{ template \"email.default.subject\" . }}";
    assert_eq!(templates.text(subject, &notification()).unwrap(), "mine firing");
    let bad = file("bad.tmpl", "a\n {{ if }}");
    let error = Templates::load([bad.clone()]).unwrap_err();
    assert_eq!(error.to_string(), format!("{}:2:8: missing value", bad.display()));
    assert!(Templates::load([dir.path().into()]).unwrap_err().what.contains("not a regular file"));
    assert!(Templates::load(["/nonexistent/x".into()]).unwrap_err().what.contains("cannot read"));
}

proptest! {
    #[test]
    fn any_template_is_an_answer(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{ ", " }}", "{{- ", " -}}", "if .Alerts", "else", "end", "range $i, $x := .Alerts",
        "with .GroupLabels", "define \"t\"", "template \"t\" .", "break", "$", "$i", "$x.Labels",
        ".Status", ".Alerts.Firing", ".StartsAt.Format \"Jan _2.000\"", "printf \"%5.2v%q\" . 1",
        " | ", "len", "index . 1", "slice \"é\" 1", "toJson", "title", "html", "<a href=\"", "\">",
        "<!--", "-->", "<script", ">", "<", "text é", "(", ")", "list", "dict \"a\"", "-1.5e300",
        "join \",\"", "humanizeDuration", "tz \"X\" now", "reReplaceAll \"a*\" \"$1\" \"b\"",
    ]), 0..24)) {
        let template = parts.concat();
        let _ = Templates::default().text(&template, &notification());
        let _ = Templates::default().html(&template, &notification());
        let _ = Templates::default().check(&template);
    }

    #[test]
    fn no_value_leaves_its_place(value in "[\"'<>&=/ a-z:;(){}\\\\!?#-]{0,24}") {
        let mut of = notification();
        of.group_labels = LabelSet::new([("v", &value)]);
        let render = |template| Templates::default().html(template, &of).unwrap();
        let inside = |page: String, open: &str, close: &str| {
            page.strip_prefix(open).and_then(|p| p.strip_suffix(close)).unwrap().to_owned()
        };
        let text = inside(render("<p>{{ .GroupLabels.v }}</p>"), "<p>", "</p>");
        prop_assert!(!text.contains(['<', '>']), "{}", text);
        let quoted = inside(render("<p id=\"{{ .GroupLabels.v }}\">"), "<p id=\"", "\">");
        prop_assert!(!quoted.contains('"'), "{}", quoted);
        let bare = inside(render("<p id={{ .GroupLabels.v }}>"), "<p id=", ">");
        prop_assert!(!bare.contains([' ', '>', '=']) && !bare.is_empty(), "{}", bare);
        let link = inside(render("<a href=\"{{ .GroupLabels.v }}\">"), "<a href=\"", "\">");
        prop_assert!(!link.to_lowercase().starts_with("javascript:"), "{}", link);
    }
}
