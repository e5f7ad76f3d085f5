#![doc = include_str!("../README.md")]

pub mod arp;
mod attribute;
pub mod bcache;
pub mod bcachefs;
pub mod bonding;
pub mod btrfs;
pub mod buddyinfo;
pub mod cgroups;
pub mod conntrack;
pub mod cpu;
pub mod cpu_vulnerabilities;
pub mod cpufreq;
mod cpuinfo;
mod cpulist;
mod dbus;
pub mod diskstats;
pub mod dmi;
pub mod dmmultipath;
pub mod drbd;
pub mod drm;
pub mod edac;
pub mod entropy;
pub mod ethtool;
pub mod fibrechannel;
pub mod filefd;
pub mod filesystem;
mod filter;
mod glob;
pub mod hwmon;
pub mod infiniband;
pub mod interrupts;
pub mod ipvs;
pub mod kernel_hung;
mod known;
pub mod ksmd;
pub mod lnstat;
pub mod loadavg;
pub mod logind;
pub mod mdadm;
pub mod meminfo;
pub mod meminfo_numa;
mod mountinfo;
pub mod mountstats;
mod named;
pub mod namedprocess;
mod namespace;
pub mod netclass;
pub mod netdev;
mod netlink;
pub mod netstat;
pub mod network_route;
pub mod nfs;
pub mod nfsd;
pub mod ntp;
pub mod nvme;
pub mod nvmesubsystem;
pub mod os;
mod parse;
mod patience;
pub mod pcidevice;
mod percpu;
pub mod perf;
pub mod powersupplyclass;
pub mod pressure;
mod process;
pub mod processes;
mod procnet;
pub mod qdisc;
pub mod rapl;
mod rows;
mod rpcstat;
pub mod runit;
mod scalar;
pub mod schedstat;
pub mod selinux;
pub mod slabinfo;
pub mod sockstat;
pub mod softirqs;
pub mod softnet;
pub mod stat;
mod statfs;
pub mod supervisord;
pub mod swap;
mod sys;
pub mod sysctl;
mod sysfs;
pub mod systemd;
pub mod tapestats;
pub mod tcpstat;
pub mod textfile;
pub mod thermal_zone;
pub mod time;
pub mod timex;
mod udev;
pub mod udp_queues;
pub mod uname;
pub mod vmstat;
pub mod watchdog;
pub mod wifi;
pub mod xfrm;
pub mod xfs;
pub mod zfs;
mod zone;
pub mod zoneinfo;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use vigie_core::collect::{CollectorDef, Setting};
use vigie_core::plugin::{Parts, Plugin};

/// Every collector of this plugin, in alphabetical order.
pub static COLLECTORS: &[&CollectorDef] = &[
    &arp::DEF,
    &bcache::DEF,
    &bcachefs::DEF,
    &bonding::DEF,
    &btrfs::DEF,
    &buddyinfo::DEF,
    &cgroups::DEF,
    &conntrack::DEF,
    &cpu::DEF,
    &cpu_vulnerabilities::DEF,
    &cpufreq::DEF,
    &diskstats::DEF,
    &dmi::DEF,
    &dmmultipath::DEF,
    &drbd::DEF,
    &drm::DEF,
    &edac::DEF,
    &entropy::DEF,
    &ethtool::DEF,
    &fibrechannel::DEF,
    &filefd::DEF,
    &filesystem::DEF,
    &hwmon::DEF,
    &infiniband::DEF,
    &interrupts::DEF,
    &ipvs::DEF,
    &kernel_hung::DEF,
    &ksmd::DEF,
    &lnstat::DEF,
    &loadavg::DEF,
    #[cfg(feature = "systemd")]
    &logind::DEF,
    &mdadm::DEF,
    &meminfo::DEF,
    &meminfo_numa::DEF,
    &mountstats::DEF,
    &namedprocess::DEF,
    &netclass::DEF,
    &netdev::DEF,
    &netstat::DEF,
    &network_route::DEF,
    &nfs::DEF,
    &nfsd::DEF,
    &ntp::DEF,
    &nvme::DEF,
    &nvmesubsystem::DEF,
    &os::DEF,
    &pcidevice::DEF,
    &perf::DEF,
    &powersupplyclass::DEF,
    &pressure::DEF,
    &processes::DEF,
    &qdisc::DEF,
    &rapl::DEF,
    &runit::DEF,
    &schedstat::DEF,
    &selinux::DEF,
    &slabinfo::DEF,
    &sockstat::DEF,
    &softirqs::DEF,
    &softnet::DEF,
    &stat::DEF,
    &supervisord::DEF,
    &swap::DEF,
    &sysctl::DEF,
    #[cfg(feature = "systemd")]
    &systemd::DEF,
    &tapestats::DEF,
    &tcpstat::DEF,
    &textfile::DEF,
    &thermal_zone::DEF,
    &time::DEF,
    &timex::DEF,
    &udp_queues::DEF,
    &uname::DEF,
    &vmstat::DEF,
    &watchdog::DEF,
    &wifi::DEF,
    &xfrm::DEF,
    &xfs::DEF,
    &zfs::DEF,
    &zoneinfo::DEF,
];

/// The plugin.
pub static PLUGIN: Plugin =
    Plugin::new("host", env!("CARGO_PKG_VERSION"), "Host metrics under node_exporter's names")
        .collectors(|| COLLECTORS.iter().map(|def| def.info).collect())
        .build(|setup| {
            let setting = Setting::new(setup.paths.clone(), setup.flags.clone(), String::new());
            let setting = Arc::new(setting);
            let mut parts = Parts::default();
            parts.collectors = COLLECTORS.iter().map(|def| def.bind(setting.clone())).collect();
            Ok(parts)
        });
