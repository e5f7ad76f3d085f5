//! Ten thousand scrapes of all collectors later vigie is what it was: descriptors, threads and memory do not grow.
//!
//! Growth is what users of its predecessors met after weeks; here weeks are minutes. It must not measure speed.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

use common::{Connection, Vigie, VigieBuilder};
use vigie::Catalogue;

const SCRAPES: usize = 10_000;
/// Until all buffers have their size and all threads of the pool were needed once.
const WARM_UP: usize = 1_000;
/// What an allocator may hold more of, in kilobytes; 300 bytes lost at each scrape would be more.
const NOISE: usize = 2_048;

/// What Prometheus of any age, and a person, ask for.
const WISHES: [(&str, &str); 5] = [
    ("/metrics", "Accept-Encoding: gzip"),
    ("/metrics", "Accept: application/openmetrics-text"),
    ("/metrics", "Accept-Encoding: identity"),
    ("/metrics?collect[]=cpu&collect[]=meminfo", "Accept-Encoding: gzip"),
    ("/metrics?exclude[]=netdev", "X-Prometheus-Scrape-Timeout-Seconds: 10"),
];

/// What the process holds of the kernel.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    kilobytes: usize,
}

impl Held {
    fn by(vigie: &Vigie) -> Self {
        let proc = format!("/proc/{}", vigie.process.id());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Held {
            descriptors: std::fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            threads: vigie.process.threads(),
            kilobytes: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

#[test]
fn ten_thousand_scrapes_leave_nothing_behind() {
    let names = Catalogue::bundled().collectors().into_iter().map(|(_, info)| info.name);
    let on = |vigie: VigieBuilder, name| vigie.arg(format!("--collector.{name}"));
    let vigie =
        names.fold(Vigie::with(), on).arg("--docker.socket=").arg("--docker.metrics-address=");
    let vigie = vigie.start();
    let mut connection = Connection::open(vigie.web).unwrap();
    let mut scrape = |number: usize| {
        let (path, header) = WISHES[number % WISHES.len()];
        let answer = connection.get(path, header).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    (0..WARM_UP).for_each(&mut scrape);
    let before = Held::by(&vigie);
    (WARM_UP..SCRAPES).for_each(&mut scrape);
    let after = Held::by(&vigie);
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.threads, before.threads);
    assert!(after.kilobytes <= before.kilobytes + NOISE, "{before:?} {after:?}");
}
