//! `node_xfs_*` from `/sys/fs/xfs/DEVICE/stats/stats`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read},
};

pub(super) const ENTRY: Entry = Entry::on("xfs", "XFS file systems", |_| Box::new(Xfs));

/// What XFS file systems did.
struct Xfs;

/// A line's first word, and the metrics of the numbers after it.
const LINES: [(&str, &[&str]); 8] = [
    (
        "extent_alloc",
        &[
            "extent_allocation_extents_allocated",
            "extent_allocation_blocks_allocated",
            "extent_allocation_extents_freed",
            "extent_allocation_blocks_freed",
        ],
    ),
    (
        "abt",
        &[
            "allocation_btree_lookups",
            "allocation_btree_compares",
            "allocation_btree_records_inserted",
            "allocation_btree_records_deleted",
        ],
    ),
    (
        "blk_map",
        &[
            "block_mapping_reads",
            "block_mapping_writes",
            "block_mapping_unmaps",
            "block_mapping_extent_list_insertions",
            "block_mapping_extent_list_deletions",
            "block_mapping_extent_list_lookups",
            "block_mapping_extent_list_compares",
        ],
    ),
    (
        "bmbt",
        &[
            "block_map_btree_lookups",
            "block_map_btree_compares",
            "block_map_btree_records_inserted",
            "block_map_btree_records_deleted",
        ],
    ),
    (
        "dir",
        &[
            "directory_operation_lookup",
            "directory_operation_create",
            "directory_operation_remove",
            "directory_operation_getdents",
        ],
    ),
    (
        "ig",
        &[
            "inode_operation_attempts",
            "inode_operation_found",
            "inode_operation_recycled",
            "inode_operation_missed",
            "inode_operation_duplicates",
            "inode_operation_reclaims",
            "inode_operation_attribute_changes",
        ],
    ),
    ("rw", &["write_calls", "read_calls"]),
    (
        "vnodes",
        &[
            "vnode_active",
            "vnode_allocate",
            "vnode_get",
            "vnode_hold",
            "vnode_release",
            "vnode_reclaim",
            "vnode_remove",
        ],
    ),
];

impl Collector for Xfs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let root = host.sys_path("fs/xfs");
        for device in list(&root).unwrap_or_default() {
            // `stats` beside the devices is of all of them together.
            let Ok(text) = read(&root.join(&device).join("stats/stats")) else { continue };
            for line in text.lines() {
                let mut words = line.split_ascii_whitespace();
                let kind = words.next().unwrap_or_default();
                let Some((_, names)) = LINES.iter().find(|(k, _)| *k == kind) else { continue };
                for (name, value) in names.iter().zip(words) {
                    let Ok(value) = value.parse() else { continue };
                    let help = format!("{} of the file system.", name.replace('_', " "));
                    out.counter(&format!("node_xfs_{name}_total"), &help, &[("device", &device)], value);
                }
            }
        }
        Ok(())
    }
}
