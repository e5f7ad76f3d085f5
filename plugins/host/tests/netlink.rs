//! The collectors that ask the kernel, in a network namespace of their own with interfaces made for them.
//!
//! A thread leaves the namespace of the tests, `ip` and `tc` set the stage, and each family is held against what was
//! set. It must not know how the kernel was asked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the message")]

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use common::{SOON, wait_for};
use nix::sched::{CloneFlags, unshare};
use vigie_core::collect::{CollectError, Collector, Paths, Scrape, Setting};
use vigie_core::config::Flags;
use vigie_core::encode::{Format, TextSink, assemble};
use vigie_host::COLLECTORS;

/// `v0` and `v1` are the ends of one cable; `veth9` is the end of another, like that of a container.
const STAGE: &str = "
    mount --make-rprivate /
    mount -t sysfs sysfs \"$SYS\"
    ip link set lo up
    ip link add v0 type veth peer name v1
    ip link add veth9 type veth peer name v9
    ip link set v0 alias 'up link'
    ip link set v0 group 7
    ip link property add dev v0 altname wire
    tc qdisc replace dev v0 root handle 1: htb default 1
    tc class add dev v0 parent 1: classid 1:1 htb rate 1gbit
    tc qdisc add dev v0 parent 1:1 pfifo
    ip link set v0 up
    ip link set v1 up
    ip addr add 10.1.0.1/24 dev v0
    ip addr add 10.1.0.77 peer 10.1.0.99/32 dev v0
    ip addr add 10.1.0.77 peer 10.1.0.98/32 dev v0
    ip addr add 2001:db8::1/64 dev v0 nodad
    ip neigh add 10.1.0.9 lladdr 00:11:22:33:44:55 dev v0
    ip neigh add 10.1.0.10 lladdr 00:11:22:33:44:56 dev v0 nud noarp
    ip neigh add 2001:db8::9 lladdr 00:11:22:33:44:57 dev v0
    ip route add 10.9.0.1/32 via 10.1.0.9 dev v0 metric 5
    ip route add 10.9.0.1/32 via 10.1.0.9 dev v0 metric 5 table 100
    ip route add 10.10.0.0/16 nexthop via 10.1.0.5 dev v0 weight 2 nexthop via 10.1.0.6 dev v0 weight 3
    ip route add default via 10.1.0.9 proto 77
    ip route add 10.11.0.0/16 nexthop via inet6 fe80::5 dev v0 nexthop via inet6 fe80::6 dev v0
    ip -6 route add 2001:db8:5::/48 via 2001:db8::5 proto static
    ip route add blackhole 10.99.0.0/16
";

