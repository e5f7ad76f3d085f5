//! Which attribute of bcache is which family.
//!
//! Flat tables by where the attribute lies (Documentation/admin-guide/bcache.rst). It must not read files.

use vigie_core::metric::{Family, FamilyDoc};

use super::human;

/// An attribute, or a line of one.
pub(super) struct Attribute<const N: usize> {
    /// The file below the directory, or the name at the beginning of the line.
    pub(super) source: &'static str,
    pub(super) unit: Unit,
    pub(super) family: Family<N>,
}

/// What the text of an attribute counts.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Plain,
    /// With or without a minus.
    Signed,
    PerSecond,
    SignedPerSecond,
    Percent,
    /// The kernel's file speaks of microseconds and node_exporter takes them for nanoseconds; dashboards are
    /// built on its numbers.
    Billionths,
}

impl Unit {
    /// The number in `text`; `None` when it is not understood.
    pub(super) fn parse(self, text: &[u8]) -> Option<f64> {
        let without = |suffix: &str| text.strip_suffix(suffix.as_bytes()).unwrap_or(text);
        match self {
            Unit::Plain => human::parse(text),
            Unit::Signed => human::parse_signed(text),
            Unit::PerSecond => human::parse(without("/sec")),
            Unit::SignedPerSecond => human::parse_signed(without("/sec")),
            Unit::Percent => human::parse(without("%")),
            Unit::Billionths => human::parse(text).map(|value| value / 1e9),
        }
    }
}

const fn of<const N: usize>(source: &'static str, unit: Unit, family: Family<N>) -> Attribute<N> {
    Attribute { source, unit, family }
}

const fn set(name: &'static str, help: &'static str) -> Family<1> {
    Family::gauge(name, help, ["uuid"])
}

const fn backing_gauge(name: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(name, help, ["backing_device", "uuid"])
}

const fn backing_counter(name: &'static str, help: &'static str) -> Family<2> {
    Family::counter(name, help, ["backing_device", "uuid"])
}

const fn cache_gauge(name: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(name, help, ["cache_device", "uuid"])
}

const fn cache_counter(name: &'static str, help: &'static str) -> Family<2> {
    Family::counter(name, help, ["cache_device", "uuid"])
}

/// Files of a cache set.
pub(super) static SETS: [Attribute<1>; 10] = [
    of(
        "average_key_size",
        Unit::Plain,
        set("node_bcache_average_key_size_sectors", "Data per key of the tree, in sectors."),
    ),
    of(
        "btree_cache_size",
        Unit::Plain,
        set("node_bcache_btree_cache_size_bytes", "Memory taken by the tree."),
    ),
    of(
        "cache_available_percent",
        Unit::Plain,
        set("node_bcache_cache_available_percent", "Share of the cache without dirty data."),
    ),
    of("congested", Unit::Plain, set("node_bcache_congested", "Congestion of the cache device.")),
    of(
        "root_usage_percent",
        Unit::Plain,
        set("node_bcache_root_usage_percent", "Share of the tree's root that is used."),
    ),
    of("tree_depth", Unit::Plain, set("node_bcache_tree_depth", "Levels of the tree.")),
    of(
        "internal/active_journal_entries",
        Unit::Plain,
        set("node_bcache_active_journal_entries", "Journal entries newer than the index."),
    ),
    of("internal/btree_nodes", Unit::Plain, set("node_bcache_btree_nodes", "Nodes of the tree.")),
    of(
        "internal/btree_read_average_duration_us",
        Unit::Billionths,
        set(
            "node_bcache_btree_read_average_duration_seconds",
            "Average time to read a node of the tree.",
        ),
    ),
    of(
        "internal/cache_read_races",
        Unit::Plain,
        Family::counter(
            "node_bcache_cache_read_races_total",
            "Reads from the cache whose bucket was reused meanwhile.",
            ["uuid"],
        ),
    ),
];

