//! The web configuration file from outside: curl asks vigie and Debian's node_exporter the same.
//!
//! Both read one file in exporter-toolkit's format; where a table names a status, both must give it.
//! `000` is curl's word for no answer, which is what a refused handshake looks like.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Identity, Proc, SOON, Vigie, free_port, get, program, run_vigie, wait_for};
use tempfile::TempDir;

/// `hunter2` and `correct horse`.
const ALICE: &str = "$2y$04$fvfMdJfpS7GTxjzLnNuCqOJjVNuLURmHNUazbau3Va1ObNrB5swFi";
const BOB: &str = "$2b$05$S8YRmGRBvKq0Cc/rWyBJ1OxkXjokEJETcbuidCXN52ZPnuWakz2Ve";

/// A directory with an authority, a server's certificate and the web configuration.
struct Lab {
    dir: TempDir,
    authority: Identity,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Identity::authority(dir.path(), "authority", 2);
        let lab = Lab { dir, authority };
        let _ = lab.serve_as("server", &lab.authority);
        lab
    }

    /// Makes, or makes again, the server's certificate.
    fn serve_as(&self, name: &str, authority: &Identity) -> Identity {
        authority.issue(name, 2, "subjectAltName=DNS:localhost,IP:127.0.0.1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("web.yml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn vigie(&self) -> Vigie {
        let file = format!("--web.config.file={}", self.file().display());
        let few = ["--collector.disable-defaults", "--collector.loadavg", "--log.level=debug"];
        few.iter().fold(Vigie::with().arg(file), |vigie, arg| vigie.arg(*arg)).start()
    }

    /// Asks `https://localhost` for a path.
    fn secure(&self, port: u16, path: &str, more: &[&str]) -> String {
        let authority = self.authority.cert.to_str().unwrap();
        let url = format!("https://localhost:{port}{path}");
        curl(&[&["--cacert", authority, &url], more].concat())
    }
}

const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key";

/// Runs curl and gives the status code, `000` when there was no answer.
fn curl(args: &[&str]) -> String {
    let mut curl = Command::new(program("curl"));
    curl.args(["--silent", "--noproxy", "*", "--max-time", "50", "--output", "/dev/null"]);
    let output = curl.args(["--write-out", "%{http_code}"]).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// vigie and node_exporter with the same file.
struct Pair {
    vigie: Vigie,
    port: u16,
    _original: Proc,
}

impl Pair {
    fn start(lab: &Lab) -> Self {
        let port = free_port();
        let mut original = Command::new(program("prometheus-node-exporter"));
        original.args(["--collector.disable-defaults", "--collector.loadavg"]);
        original.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        original.arg(format!("--web.config.file={}", lab.file().display()));
        let original = Proc::start("node_exporter", &mut original);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for("node_exporter", SOON, || get(address, "/").map(drop));
        Pair { vigie: lab.vigie(), port, _original: original }
    }

    /// Asks both, which have to give the same status.
    fn ask(&self, what: &str, expected: &str, ask: impl Fn(u16) -> String) {
        let (ours, theirs) = (ask(self.vigie.web.port()), ask(self.port));
        assert_eq!((ours.as_str(), theirs.as_str()), (expected, expected), "{what}");
    }
}

#[test]
fn users_are_let_in_as_node_exporter_lets_them_in() {
    let lab = Lab::new();
    lab.write(&format!("basic_auth_users:\n  alice: {ALICE}\n  bob: {BOB}\n"));
    let pair = Pair::start(&lab);
    let plain = |port: u16, path: &str, more: &[&str]| {
        curl(&[&[format!("http://127.0.0.1:{port}{path}").as_str()], more].concat())
    };
    let alice = ["--user", "alice:hunter2"];
    for (path, expected, more) in [
        ("/metrics", "200", &alice[..]),
        ("/metrics", "200", &alice),
        ("/metrics", "200", &["--user", "bob:correct horse"]),
        ("/metrics", "401", &[]),
        ("/metrics", "401", &["--user", "alice:hunter3"]),
        ("/metrics", "401", &["--user", "alice:"]),
        ("/metrics", "401", &["--user", "carol:hunter2"]),
        ("/metrics", "401", &["--user", "carol:fakepassword"]),
        ("/metrics", "401", &["--header", "Authorization: Basic !"]),
        ("/metrics", "401", &["--header", "Authorization: Bearer hunter2"]),
        ("/metrics", "200", &["--header", "Authorization: bAsIc YWxpY2U6aHVudGVyMg=="]),
        ("/metrics", "401", &["--header", "Authorization: Basic YWxpY2U6aHVudGVyMg"]),
        ("/", "401", &[]),
        ("/", "200", &alice),
        ("/nowhere", "401", &[]),
        ("/metrics?collect[]=loadavg", "200", &alice),
        ("/metrics?collect[]=nonsense", "400", &alice),
        ("/metrics?collect[]=cpu", "400", &alice),
    ] {
        let more = [more, &["--globoff"]].concat();
        pair.ask(&format!("{path} {more:?}"), expected, |port| plain(port, path, &more));
    }
    // 1.5.0 shows its landing page whatever the path.
    assert_eq!(plain(pair.vigie.web.port(), "/nowhere", &alice), "404");
    // Came after 1.5.0.
    let both = "/metrics?collect[]=loadavg&exclude[]=loadavg";
    let more = [&alice[..], &["--globoff"]].concat();
    assert_eq!(plain(pair.vigie.web.port(), both, &more), "400");

    let address = pair.vigie.web;
    let refused = get(address, "/metrics").unwrap();
    assert_eq!(
        refused.header("www-authenticate"),
        get(([127, 0, 0, 1], pair.port).into(), "/").unwrap().header("www-authenticate")
    );
    let alerting = pair.vigie.alerting.port();
    assert_eq!(
        (plain(alerting, "/api/v2/status", &[]), plain(alerting, "/api/v2/status", &alice)),
        ("401".into(), "200".into())
    );
}

#[test]
fn clients_are_judged_as_node_exporter_judges_them() {
    let lab = Lab::new();
    let client = "extendedKeyUsage=clientAuth";
    let good = lab.authority.issue("good", 2, client);
    let expired = lab.authority.issue("expired", -1, client);
    let server_only = lab.authority.issue("server-only", 2, "extendedKeyUsage=serverAuth");
    let stranger = Identity::authority(lab.dir.path(), "stranger", 2);
    let foreign = stranger.issue("foreign", 2, client);
    let old = Identity::authority(lab.dir.path(), "old", -1);
    let grandchild = old.issue("grandchild", 2, client);
    let pinned = Identity::authority(lab.dir.path(), "pinned", 2);
    let all = [&lab.authority, &old, &pinned].map(|one| fs::read_to_string(&one.cert).unwrap());
    fs::write(lab.path("clients.pem"), all.concat()).unwrap();
    let clients = [
        ("none", None),
        ("good", Some(&good)),
        ("foreign", Some(&foreign)),
        ("expired", Some(&expired)),
        ("of an expired authority", Some(&grandchild)),
        ("for servers only", Some(&server_only)),
        ("listed itself", Some(&pinned)),
        ("its own authority", Some(&stranger)),
    ];
    lab.write(&format!("{TLS}}}\n"));
    let pair = Pair::start(&lab);
    for (policy, expected) in [
        ("NoClientCert", ["200"; 8]),
        ("RequestClientCert", ["200"; 8]),
        ("RequireAnyClientCert", ["000", "200", "200", "200", "200", "200", "200", "200"]),
        ("VerifyClientCertIfGiven", ["200", "200", "000", "000", "000", "000", "200", "000"]),
        ("RequireAndVerifyClientCert", ["000", "200", "000", "000", "000", "000", "200", "000"]),
    ] {
        let authority = if policy == "NoClientCert" { "" } else { ", client_ca_file: clients.pem" };
        lab.write(&format!("{TLS}, client_auth_type: {policy}{authority}}}\n"));
        for ((name, identity), expected) in clients.iter().zip(expected) {
            for version in ["1.2", "1.3"] {
                let mut more = vec!["--tls-max", version];
                if let Some(identity) = identity {
                    let files = [&identity.cert, &identity.key].map(|path| path.to_str().unwrap());
                    more.extend(["--cert", files[0], "--key", files[1]]);
                }
                let what = format!("{policy}, client {name}, TLS {version}");
                pair.ask(&what, expected, |port| lab.secure(port, "/metrics", &more));
            }
        }
    }
}

#[test]
fn only_clients_of_an_allowed_name_come_in() {
    let lab = Lab::new();
    let named = lab.authority.issue(
        "named",
        2,
        "subjectAltName=DNS:prometheus.example.org,URI:spiffe://example.org/p,IP:192.0.2.7,email:ops@example.org",
    );
    let nameless = lab.authority.issue("nameless", 2, "extendedKeyUsage=clientAuth");
    let ask = |vigie: &Vigie, identity: Option<&Identity>| {
        let files = identity.map(|one| [&one.cert, &one.key].map(|path| path.to_str().unwrap()));
        let more = files.map_or(Vec::new(), |files| vec!["--cert", files[0], "--key", files[1]]);
        lab.secure(vigie.web.port(), "/metrics", &more)
    };
    let write = |allowed: &str, policy: &str| {
        lab.write(&format!("{TLS}, client_auth_type: {policy}, client_ca_file: authority.pem, client_allowed_sans: [{allowed}]}}\n"));
    };
    write("other", "RequireAndVerifyClientCert");
    let vigie = lab.vigie();
    for (allowed, expected) in [
        ("other", "000"),
        ("example.org", "000"),
        ("other, prometheus.example.org", "200"),
        ("'spiffe://example.org/p'", "200"),
        ("192.0.2.7", "200"),
        ("ops@example.org", "200"),
    ] {
        for policy in ["RequireAndVerifyClientCert", "VerifyClientCertIfGiven"] {
            write(allowed, policy);
            let seen = [Some(&named), Some(&nameless), None].map(|one| ask(&vigie, one));
            assert_eq!(seen, [expected, "000", "000"], "{allowed} {policy}");
        }
    }
}

#[test]
fn versions_suites_and_curves_bound_the_handshake() {
    let lab = Lab::new();
    lab.write(&format!("{TLS}}}\n"));
    let pair = Pair::start(&lab);
    let aes_256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let settings = [
        ("", ["200", "200", "200", "200"]),
        ("min_version: TLS10", ["200", "200", "200", "200"]),
        ("min_version: TLS13", ["000", "200", "000", "200"]),
        ("max_version: TLS12", ["200", "000", "200", "200"]),
        (&format!("cipher_suites: [{aes_256}]"), ["200", "200", "000", "200"]),
        ("curve_preferences: [CurveP384]", ["200", "200", "200", "000"]),
        ("curve_preferences: [CurveP521, X25519]", ["200", "200", "200", "200"]),
        ("prefer_server_cipher_suites: false", ["200", "200", "200", "200"]),
    ];
    for (setting, expected) in settings {
        lab.write(&format!("{TLS}, {setting}}}\n"));
        let clients: [&[&str]; 4] = [
            &["--tls-max", "1.2"],
            &["--tlsv1.3"],
            &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            // Up to TLS 1.2 a client that does not name P-256 takes no certificate of that curve.
            &["--curves", "X25519:P-256"],
        ];
        for (client, expected) in clients.iter().zip(expected) {
            let what = format!("{setting} {client:?}");
            pair.ask(&what, expected, |port| lab.secure(port, "/metrics", client));
        }
    }
    // Go's HTTP/2 clients are content with HTTP/1.1, and so is curl.
    pair.ask("HTTP/2", "200", |port| lab.secure(port, "/metrics", &["--http2"]));
    pair.ask("HTTP on the port of TLS", "400", |port| {
        curl(&[&format!("http://127.0.0.1:{port}/")])
    });
}

#[test]
fn headers_and_the_rate_limit_are_kept() {
    let lab = Lab::new();
    lab.write("http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n");
    let pair = Pair::start(&lab);
    for address in [pair.vigie.web, ([127, 0, 0, 1], pair.port).into()] {
        let answer = get(address, "/metrics").unwrap().ok();
        assert_eq!(answer.header("x-frame-options"), "deny");
        assert_eq!(answer.header("strict-transport-security"), "max-age=1");
    }
    lab.write("rate_limit: {interval: 1h, burst: 3}\n");
    let seen: Vec<u16> =
        (0..5).map(|_| get(pair.vigie.web, "/-/healthy").unwrap().status).collect();
    assert_eq!(seen, [200, 200, 200, 429, 429]);
}

#[test]
fn a_renewed_certificate_counts_and_a_broken_one_does_not() {
    let lab = Lab::new();
    lab.write(&format!("{TLS}}}\n"));
    let mut vigie = lab.vigie();
    let other = Identity::authority(lab.dir.path(), "other", 2);
    let port = vigie.web.port();
    let seen = |lab: &Lab| {
        let url = format!("https://localhost:{port}/metrics");
        let other = other.cert.to_str().unwrap();
        [lab.secure(port, "/metrics", &[]), curl(&["--cacert", other, &url])]
    };
    assert_eq!(seen(&lab), ["200", "000"]);
    let _ = lab.serve_as("server", &other);
    assert_eq!(seen(&lab), ["000", "200"], "the renewed certificate is shown");
    for broken in ["", "tls_server_config: {cert_file: none.pem}\n", "tls_serve_config: {}\n"] {
        lab.write(broken);
        assert_eq!(seen(&lab), ["000", "200"], "{broken:?}");
    }
    lab.write(&format!("{TLS}}}\n"));
    fs::write(lab.path("server.key"), "no key\n").unwrap();
    assert_eq!(seen(&lab), ["000", "200"], "certificate and key belong to each other again");
    let _ = lab.serve_as("server", &lab.authority);
    assert_eq!(seen(&lab), ["200", "000"]);
    assert!(vigie.process.terminate().success());
    let said = vigie.process.output();
    let said: Vec<_> = said.lines().filter(|line| line.contains("web configuration")).collect();
    let count = |what: &str| said.iter().filter(|line| line.contains(what)).count();
    assert!(count("did you mean \\\"tls_server_config\\\"?") == 1, "{said:#?}");
    assert!(
        count("only a restart switches it off") == 1 && count("no private key") == 1,
        "{said:#?}"
    );
}

#[test]
fn users_come_and_go_under_an_open_connection() {
    let lab = Lab::new();
    lab.write(&format!("{TLS}}}\nbasic_auth_users: {{alice: '{ALICE}'}}\n"));
    let mut vigie = lab.vigie();
    let port = vigie.web.port();
    let ask = |user: &str| lab.secure(port, "/metrics", &["--user", user]);
    assert_eq!([ask("alice:hunter2"), ask("bob:correct horse")], ["200", "401"]);
    lab.write(&format!("{TLS}}}\nbasic_auth_users: {{bob: '{BOB}'}}\n"));
    assert_eq!([ask("alice:hunter2"), ask("bob:correct horse")], ["401", "200"]);
    lab.write(&format!("{TLS}}}\n"));
    assert_eq!([ask("alice:hunter2"), ask("bob:correct horse")], ["401", "200"], "the door stays");
    lab.write(&format!("{TLS}}}\nbasic_auth_users: {{bob: correct horse}}\n"));
    assert_eq!(ask("bob:correct horse"), "200");
    assert!(vigie.process.terminate().success());
    let said = vigie.process.output();
    let secrets = [ALICE, BOB, "hunter2", "correct horse", "PRIVATE KEY"];
    assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    assert!(said.contains("this is no bcrypt hash") && said.contains("basic_auth_users is gone"));
}

#[test]
fn the_alerting_port_may_have_a_file_of_its_own() {
    let lab = Lab::new();
    lab.write(&format!("{TLS}}}\n"));
    fs::write(lab.path("people.yml"), format!("basic_auth_users: {{bob: '{BOB}'}}\n")).unwrap();
    let dir = lab.dir.path().display();
    let yaml = format!(
        "web: {{config_file: {dir}/web.yml}}\nalerting: {{web_config_file: {dir}/people.yml}}\n"
    );
    let vigie = Vigie::start(&yaml);
    assert_eq!(lab.secure(vigie.web.port(), "/metrics", &[]), "200");
    let url = format!("http://{}/api/v2/alerts", vigie.alerting);
    assert_eq!([curl(&[&url]), curl(&["--user", "bob:correct horse", &url])], ["401", "200"]);
}

#[test]
fn a_broken_file_is_refused_at_the_start_and_by_check() {
    let lab = Lab::new();
    let file = lab.file().display().to_string();
    let check = |kind: &str, file: &str| {
        let output = run_vigie(["check", kind, file]);
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    lab.write(&format!("{TLS}}}\nbasic_auth_users: {{alice: '{ALICE}'}}\n"));
    assert_eq!(check("web-config", &file), (true, format!("{file}: ok\n")));
    let stranger = Identity::authority(lab.dir.path(), "stranger", 2);
    assert!(stranger.key.is_file());
    for (text, expected) in [
        (
            "tls_server_config: {cert_file: server.pem, key_file: stranger.key}",
            ":1:54: this key does not belong",
        ),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.key}",
            ":1:32: no certificate in PEM form",
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.pem}",
            ":1:54: no private key",
        ),
        ("tls_server_config: {cert_file: server.pem, key_file: none}", ":1:54: cannot read "),
        ("basic_auth_users:\n  alice: hunter2", ":2:10: this is no bcrypt hash"),
        (
            "basic_auth_user: {}",
            ":1:1: unknown key \"basic_auth_user\"; did you mean \"basic_auth_users\"?",
        ),
    ] {
        lab.write(text);
        let expected = format!("{file}{expected}");
        let (accepted, said) = check("web-config", &file);
        assert!(!accepted && said.contains(&expected) && !said.contains("hunter2"), "{said}");
        let config = lab.path("vigie.yml").display().to_string();
        fs::write(&config, "web: {config_file: web.yml}\n").unwrap();
        let (accepted, said) = check("config", &config);
        assert!(!accepted && said.contains(&expected), "{said}");
        let output = run_vigie([
            "serve",
            "--web.config.file",
            &file,
            "--web.listen-address=127.0.0.1:0",
            "--alerting.listen-address=",
        ]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(&expected), "{said}");
    }
}

