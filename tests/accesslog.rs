//! A real Traefik's log through everything that happens to logs: each line counts once.

#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside the tests")]

use std::fs;
use std::time::Duration;

use common::{Backend, Clients, SOON, Traefik, Vigie, wait_for};

const REQUESTS: &str = "vigie_accesslog_requests_total";

fn wait_counted(vigie: &Vigie, more_than: f64) -> f64 {
    let mut counted = 0.0;
    wait_for("more lines", SOON, || {
        counted = vigie.sum(REQUESTS);
        if counted > more_than { Ok(()) } else { Err(format!("{counted} of {more_than}")) }
    });
    counted
}

fn wait_all_counted(vigie: &Vigie, traefik: &Traefik) {
    wait_for("every line, once", SOON, || {
        let (counted, lines) = (vigie.sum(REQUESTS), traefik.lines());
        let all = format!("{counted}") == lines.to_string();
        if all { Ok(()) } else { Err(format!("{counted} of {lines}")) }
    });
}

fn follow(format: &str) {
    let backend = Backend::start();
    let traefik = Traefik::start(backend.address(), format);
    let log = traefik.log();
    let yaml = format!("accesslog:\n  - path: {}\n    start: beginning\n", log.display());
    let mut vigie = Vigie::with().yaml(yaml).start();
    let visit = || Clients::visit(traefik.address, 3, Duration::from_millis(5));

    // Renamed under load, and Traefik told to reopen.
    let visitors = visit();
    let counted = wait_counted(&vigie, 20.0);
    traefik.rotate();
    let counted = wait_counted(&vigie, counted + 20.0);
    // Killed under load.
    vigie.process.kill();
    vigie = vigie.again();
    wait_counted(&vigie, counted + 20.0);
    visitors.stop();
    wait_all_counted(&vigie, &traefik);

    // Copied and truncated: Traefik goes on in the same file.
    fs::copy(&log, log.with_extension("log.2")).unwrap();
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    let before = vigie.sum(REQUESTS);
    let visitors = visit();
    wait_counted(&vigie, before + 20.0);
    visitors.stop();
    wait_all_counted(&vigie, &traefik);
    assert_eq!(vigie.sum("vigie_accesslog_parse_errors_total"), 0.0);
    assert_eq!(vigie.sum("vigie_accesslog_missing_lines_total"), 0.0);
    assert!(vigie.process.terminate().success());
}

#[test]
fn json_through_rename_kill_and_truncation() {
    follow("json");
}

#[test]
fn clf_through_rename_kill_and_truncation() {
    follow("common");
}
