//! `netclass`: what each network interface is and how it is set (SYS/class/net, or rtnetlink and ethtool).
//!
//! Its filter is that of `netdev` unless it is given one of its own, so that one flag leaves an interface out of both.
//! It must not know traffic, unless it is asked to replace `netdev`.

use vigie_core::collect::{
    BuildError, CollectError, Collector, CollectorDef, CollectorInfo, Scrape, Setting,
};
use vigie_core::config::FlagDef;
use vigie_core::metric::{Family, FamilyDoc, MetricSink};

use crate::filter::Filter;
use crate::known::Known;
use crate::netdev;
use crate::netdev::family::{Source as Counted, figures};

mod column;
mod rtnl;
mod sysfs;
mod told;

use column::COLUMNS;

const IGNORED: &str = "collector.netclass.ignored-devices";
const IGNORE_SPEED: &str = "collector.netclass.ignore-invalid-speed";
const NETLINK: &str = "collector.netclass.netlink";
const WITH_STATS: &str = "collector.netclass_rtnl.with-stats";

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("netclass", "Settings and states of network interfaces.")
        .reads("SYS/class/net, rtnetlink RTM_GETLINK, ethtool netlink")
        .flags(&[
            FlagDef::text(
                IGNORED,
                "^$",
                "Regular expression of interfaces to leave out. When it is not given, the filter of netdev applies.",
            ),
            FlagDef::switch(IGNORE_SPEED, false, "Leave out speeds that are not known."),
            FlagDef::switch(NETLINK, false, "Ask over netlink instead of reading sysfs."),
            FlagDef::switch(
                WITH_STATS,
                false,
                "With netlink, export the counters of netdev under their detailed names too.",
            ),
        ])
        .families(&FAMILIES),
    build: |setting| Ok(Box::new(NetClass::build(setting)?)),
};

static UP: Family<1> =
    Family::gauge("node_network_up", "Whether the operational state is up.", ["device"]);
static SPEED: Family<1> =
    Family::gauge("node_network_speed_bytes", "Speed in bytes per second.", ["device"]);
static INFO: Family<7> = Family::gauge(
    "node_network_info",
    "What each interface is; always 1.",
    ["address", "adminstate", "broadcast", "device", "duplex", "ifalias", "operstate"],
);
static ALTERNATIVE_NAMES: Family<2> = Family::gauge(
    "node_network_altnames_info",
    "Further names of each interface; always 1.",
    ["altname", "device"],
);

static FAMILIES: [FamilyDoc; COLUMNS.len() + 4] = {
    let mut all = [INFO.doc(); COLUMNS.len() + 4];
    let mut i = 0;
    while i < COLUMNS.len() {
        all[i] = COLUMNS[i].family.doc();
        i += 1;
    }
    all[i + 1] = UP.doc();
    all[i + 2] = SPEED.doc();
    all[i + 3] = ALTERNATIVE_NAMES.doc();
    all
};

struct NetClass {
    source: Source,
    filter: Filter,
    ignore_invalid_speed: bool,
    interfaces: Known<Interface>,
}

enum Source {
    Sysfs(sysfs::Reader),
    Netlink(rtnl::Reader),
}

/// What is known of an interface; texts that did not change are kept.
#[derive(Default)]
struct Interface {
    admitted: bool,
    /// In the order of [`COLUMNS`].
    values: [Option<i64>; COLUMNS.len()],
    /// Mbit/s, below 0 when the interface does not know.
    speed: Option<i64>,
    address: String,
    broadcast: String,
    duplex: String,
    alias: String,
    operational_state: String,
    /// `IFF_*`.
    flags: Option<i64>,
    alternative_names: Vec<String>,
    counters: Option<crate::netlink::link::Counters>,
}

impl Interface {
    fn new(name: &str, filter: &Filter) -> Self {
        Interface { admitted: filter.admits(name), ..Interface::default() }
    }

    /// What an administrator wants, which need not be what the interface does.
    fn administrative_state(&self) -> &'static str {
        match self.flags {
            Some(flags) if flags & 1 == 1 => "up",
            Some(_) => "down",
            None => "unknown",
        }
    }
}

/// Keeps `text` when it is the same as before.
fn keep(target: &mut String, text: &str) {
    if target != text {
        text.clone_into(target);
    }
}

impl NetClass {
    fn build(setting: &Setting) -> Result<Self, BuildError> {
        let flags = &setting.flags;
        let filter = if flags.is_given(IGNORED) {
            Filter::excluding(flags, IGNORED)?
        } else {
            netdev::filter(flags)?
        };
        let source = if flags.switch(NETLINK) {
            Source::Netlink(rtnl::Reader::new(&setting.paths, flags.switch(WITH_STATS)))
        } else {
            Source::Sysfs(sysfs::Reader::new(&setting.paths))
        };
        let ignore_invalid_speed = flags.switch(IGNORE_SPEED);
        Ok(NetClass { source, filter, ignore_invalid_speed, interfaces: Known::new() })
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &Interface)> {
        self.interfaces.iter().filter(|(_, interface)| interface.admitted)
    }

    fn emit(&self, sink: &mut dyn MetricSink) {
        for (at, column) in COLUMNS.iter().enumerate() {
            let mut family = column.family.open(sink);
            let values =
                self.shown().filter_map(|(name, i)| Some((name, i.values.get(at)?.as_ref()?)));
            values.for_each(|(name, value)| family.emit([name], *value));
        }
        let mut family = UP.open(sink);
        self.shown().for_each(|(name, i)| family.emit([name], i.operational_state == "up"));
        let mut family = SPEED.open(sink);
        for (name, interface) in self.shown() {
            let valid = |speed: &i64| *speed >= 0 || !self.ignore_invalid_speed;
            if let Some(speed) = interface.speed.filter(valid) {
                family.emit([name], speed.saturating_mul(BYTES_PER_MEGABIT));
            }
        }
        let mut family = INFO.open(sink);
        for (name, i) in self.shown() {
            let (state, admin) = (&i.operational_state, i.administrative_state());
            let labels = [&i.address, admin, &i.broadcast, name, &i.duplex, &i.alias, state];
            family.emit(labels, true);
        }
        let mut family = ALTERNATIVE_NAMES.open(sink);
        for (name, interface) in self.shown() {
            interface.alternative_names.iter().for_each(|other| family.emit([other, name], true));
        }
    }

    fn emit_counters(&self, sink: &mut dyn MetricSink) {
        for figure in figures(Counted::Netlink, true) {
            let mut family = figure.family.open(sink);
            for (name, interface) in self.shown() {
                if let Some(counters) = &interface.counters {
                    family.emit([name, ""], figure.value(counters));
                }
            }
        }
    }
}

const BYTES_PER_MEGABIT: i64 = 1_000_000 / 8;

impl Collector for NetClass {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        self.interfaces.begin();
        let NetClass { source, filter, interfaces, .. } = self;
        let (result, with_counters) = match source {
            Source::Sysfs(reader) => (reader.update(filter, interfaces), false),
            Source::Netlink(reader) => (reader.update(filter, interfaces), reader.with_counters()),
        };
        self.interfaces.end();
        self.emit(sink);
        if with_counters {
            self.emit_counters(sink);
        }
        result
    }
}