#[test]
fn sockets_of_systemd_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port()];
    let mut systemd = Command::new(program("systemd-socket-activate"));
    for port in ports {
        systemd.arg(format!("--listen=127.0.0.1:{port}"));
    }
    systemd.arg("--fdname=alerting:metrics").arg(common::vigie_program());
    systemd.args(["serve", "--web.systemd-socket", "--web.listen-address=no such address"]);
    systemd.arg(format!("--storage.path={}", dir.path().display()));
    let mut process = Proc::start("vigie", &mut systemd);
    process.line("the sockets", |line| line.contains("Listening").then_some(()));
    // The first connection starts it, and is answered.
    let answer = get(([127, 0, 0, 1], ports[0]).into(), "/api/v2/status").unwrap().ok();
    assert!(answer.json()["uptime"].is_string());
    let metrics = get(([127, 0, 0, 1], ports[1]).into(), "/metrics").unwrap().ok().text();
    assert!(metrics.contains("\nvigie_build_info{"));
    assert!(process.terminate().success());

    let without = run_vigie(["serve", "--web.systemd-socket"]);
    let said = String::from_utf8(without.stderr).unwrap();
    assert!(!without.status.success() && said.contains("no socket was passed"), "{said}");
}

#[test]
fn metrics_about_itself_can_be_left_out() {
    let own = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.split([' ', '{']).next());
        let own = names.filter(|name| {
            ["vigie_", "process_", "promhttp_"].iter().any(|prefix| name.starts_with(prefix))
        });
        own.map(str::to_owned).collect()
    };
    let vigie = Vigie::with().arg("--collector.disable-defaults").start();
    let shown = own(&vigie.scrape());
    for name in [
        "process_cpu_seconds_total",
        "promhttp_metric_handler_requests_in_flight",
        "vigie_http_requests_total",
    ] {
        assert!(shown.iter().any(|shown| shown == name), "{name} in {shown:?}");
    }
    let code = "promhttp_metric_handler_requests_total{code=\"200\"}";
    let before = vigie.sample(code).unwrap();
    assert_eq!(vigie.sample(code), Some(before + 1.0));
    let vigie =
        Vigie::with().arg("--web.disable-exporter-metrics").arg("--collector.loadavg").start();
    let text = vigie.scrape();
    assert_eq!(own(&text), ["vigie_build_info"], "as node_exporter shows its version still");
    assert!(text.contains("\nnode_scrape_collector_success{collector=\"loadavg\"} 1\n"));
    assert!(text.contains("\nalertmanager_alerts{"), "the router's are about alerts");
}

