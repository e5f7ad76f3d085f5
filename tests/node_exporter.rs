//! The host's metrics against node_exporter on the same machine, series by series.
//!
//! The original is scraped, then vigie, then the original again: what did not change in between must be equal, counters
//! must lie in between. What may differ stands, with its reason, in `divergences.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use common::{Proc, SOON, Vigie, VigieBuilder, free_port, get, program, run_vigie, wait_for};

/// Collectors whose flags the tests set.
const WITH_FLAGS: [&str; 5] = ["cpu", "netdev", "stat", "textfile", "filesystem"];

/// Collectors that ask a server: each is compared with its server in the tests of the host plugin.
const OF_SERVERS: [&str; 3] = ["ntp", "runit", "supervisord"];

/// Debian changes some defaults, so they are said to both.
const COMMON: [&str; 5] = [
    "--collector.diskstats.device-exclude=^(z?ram|fd)\\d+$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys)($|/)",
    "--collector.filesystem.fs-types-exclude=^(cgroup2?|proc|sysfs|devpts|overlay|nsfs|squashfs)$",
    "--collector.netdev.device-exclude=^veth",
    "--collector.netclass.ignored-devices=^veth",
];

#[test]
fn every_collector_that_is_on_by_default() {
    let [on, _] = collectors_of_the_original();
    assert!(on.len() > 35, "{on:?}");
    compare(&on, &[]);
}

#[test]
fn every_collector_that_is_off_by_default() {
    let [_, off] = collectors_of_the_original();
    assert!(off.len() > 15, "{off:?}");
    // While it scrapes, the original sees a connection more: one that stays shows the state to both.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    compare(
        &off,
        &["--collector.sysctl.include=kernel.threads-max", "--collector.sysctl.include=fs.file-nr"],
    );
}

/// Collectors that read no files below the path flags: a recorded host is nothing to them.
const OF_THE_KERNEL: [&str; 10] = [
    "ethtool",
    "logind",
    "network_route",
    "perf",
    "selinux",
    "systemd",
    "tcpstat",
    "time",
    "timex",
    "uname",
];

/// Devices and file systems that this machine does not have: both programs read the same recorded host.
#[test]
fn a_recorded_host() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    let at = |path: &str| host.join(path).display().to_string();
    let both = [
        format!("--path.procfs={}", at("proc")),
        format!("--path.sysfs={}", at("sys")),
        format!("--path.rootfs={}", at("rootfs")),
        format!("--path.udev.data={}", at("udev")),
        format!("--collector.qdisc.fixtures={}", at("qdisc")),
        format!("--collector.wifi.fixtures={}", at("wifi")),
        format!("--collector.textfile.directory={}", at("textfile")),
        "--collector.sysctl.include=kernel.threads-max".to_owned(),
        "--collector.cpu.info".to_owned(),
        "--no-collector.netdev.netlink".to_owned(),
    ];
    let mut both: Vec<&str> = both.iter().map(String::as_str).collect();
    // Newer ones would ask this machine.
    both.extend(
        told("--help").contains("collector.arp.netlink").then_some("--no-collector.arp.netlink"),
    );
    let mut collectors = collectors_of_the_original().concat();
    collectors.retain(|name| !OF_THE_KERNEL.contains(&name.as_str()));
    compare(&collectors, &both);
}

