//! The counters of bcachefs as families.
//!
//! A flat table, sorted by name, of what the kernel counts or ever counted (fs/bcachefs/sb-counters_format.h). It
//! must not know files; counters that are not here pass without a text of their own.

use vigie_core::metric::{FamilyDoc, Kind};

const fn counter(name: &'static str, help: &'static str) -> FamilyDoc {
    FamilyDoc { name, help, kind: Kind::Counter, labels: &["uuid"] }
}

/// The text for a family, if it has one.
pub(super) fn help(name: &str) -> Option<&'static str> {
    let index = COUNTERS.binary_search_by(|counter| counter.name.cmp(name)).ok()?;
    Some(COUNTERS[index].help)
}

/// The families of counters.
pub(super) static COUNTERS: [FamilyDoc; 130] = [
    counter(
        "node_bcachefs_accounting_key_to_wb_slowpath_total",
        "Accounting keys that went to the write buffer the slow way.",
    ),
    counter("node_bcachefs_bkey_pack_pos_fail_total", "Positions that could not be packed."),
    counter(
        "node_bcachefs_btree_cache_cannibalize_lock_fail_total",
        "Such locks that somebody else held.",
    ),
    counter(
        "node_bcachefs_btree_cache_cannibalize_lock_total",
        "Locks taken to take btree nodes by force.",
    ),
    counter(
        "node_bcachefs_btree_cache_cannibalize_total",
        "Btree nodes taken from the cache by force.",
    ),
    counter("node_bcachefs_btree_cache_cannibalize_unlock_total", "Such locks given back."),
    counter("node_bcachefs_btree_cache_reap_total", "Btree nodes dropped from the cache."),
    counter("node_bcachefs_btree_cache_scan_total", "Scans of the btree node cache for memory."),
    counter("node_bcachefs_btree_key_cache_fill_total", "Keys read into the key cache."),
    counter("node_bcachefs_btree_node_alloc_total", "Btree nodes allocated."),
    counter("node_bcachefs_btree_node_compact_total", "Btree nodes compacted."),
    counter("node_bcachefs_btree_node_free_total", "Btree nodes freed."),
    counter("node_bcachefs_btree_node_merge_attempt_total", "Attempts to merge btree nodes."),
    counter("node_bcachefs_btree_node_merge_total", "Btree nodes merged."),
    counter("node_bcachefs_btree_node_read_total", "Btree nodes read."),
    counter("node_bcachefs_btree_node_rewrite_total", "Btree nodes rewritten."),
    counter("node_bcachefs_btree_node_set_root_total", "Btree roots set."),
    counter("node_bcachefs_btree_node_split_total", "Btree nodes split."),
    counter("node_bcachefs_btree_node_write_total", "Btree nodes written."),
    counter(
        "node_bcachefs_btree_path_relock_fail_total",
        "Btree paths that could not be locked again.",
    ),
    counter(
        "node_bcachefs_btree_path_upgrade_fail_total",
        "Btree paths whose locks could not be made stronger.",
    ),
    counter(
        "node_bcachefs_btree_reserve_get_fail_total",
        "Reserves of btree nodes that could not be got.",
    ),
    counter("node_bcachefs_bucket_alloc_fail_total", "Allocations of buckets that failed."),
    counter("node_bcachefs_bucket_alloc_from_stripe_total", "Buckets allocated from stripes."),
    counter("node_bcachefs_bucket_alloc_total", "Buckets allocated."),
    counter(
        "node_bcachefs_bucket_discard_fast_total",
        "Buckets discarded without waiting for the journal.",
    ),
    counter(
        "node_bcachefs_bucket_discard_fast_worker_total",
        "Runs of the worker for fast discards.",
    ),
    counter("node_bcachefs_bucket_discard_total", "Buckets discarded."),
    counter("node_bcachefs_bucket_discard_worker_total", "Runs of the worker for discards."),
    counter("node_bcachefs_bucket_invalidate_total", "Buckets of cached data invalidated."),
    counter("node_bcachefs_cached_ptr_drop_total", "Pointers to cached data dropped."),
    counter("node_bcachefs_copygc_total", "Data moved by the copying garbage collector."),
    counter(
        "node_bcachefs_copygc_wait_obsolete_total",
        "Waits of the copying garbage collector, in older kernels.",
    ),
    counter("node_bcachefs_data_read_bounce_total", "Reads that needed a bounce buffer."),
    counter(
        "node_bcachefs_data_read_fail_and_poison_total",
        "Extents marked as lost after reads that failed.",
    ),
    counter("node_bcachefs_data_read_hole_total", "Reads of holes."),
    counter("node_bcachefs_data_read_inline_total", "Reads of data that lies in the btree."),
    counter(
        "node_bcachefs_data_read_narrow_crcs_fail_total",
        "Checksums that could not be narrowed.",
    ),
    counter(
        "node_bcachefs_data_read_narrow_crcs_total",
        "Checksums narrowed to what is still in use.",
    ),
    counter(
        "node_bcachefs_data_read_nopromote_already_promoted_total",
        "Reads not promoted because the data was there already.",
    ),
    counter(
        "node_bcachefs_data_read_nopromote_congested_total",
        "Reads not promoted because the fast devices were busy.",
    ),
    counter(
        "node_bcachefs_data_read_nopromote_may_not_total",
        "Reads not promoted because they may not be.",
    ),
    counter(
        "node_bcachefs_data_read_nopromote_total",
        "Reads whose data was not promoted to the fast devices.",
    ),
    counter(
        "node_bcachefs_data_read_nopromote_unwritten_total",
        "Reads not promoted because nothing was written yet.",
    ),
    counter(
        "node_bcachefs_data_read_promote_total",
        "Reads whose data was promoted to the fast devices.",
    ),
    counter("node_bcachefs_data_read_retry_total", "Reads tried again."),
    counter("node_bcachefs_data_read_reuse_race_total", "Reads whose bucket was reused meanwhile."),
    counter("node_bcachefs_data_read_split_total", "Reads that were split."),
    counter("node_bcachefs_data_read_total", "Data read."),
    counter("node_bcachefs_data_update_fail_total", "Background moves that failed."),
    counter(
        "node_bcachefs_data_update_in_flight_total",
        "Background moves that met another of the same data.",
    ),
    counter("node_bcachefs_data_update_key_fail_total", "Keys not updated after background moves."),
    counter("node_bcachefs_data_update_key_total", "Keys updated after background moves."),
    counter("node_bcachefs_data_update_no_io_total", "Background moves that needed no I/O."),
    counter(
        "node_bcachefs_data_update_noop_obsolete_total",
        "Background moves without effect, in older kernels.",
    ),
    counter("node_bcachefs_data_update_pred_total", "Extents considered for background moves."),
    counter("node_bcachefs_data_update_read_total", "Data read for background moves."),
    counter(
        "node_bcachefs_data_update_start_fail_obsolete_total",
        "Background moves that could not begin, in older kernels.",
    ),
    counter("node_bcachefs_data_update_total", "Data moved or rewritten in the background."),
    counter(
        "node_bcachefs_data_update_useless_write_fail_total",
        "Background moves given up because the write would be useless.",
    ),
    counter("node_bcachefs_data_update_write_total", "Data written by background moves."),
    counter("node_bcachefs_data_write_total", "Data written."),
    counter("node_bcachefs_error_throw_total", "Errors raised inside the file system."),
    counter("node_bcachefs_evacuate_bucket_total", "Buckets evacuated."),
    counter("node_bcachefs_fsync_total", "Calls of fsync(2)."),
    counter("node_bcachefs_gc_gens_end_total", "Collections of bucket generations that ended."),
    counter("node_bcachefs_gc_gens_start_total", "Collections of bucket generations that began."),
    counter("node_bcachefs_journal_full_total", "Times that the journal was full."),
    counter("node_bcachefs_journal_reclaim_finish_total", "Reclaims of the journal that ended."),
    counter("node_bcachefs_journal_reclaim_start_total", "Reclaims of the journal that began."),
    counter(
        "node_bcachefs_journal_res_get_blocked_total",
        "Reservations in the journal that had to wait.",
    ),
    counter("node_bcachefs_journal_write_total", "Writes of the journal."),
    counter(
        "node_bcachefs_open_bucket_alloc_fail_total",
        "Open buckets that could not be allocated.",
    ),
    counter("node_bcachefs_reconcile_btree_total", "Btree nodes brought in line with the options."),
    counter("node_bcachefs_reconcile_clear_scan_total", "Scans for data out of line that ended."),
    counter("node_bcachefs_reconcile_data_total", "Data brought in line with the options."),
    counter("node_bcachefs_reconcile_phys_total", "Data brought in line in the order of the disk."),
    counter("node_bcachefs_reconcile_scan_device_total", "Scans of devices for data out of line."),
    counter(
        "node_bcachefs_reconcile_scan_fs_total",
        "Scans of the file system for data out of line.",
    ),
    counter("node_bcachefs_reconcile_scan_inum_total", "Scans of files for data out of line."),
    counter("node_bcachefs_reconcile_scan_metadata_total", "Scans of metadata out of line."),
    counter(
        "node_bcachefs_reconcile_scan_pending_total",
        "Scans of data that waits to be brought in line.",
    ),
    counter(
        "node_bcachefs_reconcile_set_pending_total",
        "Data that could not be brought in line yet.",
    ),
    counter("node_bcachefs_sectors_alloc_total", "Space allocated."),
    counter("node_bcachefs_stripe_alloc_total", "Stripes allocated."),
    counter("node_bcachefs_stripe_create_fail_total", "Stripes that could not be created."),
    counter("node_bcachefs_stripe_create_total", "Stripes created."),
    counter("node_bcachefs_stripe_delete_total", "Stripes deleted."),
    counter("node_bcachefs_stripe_reuse_total", "Stripes reused."),
    counter("node_bcachefs_stripe_update_bucket_total", "Buckets updated to point to stripes."),
    counter(
        "node_bcachefs_stripe_update_extent_fail_total",
        "Extents that could not be updated to point to stripes.",
    ),
    counter("node_bcachefs_stripe_update_extent_total", "Extents updated to point to stripes."),
    counter("node_bcachefs_sync_fs_total", "Calls of sync(2) and syncfs(2)."),
    counter(
        "node_bcachefs_trans_blocked_journal_reclaim_total",
        "Transactions that waited for the journal to be reclaimed.",
    ),
    counter(
        "node_bcachefs_trans_restart_btree_node_reused_total",
        "Transactions begun again: a btree node was reused.",
    ),
    counter(
        "node_bcachefs_trans_restart_btree_node_split_total",
        "Transactions begun again: a btree node was split.",
    ),
    counter(
        "node_bcachefs_trans_restart_fault_inject_total",
        "Transactions begun again: a fault was injected.",
    ),
    counter(
        "node_bcachefs_trans_restart_injected_total",
        "Transactions begun again: a test asked for it.",
    ),
    counter(
        "node_bcachefs_trans_restart_iter_upgrade_total",
        "Transactions begun again: an iterator needed stronger locks.",
    ),
    counter(
        "node_bcachefs_trans_restart_journal_preres_get_total",
        "Transactions begun again: no early reservation in the journal.",
    ),
    counter(
        "node_bcachefs_trans_restart_journal_reclaim_total",
        "Transactions begun again: the journal had to be reclaimed.",
    ),
    counter(
        "node_bcachefs_trans_restart_journal_res_get_total",
        "Transactions begun again: no reservation in the journal.",
    ),
    counter(
        "node_bcachefs_trans_restart_key_cache_key_realloced_total",
        "Transactions begun again: a cached key grew.",
    ),
    counter(
        "node_bcachefs_trans_restart_key_cache_raced_total",
        "Transactions begun again: another filled the key cache.",
    ),
    counter(
        "node_bcachefs_trans_restart_key_cache_upgrade_total",
        "Transactions begun again: the key cache needed stronger locks.",
    ),
    counter(
        "node_bcachefs_trans_restart_mark_replicas_total",
        "Transactions begun again: replicas had to be marked.",
    ),
    counter(
        "node_bcachefs_trans_restart_mem_realloced_total",
        "Transactions begun again: their memory grew.",
    ),
    counter(
        "node_bcachefs_trans_restart_memory_allocation_failure_total",
        "Transactions begun again: no memory.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_after_fill_total",
        "Transactions begun again: no lock after a node was read.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_key_cache_fill_obsolete_total",
        "Transactions begun again: no lock to fill the key cache, in older kernels.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_next_node_total",
        "Transactions begun again: no lock on the next node.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_parent_for_fill_obsolete_total",
        "Transactions begun again: no lock on the parent of a node to read, in older kernels.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_path_intent_total",
        "Transactions begun again: no intent lock on a path.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_path_total",
        "Transactions begun again: no lock on a path.",
    ),
    counter(
        "node_bcachefs_trans_restart_relock_total",
        "Transactions begun again: locks could not be taken again.",
    ),
    counter(
        "node_bcachefs_trans_restart_split_race_total",
        "Transactions begun again: another split the node.",
    ),
    counter(
        "node_bcachefs_trans_restart_too_many_iters_total",
        "Transactions begun again: too many iterators.",
    ),
    counter(
        "node_bcachefs_trans_restart_traverse_total",
        "Transactions begun again: a path had to be walked anew.",
    ),
    counter(
        "node_bcachefs_trans_restart_upgrade_total",
        "Transactions begun again: stronger locks were needed.",
    ),
    counter(
        "node_bcachefs_trans_restart_would_deadlock_recursion_limit_total",
        "Transactions begun again: the search for deadlocks went too deep.",
    ),
    counter(
        "node_bcachefs_trans_restart_would_deadlock_total",
        "Transactions begun again: they would deadlock.",
    ),
    counter(
        "node_bcachefs_trans_restart_would_deadlock_write_total",
        "Transactions begun again: a write lock would deadlock.",
    ),
    counter(
        "node_bcachefs_trans_restart_write_buffer_flush_total",
        "Transactions begun again: the write buffer was flushed.",
    ),
    counter(
        "node_bcachefs_trans_traverse_all_total",
        "Transactions that walked all their paths anew.",
    ),
    counter("node_bcachefs_transaction_commit_total", "Transactions committed."),
    counter(
        "node_bcachefs_write_buffer_flush_slowpath_total",
        "Flushes of the write buffer that went the slow way.",
    ),
    counter(
        "node_bcachefs_write_buffer_flush_sync_total",
        "Flushes of the write buffer that were waited for.",
    ),
    counter("node_bcachefs_write_buffer_flush_total", "Flushes of the write buffer."),
    counter(
        "node_bcachefs_write_buffer_maybe_flush_total",
        "Flushes of the write buffer to see keys in order.",
    ),
    counter("node_bcachefs_write_super_total", "Writes of the superblock."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        assert!(COUNTERS.is_sorted_by_key(|counter| counter.name));
        assert_eq!(help("node_bcachefs_fsync_total"), Some("Calls of fsync(2)."));
        assert_eq!(help("node_bcachefs_new_total"), None);
    }
}