#[test]
fn scrapes_at_once_are_bounded_as_told() {
    for (limit, expected) in
        [("0", ""), ("-1", "--web.max-requests: "), ("many", "--web.max-requests: ")]
    {
        let limit = format!("--web.max-requests={limit}");
        let off = ["--collector.disable-defaults", "--log.level=error"];
        let output = run_vigie([&["collect", limit.as_str()], &off[..]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), expected.is_empty(), "{limit}");
        assert!(said.contains(expected), "{said}");
    }
    // A pipe without a writer keeps a scrape waiting.
    let dir = tempfile::tempdir().unwrap();
    let vigie = Vigie::with()
        .arg("--collector.disable-defaults")
        .arg("--web.max-requests=1")
        .arg("--collector.loadavg")
        .arg(format!("--path.procfs={}", dir.path().display()))
        .start();
    let address = vigie.web;
    assert_eq!(get(address, "/metrics").unwrap().status, 200);
    let pipe = dir.path().join("loadavg");
    assert!(Command::new(program("mkfifo")).arg(&pipe).status().unwrap().success());
    let scrape = move || get(address, "/metrics").unwrap().status;
    let scrapes = [(); 2].map(|()| std::thread::spawn(scrape));
    assert_eq!(get(address, "/-/healthy").unwrap().status, 200);
    let mut answers = scrapes.map(|scrape| scrape.join().unwrap());
    answers.sort_unstable();
    assert_eq!(answers, [200, 503]);
}

