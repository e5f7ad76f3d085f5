//! Webhooks over TLS to a real server (`tests/lab/webhook`): whom the client trusts, and who it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the message"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use vigie_core::clock::Timestamp;
use vigie_core::config::parse_yaml;
use vigie_core::notify::{Notification, NotifierSetting, NotifyError, Reason, Retry};
use vigie_core::template::Templates;

/// The receiver of the tests with a certificate for localhost, stopped when dropped.
struct Lab {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    port: u16,
    dir: tempfile::TempDir,
}

impl Lab {
    fn start(args: &[&str]) -> Lab {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lab");
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(programs.join("certificate")).arg(dir.path()).status();
        assert!(made.expect("a shell runs").success(), "openssl makes a certificate");
        let mut child = Command::new("python3")
            .arg(programs.join("webhook"))
            .args(["--cert", "cert.pem", "--key", "key.pem"])
            .args(args)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the receiver says its port").unwrap();
        let port = first.strip_prefix("PORT ").unwrap().parse().unwrap();
        Lab { child, lines, port, dir }
    }

    /// Sends one notification with this `tls_config`.
    async fn send(&self, host: &str, tls: &str) -> Result<(), NotifyError> {
        let text = format!(
            "url: 'https://{host}:{}/hunter2'\nhttp_config: {{tls_config: {{{tls}}}}}",
            self.port
        );
        // Relative paths start at the folder of the configuration.
        let file = self.dir.path().join("alertmanager.yml").display().to_string();
        let (node, global) = (parse_yaml(&file, &text).unwrap(), parse_yaml(&file, "").unwrap());
        let [webhook] = vigie_webhook::PLUGIN.notifiers else { panic!("one kind of notifier") };
        let setting = Templates::default();
        let hook = (webhook.build)(&node, &NotifierSetting::new(&global, &setting)).unwrap();
        let (receiver, group) = ("team".to_owned(), "{}:{}".to_owned());
        let now = Timestamp::UNIX_EPOCH;
        let notification = Notification::new(receiver, group, Reason::FirstNotification, now);
        hook.notify(&notification).await
    }

    fn request(&mut self) -> serde_json::Value {
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

#[tokio::test]
async fn a_certificate_must_be_trusted_and_fit_the_name() {
    let mut lab = Lab::start(&[]);
    for (host, tls) in [
        ("localhost", "ca_file: ca.pem"),
        ("127.0.0.1", "ca_file: ca.pem, server_name: localhost, min_version: TLS13"),
        ("127.0.0.1", "insecure_skip_verify: true, max_version: TLS12"),
    ] {
        lab.send(host, tls).await.unwrap();
        assert_eq!(lab.request()["path"], "/hunter2", "{tls}");
    }
    for tls in ["", "ca_file: ca.pem, server_name: other.example"] {
        let error = lab.send("localhost", tls).await.unwrap_err();
        assert_eq!(error.retry, Retry::Backoff);
        let text = error.to_string();
        assert!(text.starts_with("cannot connect: invalid peer certificate"), "{text}");
        assert!(!format!("{error:?}").contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate_when_asked() {
    let mut lab = Lab::start(&["--ca", "ca.pem"]);
    lab.send("localhost", "ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem").await.unwrap();
    assert_eq!(lab.request()["method"], "POST");
    assert!(lab.send("localhost", "ca_file: ca.pem").await.is_err());
}