/// Runs `test` on a thread inside a new network namespace; `paths` have its sysfs.
fn on_stage(test: fn(&Paths)) {
    let inside = move || {
        let sys = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let output = Command::new("sh").args(["-ec", STAGE]).env("SYS", sys.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let paths = Paths { sysfs: sys.path().to_owned(), ..Paths::default() };
        test(&paths);
        let unmounted = Command::new("umount").arg(sys.path()).status().unwrap();
        assert!(unmounted.success());
    };
    std::thread::spawn(inside).join().unwrap();
}

/// A collector with flags, each `name=value` or the name of a switch.
fn build(paths: &Paths, name: &str, given: &[&str]) -> Box<dyn Collector> {
    let def = COLLECTORS.iter().find(|def| def.info.name == name).unwrap();
    let mut flags = Flags::new(COLLECTORS.iter().flat_map(|def| def.info.flags));
    for flag in given {
        let (flag, value) = flag.split_once('=').unwrap_or((flag, "true"));
        flags.set(format!("collector.{flag}"), vec![value.to_owned()]);
    }
    let setting = Setting::new(paths.clone(), Arc::new(flags), String::new());
    (def.build)(&setting).unwrap()
}

/// The lines of the samples of one scrape.
fn collect(collector: &mut dyn Collector) -> (BTreeSet<String>, Result<(), CollectError>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut sink = TextSink::new(Format::Text);
    let result = collector.collect(&Scrape::new(UNIX_EPOCH, deadline), &mut sink);
    let mut page = Vec::new();
    assert!(assemble(Format::Text, &[&sink], &mut page).is_empty());
    let page = String::from_utf8(page).unwrap();
    let samples = page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    let mut all = BTreeSet::new();
    samples.for_each(|sample| assert!(all.insert(sample.clone()), "told twice: {sample}"));
    (all, result)
}

fn scrape(
    paths: &Paths,
    name: &str,
    given: &[&str],
) -> (BTreeSet<String>, Result<(), CollectError>) {
    collect(&mut *build(paths, name, given))
}

/// A scrape that must succeed.
fn samples(paths: &Paths, name: &str, given: &[&str]) -> BTreeSet<String> {
    let (samples, result) = scrape(paths, name, given);
    result.unwrap();
    samples
}

fn assert_has(samples: &BTreeSet<String>, lines: &[&str]) {
    for line in lines {
        assert!(samples.contains(*line), "{line} is not among {samples:#?}");
    }
}

/// The value of the one sample that begins so.
fn value(samples: &BTreeSet<String>, series: &str) -> u64 {
    let mut found = samples.iter().filter_map(|line| line.strip_prefix(series));
    let value = found.next().unwrap_or_else(|| panic!("{series} is not among {samples:#?}"));
    value.trim().parse().unwrap()
}

fn attribute(paths: &Paths, name: &str) -> String {
    std::fs::read_to_string(paths.sys("class/net").join(name)).unwrap().trim().to_owned()
}

#[test]
fn neighbours() {
    on_stage(|paths| {
        let found = samples(paths, "arp", &[]);
        assert_eq!(found, BTreeSet::from(["node_arp_entries{device=\"v0\"} 1".to_owned()]));
        assert!(samples(paths, "arp", &["arp.device-exclude=v"]).is_empty());
    });
}

#[test]
fn routes() {
    on_stage(|paths| {
        let found = samples(paths, "network_route", &[]);
        for (dest, gw, priority, proto, src, weight) in [
            ("10.1.0.0/24", "", "0", "kernel", "10.1.0.1", ""),
            ("10.1.0.99/32", "", "0", "kernel", "10.1.0.77", ""),
            ("10.9.0.1/32", "10.1.0.9", "5", "boot", "", ""),
            ("10.10.0.0/16", "10.1.0.5", "0", "boot", "", "2"),
            ("10.10.0.0/16", "10.1.0.6", "0", "boot", "", "3"),
            ("10.11.0.0/16", "fe80::5", "0", "boot", "", "1"),
            ("10.11.0.0/16", "fe80::6", "0", "boot", "", "1"),
            ("default", "10.1.0.9", "0", "unknown", "", ""),
            ("2001:db8:5::/48", "2001:db8::5", "1024", "static", "", ""),
            ("2001:db8::/64", "", "256", "kernel", "", ""),
            ("fe80::/64", "", "256", "kernel", "", ""),
        ] {
            let labels = [
                ("device", "v0"),
                ("src", src),
                ("dest", dest),
                ("gw", gw),
                ("priority", priority),
                ("proto", proto),
                ("weight", weight),
            ];
            let labels = labels.iter().filter(|(_, value)| !value.is_empty());
            let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
            assert_has(&found, &[&format!("node_network_route_info{{{}}} 1", labels.join(","))]);
        }
        assert!(!found.iter().any(|line| line.contains("10.99.0.0")), "no way out: {found:#?}");
        // The route of table 100 counts too.
        assert_has(&found, &["node_network_routes{device=\"v0\"} 13"]);
    });
}

#[test]
fn queues() {
    on_stage(|paths| {
        let before = samples(paths, "qdisc", &[]);
        let labels = "{device=\"v0\",kind=\"htb\"}";
        let sender = UdpSocket::bind("10.1.0.1:0").unwrap();
        for _ in 0..3 {
            sender.send_to(&[0; 100], "10.1.0.9:9").unwrap();
        }
        let after = samples(paths, "qdisc", &[]);
        let grown = |name: &str| {
            let series = format!("node_qdisc_{name}{labels}");
            value(&after, &series) - value(&before, &series)
        };
        assert!(grown("packets_total") >= 3 && grown("bytes_total") >= 3 * (100 + 8 + 20 + 14));
        for name in
            ["drops_total", "requeues_total", "overlimits_total", "backlog", "current_queue_length"]
        {
            assert_has(&after, &[&format!("node_qdisc_{name}{labels} 0")]);
        }
        assert!(!after.iter().any(|line| line.contains("pfifo\"")), "only roots: {after:#?}");
        let others = samples(paths, "qdisc", &["qdisc.device-exclude=^v0$"]);
        assert!(!others.is_empty() && !others.iter().any(|line| line.contains("v0")));
    });
}

#[test]
fn tcp_sockets() {
    on_stage(|paths| {
        assert!(samples(paths, "tcpstat", &[]).is_empty(), "no sockets, no states");
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|at| TcpListener::bind(at).unwrap());
        let connect = |listener: &TcpListener| {
            let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            std::io::Write::write_all(&mut &ours, b"seven b").unwrap();
            (ours, listener.accept().unwrap())
        };
        let connections: Vec<_> = listeners.iter().map(connect).collect();
        let states = |state: &str| format!("node_tcp_connection_states{{state=\"{state}\"}}");
        let found = samples(paths, "tcpstat", &[]);
        assert_eq!(value(&found, &states("listen")), 2);
        assert_eq!(value(&found, &states("established")), 4);
        assert_eq!(value(&found, &states("rx_queued_bytes")), 14);
        value(&found, &states("tx_queued_bytes"));
        drop(connections);
    });
}