#[test]
fn who_stalls_in_the_handshake_delays_nobody() {
    let lab = Lab::new();
    lab.write(&format!("{TLS}}}\n"));
    let vigie = lab.vigie();
    let stalled: Vec<TcpStream> =
        (0..600).map(|_| TcpStream::connect(vigie.web).unwrap()).collect();
    assert_eq!(lab.secure(vigie.web.port(), "/metrics", &[]), "200");
    drop(stalled);
    assert_eq!(lab.secure(vigie.web.port(), "/metrics", &[]), "200");
}

#[test]
fn the_guide_shows_files_that_work() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/securing.md");
    let guide = fs::read_to_string(guide).unwrap();
    let blocks: Vec<_> =
        guide.split("```yaml\n").skip(1).filter_map(|b| b.split("```").next()).collect();
    assert!(blocks.len() >= 2);
    for block in blocks.iter().filter(|block| block.starts_with("tls_server_config")) {
        let lab = Lab::new();
        fs::copy(lab.path("authority.pem"), lab.path("clients.pem")).unwrap();
        lab.write(block);
        let vigie = lab.vigie();
        let client = lab.authority.issue(
            "client",
            2,
            "subjectAltName=DNS:prometheus.example.org\nextendedKeyUsage=clientAuth",
        );
        let files = [&client.cert, &client.key].map(|path| path.to_str().unwrap());
        let more = ["--user", "prometheus:secret", "--cert", files[0], "--key", files[1]];
        assert_eq!(lab.secure(vigie.web.port(), "/metrics", &more), "200", "{block}");
    }
}
