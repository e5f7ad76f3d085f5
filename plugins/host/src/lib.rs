#![doc = include_str!("../README.md")]

pub mod bonding;
pub mod conntrack;
pub mod cpu;
mod cpuinfo;
pub mod diskstats;
pub mod filesystem;
mod filter;
mod glob;
pub mod loadavg;
pub mod meminfo;
mod mountinfo;
mod named;
pub mod netdev;
pub mod netstat;
mod parse;
mod procnet;
mod rtnetlink;
pub mod runit;
pub mod sockstat;
pub mod softnet;
pub mod stat;
mod statfs;
mod sysfs;
pub mod textfile;
pub mod time;
mod udev;
pub mod udp_queues;
pub mod uname;
pub mod xfrm;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use vigie_core::collect::{CollectorDef, Setting};
use vigie_core::plugin::{Parts, Plugin};

/// Every collector of this plugin, in alphabetical order.
pub static COLLECTORS: &[&CollectorDef] = &[
    &bonding::DEF,
    &conntrack::DEF,
    &cpu::DEF,
    &diskstats::DEF,
    &filesystem::DEF,
    &loadavg::DEF,
    &meminfo::DEF,
    &netdev::DEF,
    &runit::DEF,
    &netstat::DEF,
    &sockstat::DEF,
    &softnet::DEF,
    &stat::DEF,
    &textfile::DEF,
    &time::DEF,
    &udp_queues::DEF,
    &uname::DEF,
    &xfrm::DEF,
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
