//! Real mail through a real server (`tests/lab/smtp`), TLS and log-in included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "in a test a panic is the message"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use vigie_core::alert::{Alert, LabelSet};
use vigie_core::clock::Timestamp;
use vigie_core::config::{ConfigError, parse_yaml};
use vigie_core::notify::{Notification, Notifier, NotifierSetting, Reason, Retry};
use vigie_core::template::Templates;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn notification() -> Notification {
    let alert = |instance: &str| {
        Arc::new(Alert {
            labels: LabelSet::new([("alertname", "Down"), ("instance", instance)]),
            annotations: LabelSet::new([("summary", "it is <down> & très lent")]),
            starts_at: at(1_700_000_000),
            ends_at: at(1_700_009_000),
            updated_at: at(1_700_000_000),
            generator_url: String::new(),
            timeout: true,
        })
    };
    let group = "{}:{alertname=\"Down\"}".to_owned();
    let now = at(1_700_000_600);
    let mut of = Notification::new("équipe".into(), group, Reason::FirstNotification, now);
    of.group_labels = LabelSet::new([("alertname", "Down")]);
    of.alerts = vec![alert("a"), alert("b")];
    of.external_url = "http://vigie.example:9094".into();
    of
}

/// As the router does: by the plugin's definition.
fn try_build(text: &str, global: &str) -> Result<Box<dyn Notifier>, ConfigError> {
    let (node, global) = (parse_yaml("a.yml", text).unwrap(), parse_yaml("g.yml", global).unwrap());
    let [email] = vigie_email::PLUGIN.notifiers else { panic!("one kind of notifier") };
    (email.build)(&node, &NotifierSetting::new(&global, &Templates::default()))
}

/// The mail server of the tests, stopped when dropped.
struct Lab {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    port: u16,
    dir: tempfile::TempDir,
}

impl Lab {
    fn start(args: &[&str]) -> Lab {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab");
        let python = python();
        let there = Command::new(&python).args(["-c", "import aiosmtpd"]).output();
        let there = there.is_ok_and(|output| output.status.success());
        assert!(there, "Python's aiosmtpd is missing; ./tests/run installs it");
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(programs.join("certificate")).arg(dir.path()).status().unwrap();
        assert!(made.success(), "openssl makes a certificate");
        let mut child = Command::new(python)
            .arg(programs.join("smtp"))
            .args(["--cert", "cert.pem", "--key", "key.pem"])
            .args(args)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the server says its port").unwrap();
        let port = first.strip_prefix("PORT ").unwrap().parse().unwrap();
        Lab { child, lines, port, dir }
    }

    fn build(&self, more: &str) -> Box<dyn Notifier> {
        let (port, ca) = (self.port, self.dir.path().join("ca.pem"));
        let text = format!(
            "to: 'Ops <ops@x.example>, boss@x.example'\nfrom: 'Vigie é <v@x.example>'\n\
             smarthost: localhost:{port}\ntls_config: {{ca_file: {}}}\n{more}",
            ca.display()
        );
        try_build(&text, "").unwrap()
    }

    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The Python that has aiosmtpd: that of the tests' own environment, else the system's.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab/bin/python3");
    if own.exists() { own } else { "python3".into() }
}

const LOGIN: &str = "auth_username: u\nauth_password: hunter2";

