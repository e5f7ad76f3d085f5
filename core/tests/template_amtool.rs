//! The same templates through vigie and through Alertmanager's own engine (`amtool template render`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "in a test a panic is the message"
)]

use std::process::Command;
use std::sync::Arc;

use vigie_core::alert::{Alert, LabelSet};
use vigie_core::clock::Timestamp;
use vigie_core::notify::{Notification, Reason};
use vigie_core::template::Templates;

/// What both engines must render alike, as text and as HTML. Functions younger than Debian's
/// amtool (0.25) are not among them.
const TEMPLATES: &[&str] = &[
    "{{ .Receiver }} {{ .Status }} {{ .ExternalURL }} {{ len .Alerts }}",
    "{{ range .Alerts }}{{ .Status }} {{ .Labels.instance }} {{ .StartsAt }} {{ .EndsAt }}\n{{ end }}",
    "{{ range $i, $a := .Alerts }}{{ $i }}{{ with $a.Annotations.summary }}{{ . }}{{ else }}-{{ end }}{{ end }}",
    "{{ .Alerts.Firing | len }} {{ .Alerts.Resolved | len }} {{ .CommonLabels.Names }}",
    "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}",
    "{{ .CommonLabels.Values | join \",\" }} {{ printf \"%T %T %T\" 1 \"a\" .CommonLabels }} {{ printf \"%s %q %q\" .CommonLabels.Names 'x' 7 }}",
    "{{ (.CommonLabels.Remove .GroupLabels.Names).SortedPairs.Values | join \" \" }}",
    "[{{ .CommonLabels.nope }}] {{ if .CommonLabels.nope }}a{{ else if eq .Status \"firing\" }}b{{ else }}c{{ end }}",
    "{{ (index .Alerts 0).StartsAt.Format \"Mon, 02 Jan 2006 15:04:05 -0700 MST\" }}",
    "{{ (index .Alerts 0).StartsAt.Format \"_2 1 06 3:4:5pm .000 05.999 002 Z07:00 Jan Monday\" }}",
    "{{ (index .Alerts 0).StartsAt.Unix }} {{ (index .Alerts 0).StartsAt.Year }} {{ (index .Alerts 0).StartsAt.Weekday }} {{ (index .Alerts 0).StartsAt.Month }}",
    "{{ (index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt }} {{ ((index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt).Minutes }}",
    "{{ (index .Alerts 0).EndsAt.IsZero }} {{ (index .Alerts 0).GeneratorURL }}",
    "{{ toUpper \"é\" }} {{ toLower \"ÀB\" }} {{ title \"hello WORLD o'neil foo-bar a_b 3rd x.y\" }}",
    "{{ reReplaceAll \"(a)(b)?\" \"${2}-$1\" \"abac\" }} {{ match \"^a.c$\" \"abc\" }} {{ match \"a\" \"xay\" }}",
    "{{ join \",\" (stringSlice \"a\" \"b\") }} {{ stringSlice \"a\" | join \"-\" }}",
    "{{ \"<b>\" | safeHtml }} {{ \"<b>\" }} {{ \"<b>\" | html }}",
    "{{ print 1 2 \"a\" \"b\" 3 4 nil }}|{{ println \"x\" 1 }}|{{ print }}",
    "{{ not 1 }} {{ and 1 0 2 }} {{ or \"\" \"z\" }} {{ and true .Status }} {{ or 0 false }}",
    "{{ eq 1 1 }} {{ eq \"a\" \"b\" \"a\" }} {{ ne 1.5 2.5 }} {{ lt \"a\" \"b\" }} {{ le 1 1 }} {{ gt 2 1 }} {{ ge 1.0 2.0 }}",
    "{{ index .CommonLabels \"alertname\" }} {{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" 1 }} {{ len \"é\" }}",
    "{{ js \"a'<b>=\\n\\\"\" }} {{ urlquery \"a b&ü/\" }} {{ html \"a<b>'\\\"+\" }}",
    "{{ 1.0 }} {{ 1e6 }} {{ 123456.75 }} {{ 1e20 }} {{ 1e-5 }} {{ 0.1 }} {{ 1.5e300 }} {{ -3 }} {{ 0x1F }} {{ 'a' }}",
    "{{ printf \"%v %v %v %v\" 1 1.5 \"a\" true }} {{ printf \"%d|%5d|%-5d|%05d|%+d\" 42 42 42 42 42 }}",
    "{{ printf \"%s|%8s|%-8s|%.2s|%q\" \"abc\" \"abc\" \"abc\" \"abc\" \"a\\\"\\n\\té\" }}",
    "{{ printf \"%f|%.2f|%8.3f|%e|%g|%G|%.3g\" 3.14159 2.71828 1.0 12345.678 1e10 1e-7 1234.5678 }}",
    "{{ printf \"%x|%X|%o|%b|%c|%U|%#x|%t\" 255 255 8 5 233 233 255 true }}",
    "{{ printf \"%d %s\" \"a\" 1 }} {{ printf \"%s\" }} {{ printf \"x\" 1 }} {{ printf \"%z\" 1 }} {{ printf \"%\" }}",
    "{{ printf \"%6.2v|%06d|%x|% d|%-4q|%v\" 3.14159 -42 \"hi\" 7 \"a\" nil }}",
    "{{ \"x\" | printf \"%s-%s\" \"y\" | toUpper }}",
    "{{ $x := 1 }}{{ range .Alerts }}{{ $x = 2 }}{{ end }}{{ $x }}{{ with $y := \"z\" }}{{ $y }}{{ $.Status }}{{ end }}",
    "{{ range .Alerts }}{{ if eq .Status \"firing\" }}{{ continue }}{{ end }}{{ .Labels.instance }}{{ break }}{{ end }}",
    "{{ range $k, $v := .GroupLabels }}{{ $k }}={{ $v }};{{ else }}none{{ end }}{{ range .GroupLabels.Remove .CommonLabels.Names }}{{ else }}none{{ end }}",
    "a  {{- /* no */ -}}  b {{- \" c \" -}} d {{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" .Status }}{{ template \"t\" }}",
    "{{ block \"own\" .Receiver }}({{ . }}){{ end }}{{ with .Alerts }}{{ len . }}{{ end }}",
    "{{ if and (eq .Status \"firing\") (gt (len .Alerts) 1) }}many{{ end }}{{ if not .GroupLabels }}{{ else }}g{{ end }}",
    "{{ (index .Alerts 0).Labels.instance | len }} {{ `raw \\n` }} {{ \"\\u00e9\\x41\" }}",
    "{{ template \"__subject\" . }}",
    "{{ template \"__text_alert_list\" .Alerts.Firing }}",
    "{{ template \"email.default.subject\" . }}{{ template \"email.default.text\" . }}",
    "{{ template \"email.default.html\" . }}",
];

/// What prints labels: Alertmanager does it in its own way since 0.28, and Debian 12 has an older one.
const LABELS: &[&str] = &[
    "{{ .GroupLabels }} {{ .CommonLabels }} {{ .CommonAnnotations }} {{ (index .Alerts 0).Labels }}",
    "{{ .CommonLabels.SortedPairs }} {{ slice .CommonLabels.SortedPairs 1 }} {{ index .CommonLabels.SortedPairs 1 }}",
    "{{ printf \"%v %s %q %x %T\" .CommonLabels .CommonLabels .GroupLabels .GroupLabels .CommonLabels }}",
    "{{ printf \"%v %s %q %x %T\" .CommonLabels.SortedPairs .CommonLabels.SortedPairs .GroupLabels.SortedPairs .GroupLabels.SortedPairs .GroupLabels.SortedPairs }}",
    "{{ with .GroupLabels.Remove .GroupLabels.Names }}some{{ else }}none{{ end }}[{{ (.GroupLabels.Remove .GroupLabels.Names).SortedPairs }}]",
    "{{ .GroupLabels.String | toUpper }} {{ .CommonLabels.SortedPairs.String }} {{ print .GroupLabels }}",
    "{{ range .Alerts }}<li class=\"{{ .Status }}\">{{ .Labels.SortedPairs }}</li>{{ end }}",
];

/// Both run vigie's default templates.
const DEFAULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/template/*.tmpl");

/// More HTML, where surroundings decide.
const PAGES: &[&str] = &[
    "<b title=\"{{ .CommonAnnotations.summary }}\">{{ .CommonAnnotations.summary }}</b>",
    "<a title={{ \"x y=`\" }}>x</a><i id='{{ \"a'b\\\"\" }}'>",
    "<a href=\"{{ (index .Alerts 0).GeneratorURL }}\">s</a>",
    "<a href=\"{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver }}\">",
    "<a href=\"/x?q={{ \"a b&c=<é\" }}&r={{ \"1\" }}\">",
    "<a href=\"{{ \"javascript:alert(1)\" }}\"><a href='{{ \"mailto:a@b\" }}'><img src=\"{{ \"data:x\" }}\">",
    "<p style=\"color:{{ \"red\" }};width:{{ 3 }}px\"><p style=\"color:{{ \"red;x(\" }}\">",
    "a<!-- {{ .Status }} -->b<!DOCTYPE html><br/><title>{{ \"<x>&\" }}</title><textarea>{{ \"</textarea>\" }}</textarea>",
    "<td>{{ .CommonLabels.nope }}|{{ print nil }}</td>",
    "{{ range .Alerts }}<li class=\"{{ .Status }}\">{{ .Labels.instance }}</li>{{ end }}",
];

fn notification() -> Notification {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let alert = |instance: &str, ends: &str| {
        Arc::new(Alert {
            labels: LabelSet::new([("alertname", "Down"), ("instance", instance), ("job", "node")]),
            annotations: LabelSet::new([("summary", "it's <down> & \"out\" + é")]),
            starts_at: at("2026-03-05T04:07:09.12Z"),
            ends_at: at(ends),
            updated_at: at("2026-03-05T04:07:09Z"),
            generator_url: "http://prom.example/graph?g0.expr=up%3D%3D0&g0.tab=1".into(),
            timeout: false,
        })
    };
    let now = at("2026-03-05T05:00:00Z");
    let mut of = Notification::new("team".into(), "{}:{}".into(), Reason::FirstNotification, now);
    of.group_labels = LabelSet::new([("alertname", "Down")]);
    of.alerts =
        vec![alert("a:9100", "2027-01-01T00:00:00Z"), alert("b:9100", "2026-03-05T04:30:00Z")];
    of.external_url = "http://vigie.example:9094".into();
    of
}

/// What amtool makes of a template.
fn amtool(template: &str, kind: &str, data: &str) -> String {
    let run = Command::new("amtool")
        .args(["template", "render", "--template.glob", DEFAULTS, "--template.type", kind])
        .args(["--template.data", data, "--template.text", template])
        .output();
    match run {
        Err(error) => panic!("amtool: {error}; ./tests/run installs it"),
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).unwrap();
            // amtool trims and adds line breaks at the end; nobody reads those.
            text.trim_end_matches('\n').to_owned()
        }
        Ok(output) => format!("error: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn amtool_prints_labels() -> bool {
    let output = Command::new("amtool").arg("--version").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let version = text.split_whitespace().nth(2).and_then(|word| word.strip_prefix("0."));
    let minor = version.and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 28)
}

#[test]
fn templates_render_as_alertmanager_renders_them() {
    let templates = Templates::default();
    let notification = notification();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.json");
    std::fs::write(&data, templates.text("{{ toJson . }}", &notification).unwrap()).unwrap();
    let labels = if amtool_prints_labels() { LABELS } else { &[] };
    let texts = TEMPLATES.iter().chain(labels).map(|template| ("text", *template));
    let pages = TEMPLATES.iter().chain(PAGES).chain(labels).map(|template| ("html", *template));
    let mut different = Vec::new();
    for (kind, template) in texts.chain(pages) {
        let theirs = amtool(template, kind, data.to_str().unwrap());
        let ours = match kind {
            "text" => templates.text(template, &notification),
            _ => templates.html(template, &notification),
        };
        let ours = ours.unwrap_or_else(|error| format!("error: {error}"));
        if ours.trim_end_matches('\n') != theirs {
            different.push(format!("{kind} {template}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "\n{}", different.join("\n"));
}