/// Files of a backing device.
pub(super) static BACKING_DEVICES: [Attribute<2>; 8] = [
    of(
        "dirty_data",
        Unit::Plain,
        backing_gauge("node_bcache_dirty_data_bytes", "Dirty data of the device in the cache."),
    ),
    of(
        "stats_total/bypassed",
        Unit::Plain,
        backing_counter("node_bcache_bypassed_bytes_total", "I/O that went past the cache."),
    ),
    of(
        "stats_total/cache_bypass_hits",
        Unit::Plain,
        backing_counter(
            "node_bcache_cache_bypass_hits_total",
            "Hits of I/O meant to go past the cache.",
        ),
    ),
    of(
        "stats_total/cache_bypass_misses",
        Unit::Plain,
        backing_counter(
            "node_bcache_cache_bypass_misses_total",
            "Misses of I/O meant to go past the cache.",
        ),
    ),
    of(
        "stats_total/cache_hits",
        Unit::Plain,
        backing_counter("node_bcache_cache_hits_total", "I/O answered from the cache."),
    ),
    of(
        "stats_total/cache_miss_collisions",
        Unit::Plain,
        backing_counter(
            "node_bcache_cache_miss_collisions_total",
            "Data not cached after a miss, because a write came first.",
        ),
    ),
    of(
        "stats_total/cache_misses",
        Unit::Plain,
        backing_counter("node_bcache_cache_misses_total", "I/O not answered from the cache."),
    ),
    of(
        "stats_total/cache_readaheads",
        Unit::Plain,
        backing_counter("node_bcache_cache_readaheads_total", "Reads ahead into the cache."),
    ),
];

/// Lines of a backing device's `writeback_rate_debug`.
pub(super) static WRITEBACK_DEBUG: [Attribute<2>; 5] = [
    of(
        "rate",
        Unit::PerSecond,
        backing_gauge("node_bcache_writeback_rate", "Dirty data written back, bytes per second."),
    ),
    of(
        "target",
        Unit::Plain,
        backing_gauge("node_bcache_dirty_target_bytes", "Dirty data aimed at for the device."),
    ),
    of(
        "proportional",
        Unit::Signed,
        backing_gauge(
            "node_bcache_writeback_rate_proportional_term",
            "Part of the rate that follows the dirty data.",
        ),
    ),
    of(
        "integral",
        Unit::Signed,
        backing_gauge(
            "node_bcache_writeback_rate_integral_term",
            "Part of the rate that follows the dirty data of the past.",
        ),
    ),
    of(
        "change",
        Unit::SignedPerSecond,
        backing_gauge("node_bcache_writeback_change", "Last change of the rate."),
    ),
];

/// Files of a cache device.
pub(super) static CACHE_DEVICES: [Attribute<2>; 3] = [
    of(
        "io_errors",
        Unit::Plain,
        cache_gauge("node_bcache_io_errors", "I/O errors of the device, fading with time."),
    ),
    of(
        "metadata_written",
        Unit::Plain,
        cache_counter(
            "node_bcache_metadata_written_bytes_total",
            "Written to the device other than data.",
        ),
    ),
    of(
        "written",
        Unit::Plain,
        cache_counter("node_bcache_written_bytes_total", "Data written to the device."),
    ),
];

/// Lines of a cache device's `priority_stats`.
pub(super) static PRIORITY_STATS: [Attribute<2>; 2] = [
    of(
        "Unused",
        Unit::Percent,
        cache_gauge(
            "node_bcache_priority_stats_unused_percent",
            "Share of the cache without any data.",
        ),
    ),
    of(
        "Metadata",
        Unit::Percent,
        cache_gauge(
            "node_bcache_priority_stats_metadata_percent",
            "Share of the cache taken by metadata.",
        ),
    ),
];

const COUNT: usize = SETS.len()
    + BACKING_DEVICES.len()
    + WRITEBACK_DEBUG.len()
    + CACHE_DEVICES.len()
    + PRIORITY_STATS.len();

pub(super) static FAMILIES: [FamilyDoc; COUNT] = {
    let all = [SETS[0].family.doc(); COUNT];
    let (all, at) = docs(all, 0, &SETS);
    let (all, at) = docs(all, at, &BACKING_DEVICES);
    let (all, at) = docs(all, at, &WRITEBACK_DEBUG);
    let (all, at) = docs(all, at, &CACHE_DEVICES);
    docs(all, at, &PRIORITY_STATS).0
};

/// Puts the families of `table` into `all` from `at` on.
const fn docs<const N: usize>(
    mut all: [FamilyDoc; COUNT],
    at: usize,
    table: &'static [Attribute<N>],
) -> ([FamilyDoc; COUNT], usize) {
    let mut i = 0;
    while i < table.len() {
        all[at + i] = table[i].family.doc();
        i += 1;
    }
    (all, at + table.len())
}
