//! The lines and columns of an XFS statistics file as families.
//!
//! A flat table in the kernel's order (fs/xfs/xfs_stats.c, `xfs_stats_format`). It must not know devices.

use vigie_core::metric::{Family, FamilyDoc};

/// A line: the word it begins with, and what its columns count.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Family<1>],
}

const fn counter(name: &'static str, help: &'static str) -> Family<1> {
    Family::counter(name, help, ["device"])
}

pub(super) static LINES: [Line; 8] = [
    Line {
        name: "extent_alloc",
        columns: &[
            counter("node_xfs_extent_allocation_extents_allocated_total", "Extents allocated."),
            counter("node_xfs_extent_allocation_blocks_allocated_total", "Blocks allocated."),
            counter("node_xfs_extent_allocation_extents_freed_total", "Extents freed."),
            counter("node_xfs_extent_allocation_blocks_freed_total", "Blocks freed."),
        ],
    },
    Line {
        name: "abt",
        columns: &[
            counter("node_xfs_allocation_btree_lookups_total", "Lookups in trees of free space."),
            counter(
                "node_xfs_allocation_btree_compares_total",
                "Comparisons in trees of free space.",
            ),
            counter(
                "node_xfs_allocation_btree_records_inserted_total",
                "Records put into trees of free space.",
            ),
            counter(
                "node_xfs_allocation_btree_records_deleted_total",
                "Records taken from trees of free space.",
            ),
        ],
    },
    Line {
        name: "blk_map",
        columns: &[
            counter("node_xfs_block_mapping_reads_total", "Block maps asked for reading."),
            counter("node_xfs_block_mapping_writes_total", "Block maps asked for writing."),
            counter("node_xfs_block_mapping_unmaps_total", "Blocks of files given back."),
            counter(
                "node_xfs_block_mapping_extent_list_insertions_total",
                "Extents put into the lists of files.",
            ),
            counter(
                "node_xfs_block_mapping_extent_list_deletions_total",
                "Extents taken from the lists of files.",
            ),
            counter(
                "node_xfs_block_mapping_extent_list_lookups_total",
                "Lookups in the extent lists of files.",
            ),
            counter(
                "node_xfs_block_mapping_extent_list_compares_total",
                "Comparisons in the extent lists of files.",
            ),
        ],
    },
    Line {
        name: "bmbt",
        columns: &[
            counter("node_xfs_block_map_btree_lookups_total", "Lookups in trees of block maps."),
            counter(
                "node_xfs_block_map_btree_compares_total",
                "Comparisons in trees of block maps.",
            ),
            counter(
                "node_xfs_block_map_btree_records_inserted_total",
                "Records put into trees of block maps.",
            ),
            counter(
                "node_xfs_block_map_btree_records_deleted_total",
                "Records taken from trees of block maps.",
            ),
        ],
    },
    Line {
        name: "dir",
        columns: &[
            counter("node_xfs_directory_operation_lookup_total", "Names looked up in directories."),
            counter("node_xfs_directory_operation_create_total", "Directory entries created."),
            counter("node_xfs_directory_operation_remove_total", "Directory entries removed."),
            counter("node_xfs_directory_operation_getdents_total", "Directories listed."),
        ],
    },
    Line {
        name: "ig",
        columns: &[
            counter("node_xfs_inode_operation_attempts_total", "Inodes sought in the cache."),
            counter("node_xfs_inode_operation_found_total", "Inodes found in the cache."),
            counter(
                "node_xfs_inode_operation_recycled_total",
                "Inodes found while they were being recycled.",
            ),
            counter("node_xfs_inode_operation_missed_total", "Inodes not found in the cache."),
            counter(
                "node_xfs_inode_operation_duplicates_total",
                "Inodes that another task had cached first.",
            ),
            counter("node_xfs_inode_operation_reclaims_total", "Inodes dropped from the cache."),
            counter(
                "node_xfs_inode_operation_attribute_changes_total",
                "Changes of inode attributes asked for.",
            ),
        ],
    },
    Line {
        name: "rw",
        columns: &[
            counter("node_xfs_write_calls_total", "Calls of write(2)."),
            counter("node_xfs_read_calls_total", "Calls of read(2)."),
        ],
    },
    Line {
        name: "vnodes",
        columns: &[
            counter("node_xfs_vnode_active_total", "Vnodes not on a free list."),
            counter("node_xfs_vnode_allocate_total", "Vnodes allocated."),
            counter("node_xfs_vnode_get_total", "Vnodes got."),
            counter("node_xfs_vnode_hold_total", "Vnodes held."),
            counter("node_xfs_vnode_release_total", "Vnodes released."),
            counter("node_xfs_vnode_reclaim_total", "Vnodes reclaimed."),
            counter("node_xfs_vnode_remove_total", "Vnodes removed."),
        ],
    },
];

/// The columns of all lines.
pub(super) const COLUMNS: usize = 39;

pub(super) static FAMILIES: [FamilyDoc; COLUMNS] = {
    let mut all = [LINES[0].columns[0].doc(); COLUMNS];
    let mut filled = 0;
    let mut line = 0;
    while line < LINES.len() {
        let mut column = 0;
        while column < LINES[line].columns.len() {
            all[filled] = LINES[line].columns[column].doc();
            filled += 1;
            column += 1;
        }
        line += 1;
    }
    assert!(filled == COLUMNS, "COLUMNS counts the table");
    all
};