#[test]
fn settings_of_interfaces_are_the_same_in_sysfs_and_over_netlink() {
    on_stage(|paths| {
        let sysfs = samples(paths, "netclass", &[]);
        let netlink = samples(paths, "netclass", &["netclass.netlink"]);
        let (index, peer) = (attribute(paths, "v0/ifindex"), attribute(paths, "v1/ifindex"));
        for samples in [&sysfs, &netlink] {
            assert_has(
                samples,
                &[
                    "node_network_up{device=\"v0\"} 1",
                    "node_network_up{device=\"lo\"} 0",
                    "node_network_carrier{device=\"v0\"} 1",
                    "node_network_mtu_bytes{device=\"v0\"} 1500",
                    "node_network_net_dev_group{device=\"v0\"} 7",
                    "node_network_protocol_type{device=\"lo\"} 772",
                    "node_network_speed_bytes{device=\"v0\"} 1250000000",
                    &format!("node_network_iface_id{{device=\"v0\"}} {index}"),
                    &format!("node_network_iface_link{{device=\"v0\"}} {peer}"),
                ],
            );
            assert!(!samples.iter().any(|line| line.contains("veth9")), "{samples:#?}");
        }
        // The kernel tells netlink more flags than sysfs, and the carrier and speed of interfaces that are down.
        let comparable = |samples: &BTreeSet<String>| -> BTreeSet<String> {
            let of_v0 = samples.iter().filter(|line| line.contains("device=\"v0\""));
            let same = of_v0.filter(|line| !line.contains("_flags{") && !line.contains("altname"));
            same.map(|line| line.replace("\"Full\"", "\"full\"")).collect()
        };
        assert_eq!(comparable(&sysfs), comparable(&netlink));
        let address = attribute(paths, "v0/address");
        let info = format!(
            "node_network_info{{address=\"{address}\",adminstate=\"up\",broadcast=\"ff:ff:ff:ff:ff:ff\",\
             device=\"v0\",duplex=\"full\",ifalias=\"up link\",operstate=\"up\"}} 1"
        );
        assert_has(&sysfs, &[&info]);
        assert_has(&netlink, &["node_network_altnames_info{altname=\"wire\",device=\"v0\"} 1"]);
        let all = samples(paths, "netclass", &["netclass.ignored-devices=^lo$"]);
        assert!(
            all.iter().any(|line| line.contains("veth9"))
                && !all.iter().any(|l| l.contains("\"lo\""))
        );
    });
}

/// The first scrape reads sysfs, later ones take from netlink what sysfs was seen to agree with.
#[test]
fn later_scrapes_of_interfaces_say_what_the_first_did() {
    on_stage(|paths| {
        let mut collector = build(paths, "netclass", &["netclass.ignored-devices=^$"]);
        let mut settings = || {
            let (samples, result) = collect(&mut *collector);
            result.unwrap();
            samples
        };
        let first = settings();
        assert!(first.len() > 60 && first.iter().any(|line| line.contains("veth9")), "{first:#?}");
        assert_eq!(settings(), first);
        let ip = |words: &str| {
            assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
        };
        ip("link set v0 mtu 1400");
        ip("link set v0 promisc on");
        assert_has(&settings(), &["node_network_mtu_bytes{device=\"v0\"} 1400"]);
        // The kernel takes its time to tell everybody that a cable was pulled.
        let mut agree = || {
            wait_for("later scrapes to agree with a first one", SOON, || {
                let fresh = samples(paths, "netclass", &["netclass.ignored-devices=^$"]);
                let later = settings();
                if later == fresh { Ok(()) } else { Err(format!("{later:#?} {fresh:#?}")) }
            });
        };
        agree();
        ip("link set v1 down");
        agree();
        ip("link set v1 name other");
        agree();
    });
}