/// What the original says to `--help` or `--version`.
fn told(question: &str) -> String {
    let output = Command::new(program("prometheus-node-exporter")).arg(question).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

type Version = [u32; 3];

/// Of `node_exporter, version 1.5.0 (branch: ...)`, or of `1.5.0`.
fn version(text: &str) -> Version {
    let pattern = regex::Regex::new(r"\b(\d+)\.(\d+)\.(\d+)").unwrap();
    let found = pattern.captures(text).unwrap_or_else(|| panic!("no version in {text:?}"));
    [1, 2, 3].map(|part| found[part].parse().unwrap())
}

/// The collectors Debian's node_exporter has, those that are on by default and those that are off.
fn collectors_of_the_original() -> [Vec<String>; 2] {
    let help = told("--help").split_whitespace().collect::<Vec<_>>().join(" ");
    let pattern = r"--(?:\[no-\])?collector\.([a-z_]+) Enable the [a-z_]+ collector \(default: (enabled|disabled)\)";
    let mut lists = [Vec::new(), Vec::new()];
    for found in regex::Regex::new(pattern).unwrap().captures_iter(&help) {
        // Debian switches systemd on.
        let is_off = &found[2] == "disabled" || &found[1] == "systemd";
        if !OF_SERVERS.contains(&&found[1]) {
            lists[usize::from(is_off)].push(found[1].to_owned());
        }
    }
    lists
}

/// Flags that came after Debian's version, and those that its help hides.
const OTHER_FLAGS: [&str; 51] = [
    "--collector.arp.netlink",
    "--collector.bcachefs",
    "--collector.cpu.guest",
    "--collector.cpu_vulnerabilities",
    "--collector.diskstats.ignored-devices=x",
    "--collector.dmmultipath",
    "--collector.filesystem.fs-types-include=x",
    "--collector.filesystem.ignored-fs-types=x",
    "--collector.filesystem.ignored-mount-points=x",
    "--collector.filesystem.mount-points-include=x",
    "--collector.filesystem.mount-timeout=5s",
    "--collector.filesystem.stat-workers=4",
    "--collector.hwmon.chip-exclude=x",
    "--collector.hwmon.chip-include=x",
    "--collector.hwmon.sensor-exclude=x",
    "--collector.hwmon.sensor-include=x",
    "--collector.infiniband.device-exclude=x",
    "--collector.infiniband.device-include=x",
    "--collector.interrupts.include-zeros",
    "--collector.interrupts.name-exclude=x",
    "--collector.interrupts.name-include=x",
    "--collector.kernel_hung",
    "--collector.netclass_rtnl.with-stats",
    "--collector.netdev.device-blacklist=x",
    "--collector.netdev.device-whitelist=x",
    "--collector.netdev.label-ifalias",
    "--collector.nvmesubsystem",
    "--collector.pcidevice",
    "--collector.pcidevice.idsfile=x",
    "--collector.pcidevice.names",
    "--collector.perf.cache-profilers=x",
    "--collector.perf.disable-cache-profilers",
    "--collector.perf.disable-hardware-profilers",
    "--collector.perf.disable-software-profilers",
    "--collector.perf.hardware-profilers=x",
    "--collector.perf.software-profilers=x",
    "--collector.qdisc.device-exclude=x",
    "--collector.qdisc.device-include=x",
    "--collector.qdisc.fixtures=x",
    "--collector.slabinfo.slabs-exclude=x",
    "--collector.slabinfo.slabs-include=x",
    "--collector.softirqs",
    "--collector.swap",
    "--collector.systemd.private",
    "--collector.systemd.unit-blacklist=x",
    "--collector.systemd.unit-whitelist=x",
    "--collector.watchdog",
    "--collector.wifi.fixtures=x",
    "--collector.xfrm",
    "--log.level=WARN",
    "--runtime.gomaxprocs=1",
];

/// A unit that starts node_exporter starts vigie with the same words.
#[test]
fn every_flag_is_understood() {
    let of_help = ["help", "help-long", "help-man", "version"];
    let mut words: Vec<String> = OTHER_FLAGS.map(str::to_owned).into();
    let pattern = r#"(?m)^ +(?:-h, )?--(?:\[no-\])?([\w.-]+)(?:=("[^"]*"|\S+))?"#;
    for found in regex::Regex::new(pattern).unwrap().captures_iter(&told("--help")) {
        match found.get(2) {
            _ if of_help.contains(&&found[1]) => {}
            Some(value) => {
                words.push(format!("--{}={}", &found[1], value.as_str().trim_matches('"')));
            }
            None => words.extend(["--", "--no-"].map(|dashes| format!("{dashes}{}", &found[1]))),
        }
    }
    assert!(words.len() > 150, "{words:?}");
    for command in [&[][..], &["serve"]] {
        // What stands before --help is read first.
        let words = command.iter().copied().chain(words.iter().map(String::as_str));
        let output = run_vigie(words.chain(["--help"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn with_everything_on() {
    compare(
        &WITH_FLAGS.map(str::to_owned),
        &[
            "--collector.cpu.info",
            "--collector.cpufreq",
            "--collector.cpu.info.flags-include=^(aes|fpu|sse.*)$",
            "--collector.cpu.info.bugs-include=spec",
            "--collector.netdev.enable-detailed-metrics",
            "--collector.netdev.address-info",
            "--collector.stat.softirq",
        ],
    );
}

#[test]
fn with_everything_off() {
    compare(
        &WITH_FLAGS.map(str::to_owned),
        &["--no-collector.cpu.guest", "--no-collector.netdev.netlink"],
    );
}

#[test]
fn with_text_files() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "a.prom",
            "# HELP jobs_total Jobs \\\\ done.\n# TYPE jobs_total counter\njobs_total{q=\"a\\\"\\n\"} 3\n",
        ),
        ("b.prom", "# HELP jobs_total Jobs \\\\ done.\njobs_untyped 1.5e-7\n"),
        ("c.prom", "# HELP jobs_total Other.\n# TYPE jobs_total counter\njobs_total{q=\"c\"} 4\n"),
        ("d.prom", "plain{b=\"1\",a=\"\"} +Inf\nplain NaN\nplain{c=\"2\",} -0\n"),
        (
            "e.prom",
            "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.25\nh_count 3\n",
        ),
        ("f.prom", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\n"),
        ("stamped.prom", "stamped 1 1700000000000\n"),
        ("cut.prom", "cut 1"),
        ("dos.prom", "dos 1\r\n"),
        ("blank.prom", "blank 1 \n"),
        ("twice.prom", "twice{a=\"1\",a=\"2\"} 1\n"),
        ("late.prom", "late 1\n# TYPE late gauge\n"),
        ("ignored.txt", "ignored 1\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    compare(
        &WITH_FLAGS.map(str::to_owned),
        &[&format!("--collector.textfile.directory={}", dir.path().display())],
    );
}

/// Compares until every difference was seen to go away: gauges move under our hands.
fn compare(collectors: &[String], flags: &[&str]) {
    let mut args = vec!["--collector.disable-defaults".to_owned()];
    args.extend(collectors.iter().map(|name| format!("--collector.{name}")));
    args.extend(COMMON.into_iter().chain(flags.iter().copied()).map(str::to_owned));
    let original = Original::start(&args);
    let ours = args.iter().fold(Vigie::with(), VigieBuilder::arg).start();
    // What a collector learns in its first scrape counts too.
    let _ = ours.scrape();
    let allowed = Allowed::read(version(&told("--version")));
    let mut lasting: Option<BTreeSet<String>> = None;
    for _ in 0..30 {
        let before = original.scrape();
        assert!(before.of_the_host().count() > 15, "the original shows its metrics");
        let ours = Page::parse(&ours.scrape());
        let after = original.scrape();
        let found = differences(&before, &ours, &after, &allowed);
        let still = match lasting.take() {
            Some(last) => last.intersection(&found).cloned().collect(),
            None => found,
        };
        if still.is_empty() {
            return;
        }
        lasting = Some(still);
    }
    let lasting: Vec<_> = lasting.unwrap_or_default().into_iter().collect();
    panic!("{} differences:\n{}", lasting.len(), lasting.join("\n"));
}

/// Debian's node_exporter on a free port.
struct Original {
    port: u16,
    _process: Proc,
}

impl Original {
    fn start(args: &[String]) -> Self {
        let port = free_port();
        let mut command = Command::new(program("prometheus-node-exporter"));
        command.args(args).arg("--web.disable-exporter-metrics");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Proc::start("node_exporter", &mut command);
        let original = Original { port, _process: process };
        wait_for("node_exporter", SOON, || get(original.address(), "/metrics").map(|_| ()));
        original
    }

    fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn scrape(&self) -> Page {
        Page::parse(&get(self.address(), "/metrics").unwrap().ok().text())
    }
}

/// What may differ, from the tables of `divergences.md`; a name may end in `*`.
struct Allowed {
    /// Families that vigie alone has.
    families: BTreeSet<String>,
    /// Families of which vigie has more series.
    series: BTreeSet<String>,
    /// `family label`.
    labels: BTreeSet<String>,
    /// Families, or a family and a value of a label of it, whose numbers are not compared.
    values: BTreeSet<String>,
}

impl Allowed {
    /// The rows for an original of this version.
    fn read(version_of_original: Version) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/divergences.md");
        let text = fs::read_to_string(file).unwrap();
        let of_kind = |kind: &str| {
            let row = |line: &str| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                if cells.next() != Some(kind) {
                    return None;
                }
                let (what, versions, why) = (cells.next()?, cells.next()?, cells.next()?);
                assert!(!why.is_empty(), "a reason is missing: {line}");
                is_among(version_of_original, versions).then(|| what.replace('`', ""))
            };
            text.lines().filter_map(row).collect()
        };
        Allowed {
            families: of_kind("family"),
            series: of_kind("series"),
            labels: of_kind("label"),
            values: of_kind("value"),
        }
    }
}

/// Whether `versions` mean this one: `all`, `< 1.9.0`, `>= 1.9.0`.
fn is_among(this: Version, versions: &str) -> bool {
    match versions.split_once(' ') {
        Some(("<", bound)) => this < version(bound),
        Some((">=", bound)) => this >= version(bound),
        _ => versions == "all" || panic!("no versions: {versions}"),
    }
}

/// Whether one of `names`, or of their beginnings before `*`, is `name`.
fn lists(names: &BTreeSet<String>, name: &str) -> bool {
    names.iter().any(|listed| match listed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => listed == name,
    })
}

/// Whether a series, or all of its family, are listed.
fn is_listed(values: &BTreeSet<String>, (name, labels): &(String, Labels)) -> bool {
    lists(values, name) || labels.values().any(|label| lists(values, &format!("{name} {label}")))
}

/// Labels by name, without those that are empty.
type Labels = BTreeMap<String, String>;

#[derive(Default)]
struct Family {
    kind: String,
    series: BTreeMap<(String, Labels), f64>,
}

/// An exposition, by family.
#[derive(Default)]
struct Page {
    families: BTreeMap<String, Family>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Page::default();
        let mut current = String::new();
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
            {
                name.clone_into(&mut current);
                let family = page.families.entry(current.clone()).or_default();
                assert!(family.kind.is_empty(), "{name} has two headers");
                kind.clone_into(&mut family.kind);
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let key = (name.to_owned(), parse_labels(labels));
                let family = page.families.get_mut(&current).unwrap();
                let known = family.series.insert(key, value.parse().unwrap());
                assert!(known.is_none(), "{series} is told twice");
            }
        }
        page
    }

    /// Families of the host; what the programs say of themselves is left out.
    fn of_the_host(&self) -> impl Iterator<Item = (&String, &Family)> {
        let own = [
            "alertmanager_",
            "node_exporter_",
            "node_scrape_collector_duration",
            "process_",
            "promhttp_",
            "vigie_",
        ];
        self.families.iter().filter(move |(name, _)| !own.iter().any(|own| name.starts_with(own)))
    }
}