#[tokio::test]
async fn a_mail_arrives_whole_over_starttls() {
    let mut lab = Lab::start(&["--tls", "starttls", "--user", "u", "--password", "hunter2"]);
    let headers = concat!(
        "headers:\n  x-group: '{{ .GroupLabels.alertname }} é'\n",
        "  To: Everybody <all@x.example>\n",
        "  X-Lines: \"{{ print `a\\nBcc: thief@x.example` }}\"\n",
    );
    let more = format!("{LOGIN}\n{headers}");
    lab.build(&more).notify(&notification()).await.unwrap();
    let mail = lab.mail();
    assert_eq!(mail["from"], "v@x.example");
    assert_eq!(mail["to"], serde_json::json!(["ops@x.example", "boss@x.example"]));
    assert_eq!(mail["subject"], "[FIRING:2] Down");
    let headers = &mail["headers"];
    assert_eq!(headers["To"], "Everybody <all@x.example>", "the header, not the envelope");
    assert_eq!(headers["X-Lines"], "a Bcc: thief@x.example", "no header within a header");
    assert_eq!(headers["From"], "Vigie é <v@x.example>");
    assert_eq!(headers["X-Group"], "Down é");
    assert_eq!(headers["Date"], "Tue, 14 Nov 2023 22:23:20 +0000");
    assert!(headers["Message-ID"].as_str().unwrap().ends_with('>'), "{headers}");
    assert_eq!(headers["References"], headers["In-Reply-To"]);
    assert!(headers["Content-Type"].as_str().unwrap().starts_with("multipart/alternative"));
    let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
    assert!(text.contains("Down: it is <down> & très lent"), "{text}");
    assert!(html.contains("it is &lt;down&gt; &amp; très lent"), "{html}");
    assert!(html.contains("Sent by vigie to équipe"), "{html}");
}

#[tokio::test]
async fn a_mail_arrives_over_implicit_tls_with_login() {
    let args =
        ["--tls", "implicit", "--user", "u", "--password", "hunter2", "--mechanism", "LOGIN"];
    let mut lab = Lab::start(&args);
    let password = lab.dir.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let more = format!(
        "force_implicit_tls: true\nauth_username: u\nauth_password_file: {}\n\
         html: ''\ntext: '{{{{ .Status }}}}'\nthreading: {{enabled: false}}",
        password.display()
    );
    let email = lab.build(&more);
    email.notify(&notification()).await.unwrap();
    let mail = lab.mail();
    assert_eq!(
        (mail["text"].as_str().map(str::trim), &mail["html"]),
        (Some("firing"), &Value::Null)
    );
    assert!(mail["headers"].get("References").is_none());
    std::fs::remove_file(&password).unwrap();
    let error = email.notify(&notification()).await.unwrap_err();
    assert!(error.what.contains("cannot read") && error.retry == Retry::Backoff, "{error}");
}

#[tokio::test]
async fn a_refusal_becomes_an_advice() {
    let mut lab = Lab::start(&["--tls", "none", "--refuse", "451:1"]);
    let email = lab.build("require_tls: false");
    let error = email.notify(&notification()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff, "{error}");
    email.notify(&notification()).await.unwrap();
    assert_eq!(lab.mail()["subject"], "[FIRING:2] Down");
    let error = lab.build("").notify(&notification()).await.unwrap_err();
    assert!(
        error.what.contains("does not offer STARTTLS") && error.retry == Retry::Never,
        "{error}"
    );

    let lab = Lab::start(&["--tls", "none", "--refuse", "554:1"]);
    let error = lab.build("require_tls: false").notify(&notification()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Never, "{error}");
    assert!(error.what.contains("refused by the test"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_or_certificate_sends_nothing() {
    let lab = Lab::start(&["--tls", "starttls", "--user", "u", "--password", "other"]);
    let error = lab.build(LOGIN).notify(&notification()).await.unwrap_err();
    assert_eq!((error.retry, error.reason.as_str()), (Retry::Never, "authError"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    let text = format!("to: a@b.example\nfrom: a@b.example\nsmarthost: localhost:{}", lab.port);
    let error = try_build(&text, "").unwrap().notify(&notification()).await.unwrap_err();
    assert!(error.what.contains("cannot encrypt"), "{error}");
    let trusting = format!("{text}\ntls_config: {{insecure_skip_verify: true}}\n{LOGIN}");
    let error = try_build(&trusting, "").unwrap().notify(&notification()).await.unwrap_err();
    assert_eq!(error.reason.as_str(), "authError", "{error}");
}

#[tokio::test]
async fn nobody_listening_is_worth_another_try() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let text = format!("to: a@b.example\nfrom: a@b.example\nsmarthost: 127.0.0.1:{port}");
    let error = try_build(&text, "").unwrap().notify(&notification()).await.unwrap_err();
    assert_eq!(error.retry, Retry::Backoff, "{error}");
    assert!(error.what.starts_with("cannot connect"), "{error}");
}
