//! The fields of PROC/zoneinfo as families.
//!
//! A flat table: the word the kernel prints (mm/vmstat.c), the family it becomes. It must not know zones.

use vigie_core::metric::{Family, FamilyDoc};

/// A field and its family.
pub(super) struct Field {
    key: &'static [u8],
    pub(super) family: Family<2>,
}

const LABELS: [&str; 2] = ["node", "zone"];

const fn gauge(key: &'static [u8], name: &'static str, help: &'static str) -> Field {
    Field { key, family: Family::gauge(name, help, LABELS) }
}

const fn counter(key: &'static [u8], name: &'static str, help: &'static str) -> Field {
    Field { key, family: Family::counter(name, help, LABELS) }
}

/// Where a line of that key belongs in [`FIELDS`]; none for the fields of newer kernels.
pub(super) fn position(key: &[u8]) -> Option<usize> {
    FIELDS[..FIELDS.len() - PROTECTIONS].iter().position(|field| field.key == key)
}

/// Where the values of the line `protection` belong.
pub(super) fn protection() -> std::ops::Range<usize> {
    FIELDS.len() - PROTECTIONS..FIELDS.len()
}

/// No kernel has more kinds of zones: DMA, DMA32, Normal, Movable, Device; where there is high memory, fewer.
const PROTECTIONS: usize = 5;

/// Every field; at the end the values of the line `protection`.
pub(super) static FIELDS: [Field; 39] = [
    gauge(b"nr_free_pages", "node_zoneinfo_nr_free_pages", "Pages that nobody uses."),
    gauge(b"min", "node_zoneinfo_min_pages", "Free pages below which only emergencies are served."),
    gauge(b"low", "node_zoneinfo_low_pages", "Free pages below which reclaim begins."),
    gauge(b"high", "node_zoneinfo_high_pages", "Free pages at which reclaim ends."),
    gauge(
        b"scanned",
        "node_zoneinfo_scanned_pages",
        "Pages looked at since pages were last reclaimed.",
    ),
    gauge(b"spanned", "node_zoneinfo_spanned_pages", "Pages the zone spans, holes included."),
    gauge(b"present", "node_zoneinfo_present_pages", "Pages that exist in the zone."),
    gauge(b"managed", "node_zoneinfo_managed_pages", "Pages the allocator hands out."),
    gauge(
        b"nr_active_anon",
        "node_zoneinfo_nr_active_anon_pages",
        "Anonymous pages used recently.",
    ),
    gauge(
        b"nr_inactive_anon",
        "node_zoneinfo_nr_inactive_anon_pages",
        "Anonymous pages not used recently.",
    ),
    gauge(
        b"nr_isolated_anon",
        "node_zoneinfo_nr_isolated_anon_pages",
        "Anonymous pages taken off their list for a moment.",
    ),
    gauge(
        b"nr_anon_pages",
        "node_zoneinfo_nr_anon_pages",
        "Anonymous pages mapped into processes.",
    ),
    gauge(
        b"nr_anon_transparent_hugepages",
        "node_zoneinfo_nr_anon_transparent_hugepages",
        "Anonymous huge pages.",
    ),
    gauge(b"nr_active_file", "node_zoneinfo_nr_active_file_pages", "Pages of files used recently."),
    gauge(
        b"nr_inactive_file",
        "node_zoneinfo_nr_inactive_file_pages",
        "Pages of files not used recently.",
    ),
    gauge(
        b"nr_isolated_file",
        "node_zoneinfo_nr_isolated_file_pages",
        "Pages of files taken off their list for a moment.",
    ),
    gauge(b"nr_file_pages", "node_zoneinfo_nr_file_pages", "Pages of files."),
    gauge(
        b"nr_slab_reclaimable",
        "node_zoneinfo_nr_slab_reclaimable_pages",
        "Pages of kernel caches that can be given back.",
    ),
    gauge(
        b"nr_slab_unreclaimable",
        "node_zoneinfo_nr_slab_unreclaimable_pages",
        "Pages of kernel caches that cannot be given back.",
    ),
    gauge(b"nr_mlock_stack", "node_zoneinfo_nr_mlock_stack_pages", "Locked pages of stacks."),
    gauge(b"nr_kernel_stack", "node_zoneinfo_nr_kernel_stacks", "Stacks of the kernel."),
    gauge(b"nr_mapped", "node_zoneinfo_nr_mapped_pages", "Pages of files mapped into processes."),
    gauge(b"nr_dirty", "node_zoneinfo_nr_dirty_pages", "Pages waiting to be written to disk."),
    gauge(b"nr_writeback", "node_zoneinfo_nr_writeback_pages", "Pages being written to disk."),
    gauge(
        b"nr_unevictable",
        "node_zoneinfo_nr_unevictable_pages",
        "Pages that cannot be swapped out.",
    ),
    gauge(b"nr_shmem", "node_zoneinfo_nr_shmem_pages", "Pages of shared memory and tmpfs."),
    counter(b"nr_dirtied", "node_zoneinfo_nr_dirtied_total", "Pages that became dirty."),
    counter(b"nr_written", "node_zoneinfo_nr_written_total", "Pages written to disk."),
    counter(b"numa_hit", "node_zoneinfo_numa_hit_total", "Pages allocated on the wanted node."),
    counter(
        b"numa_miss",
        "node_zoneinfo_numa_miss_total",
        "Pages allocated here, wanted on another node.",
    ),
    counter(
        b"numa_foreign",
        "node_zoneinfo_numa_foreign_total",
        "Pages wanted here, allocated on another node.",
    ),
    counter(
        b"numa_interleave",
        "node_zoneinfo_numa_interleave_total",
        "Pages allocated here by interleaving.",
    ),
    counter(
        b"numa_local",
        "node_zoneinfo_numa_local_total",
        "Pages allocated by processes of this node.",
    ),
    counter(
        b"numa_other",
        "node_zoneinfo_numa_other_total",
        "Pages allocated by processes of another node.",
    ),
    gauge(
        b"protection:",
        "node_zoneinfo_protection_0",
        "Pages kept from allocations meant for zone 0.",
    ),
    gauge(
        b"protection:",
        "node_zoneinfo_protection_1",
        "Pages kept from allocations meant for zone 1.",
    ),
    gauge(
        b"protection:",
        "node_zoneinfo_protection_2",
        "Pages kept from allocations meant for zone 2.",
    ),
    gauge(
        b"protection:",
        "node_zoneinfo_protection_3",
        "Pages kept from allocations meant for zone 3.",
    ),
    gauge(
        b"protection:",
        "node_zoneinfo_protection_4",
        "Pages kept from allocations meant for zone 4.",
    ),
];

/// The families alone.
pub(super) static ALL: [FamilyDoc; FIELDS.len()] = {
    let mut all = [FIELDS[0].family.doc(); FIELDS.len()];
    let mut i = 1;
    while i < FIELDS.len() {
        all[i] = FIELDS[i].family.doc();
        i += 1;
    }
    all
};