#[test]
fn traffic_is_that_of_procfs() {
    on_stage(|paths| {
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        echo.send_to(&[0; 100], echo.local_addr().unwrap()).unwrap();
        let found = samples(paths, "netdev", &["netdev.address-info"]);
        let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let lo = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).unwrap();
        let columns: Vec<u64> = lo.split_whitespace().map(|word| word.parse().unwrap()).collect();
        for (name, column) in [
            ("receive_bytes", 0),
            ("receive_packets", 1),
            ("transmit_bytes", 8),
            ("transmit_packets", 9),
        ] {
            let series = format!("node_network_{name}_total{{device=\"lo\"}}");
            assert_eq!(value(&found, &series), columns[column], "{name}");
            assert!(columns[column] > 0);
        }
        let info = |address, bits, scope| {
            format!(
                "node_network_address_info{{address=\"{address}\",device=\"v0\",netmask=\"{bits}\",scope=\"{scope}\"}} 1"
            )
        };
        let both = [
            info("10.1.0.1", 24, "global"),
            info("10.1.0.77", 32, "global"),
            info("2001:db8::1", 64, "global"),
        ];
        assert_has(&found, &both.each_ref().map(String::as_str));
        assert!(!found.iter().any(|line| line.contains("veth9")), "{found:#?}");
        let detailed = samples(paths, "netdev", &["netdev.enable-detailed-metrics"]);
        let stats = samples(paths, "netclass", &["netclass.netlink", "netclass_rtnl.with-stats"]);
        let of_lo = detailed.iter().filter(|line| line.contains("\"lo\"")).collect::<Vec<_>>();
        assert_eq!(of_lo.len(), 24, "{of_lo:#?}");
        of_lo.iter().for_each(|line| assert_has(&stats, &[line]));
    });
}

#[test]
fn drivers() {
    on_stage(|paths| {
        let found = samples(paths, "ethtool", &["ethtool.device-include=^v0$"]);
        let peer = attribute(paths, "v1/ifindex");
        assert_has(
            &found,
            &[
                "node_ethtool_info{device=\"v0\",driver=\"veth\",version=\"1.0\"} 1",
                &format!("node_ethtool_peer_ifindex{{device=\"v0\"}} {peer}"),
                "node_network_autonegotiate{device=\"v0\"} 0",
                "node_network_autonegotiate_supported{device=\"v0\"} 0",
                "node_network_asymmetricpause_advertised{device=\"v0\"} 0",
            ],
        );
        assert!(!found.iter().any(|line| line.contains("v1")), "{found:#?}");
        let some = ["ethtool.device-include=^v0$", "ethtool.metrics-include=^peer"];
        let statistics = samples(paths, "ethtool", &some);
        let of_driver =
            |line: &&String| line.starts_with("node_ethtool_") && !line.contains("_info");
        assert_eq!(statistics.iter().filter(of_driver).count(), 1, "{statistics:#?}");
    });
}

/// Most kernels that tests run on have no wireless driver.
#[test]
fn wireless_interfaces() {
    on_stage(|paths| match scrape(paths, "wifi", &[]) {
        (found, Err(error)) => assert!(error.kind() == "no_data" && found.is_empty(), "{error}"),
        (found, Ok(())) => assert!(!found.iter().any(|line| line.contains("v0")), "{found:#?}"),
    });
}

/// As in a container with a network of its own: procfs shows that the first process has another.
#[test]
fn the_network_of_the_host_is_entered() {
    on_stage(|paths| {
        let host = tempfile::tempdir().unwrap();
        let link = |process: &str, to: &Path| {
            let directory = host.path().join(process).join("ns");
            std::fs::create_dir_all(&directory).unwrap();
            symlink(to, directory.join("net")).unwrap();
        };
        link("1", &std::fs::canonicalize("/proc/thread-self").unwrap().join("ns/net"));
        link("self", Path::new("/proc/self/ns/net"));
        let paths = Paths { procfs: host.path().to_owned(), ..paths.clone() };
        let elsewhere = move || {
            assert!(!Path::new("/sys/class/net/v0").exists(), "the namespace of the tests");
            let shown = |name: &str, flags: &[&str]| {
                let found = samples(&paths, name, flags);
                assert!(
                    found.iter().any(|line| line.contains("device=\"v0\"")),
                    "{name}: {found:#?}"
                );
            };
            shown("arp", &[]);
            shown("netclass", &["netclass.netlink"]);
            shown("netdev", &["netdev.address-info"]);
            shown("network_route", &[]);
            shown("qdisc", &[]);
        };
        // A thread of the test's own thread would be on stage too: this one goes back first.
        std::thread::scope(|scope| {
            let back = || {
                let home = std::fs::File::open("/proc/self/ns/net").unwrap();
                nix::sched::setns(home, CloneFlags::CLONE_NEWNET).unwrap();
                elsewhere();
            };
            scope.spawn(back).join().unwrap();
        });
    });
}