/// Reads `a="x",b="y"}`.
fn parse_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text.trim_end_matches('}');
    while let Some((name, tail)) = rest.split_once("=\"") {
        let mut escaped = false;
        let end = tail.find(|c| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let end = end.unwrap();
        if end > 0 {
            labels.insert(name.trim_start_matches(',').to_owned(), tail[..end].to_owned());
        }
        rest = &tail[end + 1..];
    }
    labels
}

fn differences(before: &Page, ours: &Page, after: &Page, allowed: &Allowed) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, family) in before.of_the_host() {
        let Some(our) = ours.families.get(name) else {
            found.insert(format!("{name} is missing"));
            continue;
        };
        if our.kind != family.kind {
            found.insert(format!("{name} is a {}, not a {}", our.kind, family.kind));
        }
        let no_family = Family::default();
        let later = after.families.get(name).unwrap_or(&no_family);
        let our_series = without_allowed(name, our, allowed);
        let later = without_allowed(name, later, allowed);
        let series_before = without_allowed(name, family, allowed);
        for (series, &first) in &series_before {
            let Some(&last) = later.get(series) else { continue };
            match our_series.get(series) {
                None => {
                    found.insert(format!("{series:?} is missing"));
                }
                Some(&value)
                    if !is_listed(&allowed.values, series) && !fits(first, value, last, family) =>
                {
                    found.insert(format!("{series:?} is wrong"));
                }
                Some(_) => {}
            }
        }
        let more = our_series.keys().filter(|series| !series_before.contains_key(*series));
        for series in more.filter(|_| !lists(&allowed.series, name)) {
            found.insert(format!("{series:?} is too much"));
        }
    }
    let unknown =
        |name: &&String| !before.families.contains_key(*name) && !lists(&allowed.families, name);
    let names = ours.of_the_host().map(|(name, _)| name).filter(unknown);
    found.extend(names.map(|name| format!("family {name} is too much")));
    found
}

fn without_allowed(
    name: &str,
    family: &Family,
    allowed: &Allowed,
) -> BTreeMap<(String, Labels), f64> {
    let strip = |((series, labels), value): (&(String, Labels), &f64)| {
        let kept =
            labels.iter().filter(|(label, _)| !allowed.labels.contains(&format!("{name} {label}")));
        let kept = kept.map(|(label, value)| (label.clone(), value.clone())).collect();
        ((series.clone(), kept), *value)
    };
    family.series.iter().map(strip).collect()
}

/// Equal where nothing moved; a counter lies in between; a gauge that moved can be anywhere.
fn fits(first: f64, value: f64, last: f64, family: &Family) -> bool {
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    if same(first, last) {
        return same(first, value);
    }
    family.kind != "counter" || (first..=last).contains(&value)
}
