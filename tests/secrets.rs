//! No secret of a configuration leaves vigie.
//!
//! The configuration holds secrets in every place that takes one; then everything vigie says is read:
//! answers, pages, metrics, logs, and the errors about refused configurations.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use common::{Vigie, get, run_vigie};
use serde_json::json;

/// Stands in every secret of the configuration.
const SECRET: &str = "hunter2";

fn configuration() -> String {
    // The receivers refuse connections, so that their errors are logged too.
    format!(
        "alerting:
  config:
    global:
      smtp_smarthost: 127.0.0.1:1
      smtp_from: vigie@example.org
      smtp_auth_username: vigie
      smtp_auth_password: {SECRET}
    route:
      receiver: all
      group_wait: 0s
    receivers:
      - name: all
        webhook_configs:
          - url: http://me:{SECRET}@127.0.0.1:1/{SECRET}?token={SECRET}
            http_config:
              authorization: {{credentials: {SECRET}}}
        email_configs:
          - to: you@example.org
            auth_password: {SECRET}
"
    )
}

#[test]
fn nothing_vigie_says_holds_a_secret() {
    let vigie = Vigie::with().yaml(configuration()).arg("--log.level=debug").start();
    assert_eq!(vigie.post(&json!({ "alertname": "A" })).status, 200);
    common::wait_for("the failed notification", common::SOON, || {
        let name = "alertmanager_notification_requests_failed_total{integration=\"webhook\"}";
        vigie.sample(name).filter(|count| *count > 0.0).ok_or("nothing was tried yet")
    });
    let broken = configuration().replace("webhook_configs", "webhok_configs");
    let broken = broken.replace("auth_password: ", "auth_password: [") + "]";
    vigie.rewrite(&broken);
    let reloaded = vigie.reload();
    assert_ne!(reloaded.status, 200);
    let mut said = vec![("reload".to_owned(), reloaded.text())];
    for path in
        ["/", "/api/v2/status", "/api/v2/receivers", "/api/v2/alerts", "/metrics", "/-/reload"]
    {
        for address in [vigie.web, vigie.alerting] {
            said.push((path.to_owned(), get(address, path).unwrap().text()));
        }
    }
    said.push(("log".to_owned(), vigie.process.output()));
    for (place, text) in said {
        assert!(!text.contains(SECRET), "{place}: {text}");
    }
}

#[test]
fn a_refused_configuration_is_described_without_its_values() {
    let good = configuration();
    for (from, to) in [
        ("url: http", "url: htp"),
        ("auth_password: ", "auth_pasword: "),
        ("smtp_auth_password: ", "smtp_auth_password: ["),
        ("credentials: ", "credential: "),
        ("authorization: {credentials: hunter2}", "authorization: hunter2"),
        ("webhook_configs:", "webhook_configs: hunter2"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vigie.yml");
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let output = run_vigie(["check", "config", path.to_str().unwrap()]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success(), "{to}: refused");
        assert!(!said.contains(SECRET), "{to}: {said}");
    }
}
