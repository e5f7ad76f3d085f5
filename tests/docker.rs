//! Containers of a real daemon, as vigie shows them: beside what the daemon itself says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test outside a test module"
)]

use std::collections::BTreeSet;

use common::{Docker, SOON, Vigie, get, run_vigie, wait_for};
use serde_json::Value;

/// vigie beside a daemon, with nothing else to show.
fn watch(docker: &Docker) -> Vigie {
    Vigie::with()
        .arg(format!("--docker.socket={}", docker.host()))
        .arg(format!("--docker.metrics-address={}", docker.metrics))
        .arg("--collector.disable-defaults")
        .arg("--collector.container")
        .arg("--collector.docker")
        .start()
}

/// The sum of all samples of a family that carry a label pair.
fn sum(text: &str, family: &str, pair: &str) -> Option<f64> {
    let mut values = text.lines().filter_map(|line| {
        let labels = line.strip_prefix(family)?.strip_prefix('{')?;
        let (labels, value) = labels.rsplit_once("} ")?;
        labels.contains(pair).then(|| value.parse::<f64>().unwrap())
    });
    let first = values.next()?;
    Some(first + values.sum::<f64>())
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// Scrapes until `look` finds what it looks for.
fn see<T>(vigie: &Vigie, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
    wait_for(what, SOON, || {
        let text = vigie.scrape();
        look(&text).ok_or(text)
    })
}

#[test]
fn figures_are_those_of_the_daemon() {
    let docker = Docker::start();
    let busy = format!(
        "ping -c 3 -i 0.2 {}; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exec sleep 1000",
        docker.gateway
    );
    let options = [
        "-m",
        "64m",
        "--cpus",
        "0.8",
        "--label",
        "com.docker.compose.project=shop",
        "--label",
        "com.docker.compose.service=web",
        "--label",
        "secret.to=others",
    ];
    let id = docker.container("web", &options, &["sh", "-c", &busy]);
    let vigie = watch(&docker);
    let web = "name=\"web\"";
    let calm =
        |text: &str| (docker.run(&["top", "web"]).contains("sleep")).then(|| text.to_owned());
    let before = see(&vigie, "the end of its work", calm);
    let stats = docker.stats("web");
    let after = vigie.scrape();

    let line = before
        .lines()
        .find(|line| line.starts_with("container_last_seen") && line.contains(web))
        .unwrap();
    let cgroup = format!("id=\"{}/{id}\"", docker.cgroup_parent);
    for pair in [
        cgroup.as_str(),
        &format!("image=\"{}\"", docker.image),
        "container_label_com_docker_compose_project=\"shop\"",
        "container_label_com_docker_compose_service=\"web\"",
    ] {
        assert!(line.contains(pair), "{pair} in {line}");
    }
    assert!(!before.contains("secret_to"), "only labels of Swarm and Compose by default");

    // What only grows lies between the two scrapes.
    for (family, path, unit) in [
        ("container_cpu_usage_seconds_total", "/cpu_stats/cpu_usage/total_usage", 1e9),
        ("container_network_receive_bytes_total", "/networks/eth0/rx_bytes", 1.0),
        ("container_network_transmit_packets_total", "/networks/eth0/tx_packets", 1.0),
        ("container_cpu_cfs_periods_total", "/cpu_stats/throttling_data/periods", 1.0),
    ] {
        let said = number(&stats, path) / unit;
        let (low, high) = (sum(&before, family, web).unwrap(), sum(&after, family, web).unwrap());
        assert!(low <= said + 1e-6 && said <= high + 1e-6, "{family}: {low} <= {said} <= {high}");
        assert!(high > 0.0, "{family} moves");
    }
    let memory = sum(&after, "container_memory_usage_bytes", web).unwrap();
    let said = number(&stats, "/memory_stats/usage");
    assert!((memory - said).abs() <= 2e6, "memory: {memory} beside {said}");
    assert!(sum(&after, "container_memory_working_set_bytes", web).unwrap() <= memory);

    let inspected = docker.inspect("web");
    let limit = number(&inspected, "/HostConfig/Memory");
    assert_eq!(sum(&after, "container_spec_memory_limit_bytes", web), Some(limit));
    assert_eq!(sum(&after, "container_spec_cpu_quota", web), Some(80_000.0));
    assert_eq!(sum(&after, "container_threads", web), Some(number(&stats, "/pids_stats/current")));
    let machine = sum(&after, "container_spec_memory_limit_bytes", "id=\"/\"").unwrap();
    assert!(machine > limit, "the root is the whole machine");
}

#[test]
fn a_container_that_stops_is_told_and_so_is_an_early_end() {
    let docker = Docker::start();
    let vigie = watch(&docker);
    docker.container("web", &[], &["sleep", "1000"]);
    docker.container("job", &["--restart", "on-failure:2"], &["sh", "-c", "exit 3"]);
    // Ten times more than it may have: the child is killed, the container goes on.
    let greedy = "dd if=/dev/zero of=/dev/null bs=160M count=1; exec sleep 1000";
    docker.container("greedy", &["-m", "16m", "--memory-swap", "16m"], &["sh", "-c", greedy]);

    let state = |text: &str, name: &str, state: &str| {
        let line = text.lines().find(|line| {
            line.starts_with("vigie_container_state{")
                && line.contains(&format!("name=\"{name}\""))
                && line.contains(&format!("state=\"{state}\""))
        })?;
        line.ends_with(" 1").then_some(())
    };
    see(&vigie, "web to run", |text| state(text, "web", "running"));
    see(&vigie, "an out-of-memory kill", |text| {
        sum(text, "container_oom_events_total", "name=\"greedy\"").filter(|&count| count >= 1.0)
    });
    let text = see(&vigie, "the end of the job", |text| {
        let restarts = sum(text, "vigie_container_restarts_total", "name=\"job\"")?;
        state(text, "job", "exited").filter(|()| restarts >= 2.0).map(|()| text.to_owned())
    });
    assert_eq!(sum(&text, "vigie_container_exit_code", "name=\"job\""), Some(3.0));

    docker.run(&["kill", "web"]);
    let text =
        see(&vigie, "web to stop", |text| state(text, "web", "exited").map(|()| text.to_owned()));
    assert_eq!(sum(&text, "vigie_container_exit_code", "name=\"web\""), Some(137.0));
    assert_eq!(sum(&text, "container_last_seen", "name=\"web\""), None, "its cgroup is gone");
    docker.run(&["rename", "greedy", "modest"]);
    see(&vigie, "the new name", |text| sum(text, "container_memory_rss", "name=\"modest\""));
    docker.run(&["rm", "web"]);
    see(&vigie, "web to be forgotten", |text| (!text.contains("name=\"web\"")).then_some(()));
}

#[test]
fn figures_go_on_without_the_daemon_and_names_come_back() {
    let docker = Docker::start();
    let id = docker.container("web", &["-m", "64m"], &["sleep", "1000"]);
    let vigie = watch(&docker);
    let limit = |text: &str, pair: &str| sum(text, "container_spec_memory_limit_bytes", pair);
    see(&vigie, "the name", |text| limit(text, "name=\"web\""));

    docker.kill();
    let text = see(&vigie, "the loss, after which nobody knows the states", |text| {
        let lost = sum_plain(text, "vigie_docker_up")? == 0.0;
        (lost && !text.contains("vigie_container_state")).then(|| text.to_owned())
    });
    assert_eq!(limit(&text, &id), Some(f64::from(64 << 20)), "figures go on");
    // One that starts now has never heard a name.
    let late = watch(&docker);
    let text = late.scrape();
    assert_eq!(
        (limit(&text, &id), limit(&text, "name=\"web\"")),
        (Some(f64::from(64 << 20)), None),
        "{text}"
    );
    assert!(sum(&text, "container_start_time_seconds", &id).is_some());

    docker.again();
    for vigie in [&vigie, &late] {
        see(vigie, "the name to be back", |text| {
            (sum_plain(text, "vigie_docker_up")? == 1.0).then(|| limit(text, "name=\"web\""))?
        });
    }
}

/// The value of a series without labels.
fn sum_plain(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn the_daemons_own_page_is_shown_again_without_what_every_go_program_has() {
    let docker = Docker::start();
    let vigie = watch(&docker);
    let families = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ").map(str::to_owned)).collect()
    };
    let own =
        |family: &str| ["go_", "process_", "promhttp_"].iter().any(|own| family.starts_with(own));
    let page = families(&get(docker.metrics, "/metrics").unwrap().ok().text());
    let shown = families(&vigie.scrape());
    let (left_out, wanted): (BTreeSet<_>, BTreeSet<_>) =
        page.into_iter().partition(|family| own(family));
    assert!(wanted.len() > 10 && !left_out.is_empty());
    assert_eq!(
        wanted.difference(&shown).collect::<Vec<_>>(),
        [""; 0],
        "names and types as they are"
    );
    assert_eq!(
        left_out
            .iter()
            .filter(|family| family.starts_with("go_") && shown.contains(*family))
            .count(),
        0
    );

    // One scrape on the command line waits for names as well.
    docker.container("web", &[], &["sleep", "1000"]);
    let output = run_vigie(["collect", &format!("--docker.socket={}", docker.host())]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(sum(&text, "container_memory_rss", "name=\"web\"").is_some(), "{text}");
}

/// SwarmProm's dashboards join every series of the host on this one.
#[test]
fn a_node_of_a_swarm_says_which_it_is() {
    let docker = Docker::for_a_swarm();
    assert!(!watch(&docker).scrape().contains("node_meta"), "no swarm yet");
    let address = format!("127.0.0.1:{}", common::free_port());
    let init = ["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", &address];
    docker.run(&init);
    let said = docker.run(&["info", "--format", "{{.Swarm.NodeID}} {{.Name}}"]);
    let (id, name) = said.trim().split_once(' ').unwrap();
    let meta = format!(
        "node_meta{{container_label_com_docker_swarm_node_id=\"{id}\",node_id=\"{id}\",node_name=\"{name}\"}} 1\n"
    );
    see(&watch(&docker), "node_meta", |text| text.contains(&meta).then_some(()));
    docker.run(&["swarm", "leave", "--force"]);
}
