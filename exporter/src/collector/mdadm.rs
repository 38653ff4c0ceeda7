//! `node_md_*` from `/proc/mdstat` and `/sys/block/md*/md`.
//!
//! Invariant: an array that is described in a way not known here is left out, and the others are shown.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry = Entry::on("mdadm", "Software RAID", |_| Box::new(Mdadm));

/// Arrays of the kernel's software RAID.
struct Mdadm;

/// An array as mdstat has it.
#[derive(Debug, Default, PartialEq)]
struct Array<'t> {
    name: &'t str,
    state: &'t str,
    active: f64,
    required: f64,
    failed: f64,
    spare: f64,
    blocks: f64,
    synced: f64,
}

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

impl Collector for Mdadm {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc_long("mdstat")?;
        for array in arrays(&text) {
            let labels = [("device", array.name)];
            for state in STATES {
                let labels = [("device", array.name), ("state", state)];
                let is_in = f64::from(u8::from(array.state == state));
                out.gauge("node_md_state", "1 for the array's state.", &labels, is_in);
            }
            for (state, n) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
                let labels = [("device", array.name), ("state", state)];
                out.gauge("node_md_disks", "Disks by state.", &labels, n);
            }
            out.gauge("node_md_disks_required", "Disks that the array needs.", &labels, array.required);
            out.gauge("node_md_blocks", "Blocks of the array.", &labels, array.blocks);
            out.gauge("node_md_blocks_synced", "Blocks that are in sync.", &labels, array.synced);
        }
        let block = host.sys_path("block");
        for name in list(&block).unwrap_or_default().iter().filter(|name| name.starts_with("md")) {
            let md = block.join(name).join("md");
            // While an array grows this is `11 (10)`.
            let disks = read_attribute(&md.join("raid_disks"));
            let disks = disks.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
            let Some(disks) = disks else { continue };
            let labels = [("device", name.as_str())];
            out.gauge("node_md_raid_disks", "Disks of the array.", &labels, disks);
            // Levels without redundancy have no such file.
            let degraded = read_attribute_number(&md.join("degraded")).unwrap_or(0.0);
            out.gauge("node_md_degraded", "Disks that are missing.", &labels, degraded);
        }
        Ok(())
    }
}

fn arrays(mdstat: &str) -> Vec<Array<'_>> {
    let mut lines = mdstat.lines().peekable();
    let mut arrays = Vec::new();
    while let Some(line) = lines.next() {
        let Some((name, rest)) = line.split_once(" : ") else { continue };
        if name.starts_with([' ', '\t']) || name.starts_with("Personalities") {
            continue;
        }
        let mut details = Vec::new();
        while let Some(detail) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            details.push(detail.trim());
        }
        arrays.extend(array(name.trim(), rest, &details));
    }
    arrays
}

fn array<'t>(name: &'t str, line: &'t str, details: &[&'t str]) -> Option<Array<'t>> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let state = *words.first()?;
    let disks = words.iter().filter(|word| word.contains('[')).count() as f64;
    let with = |mark: &str| words.iter().filter(|word| word.ends_with(mark)).count() as f64;
    let mut array = Array { name, state, failed: with("(F)"), spare: with("(S)"), ..Array::default() };
    let status = details.first()?;
    array.blocks = status.split(' ').next()?.parse().ok()?;
    let is_redundant = !words.iter().any(|word| matches!(*word, "raid0" | "linear"));
    if !is_redundant {
        (array.required, array.active) = (disks, disks);
    } else if state != "inactive" {
        // `[4/3] [U_UU]`; containers have neither.
        let pair = status.split(['[', ']']).find_map(|part| part.split_once('/'));
        let (required, active) = pair?;
        (array.required, array.active) = (required.parse().ok()?, active.parse().ok()?);
    }
    array.synced = array.blocks;
    for detail in details {
        let progress = ["recovery", "resync", "reshape", "check"].into_iter().find(|word| {
            detail.split_once(word).is_some_and(|(before, after)| {
                (before.is_empty() || before.ends_with("  ") || before.ends_with("] "))
                    && after.trim_start().starts_with('=')
            })
        });
        let Some(progress) = progress else { continue };
        array.state = match progress {
            "recovery" => "recovering",
            other => other,
        };
        // `(16775552/195310144)`, or PENDING and DELAYED.
        let done = detail.split('(').nth(1).and_then(|part| part.split('/').next());
        array.synced = done.and_then(|n| n.parse().ok()).unwrap_or(0.0);
    }
    Some(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulled_disk_is_missing_and_a_strange_array_hides_none() {
        let text = "Personalities : [raid1]\n\
            md0 : active raid1 sda1[0]\n      100 blocks super 1.2 [2/1] [U_]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n\
            md1 : active raid7 sdb[0]\n      no blocks\n\n\
            md2 : active raid5 sdc[0] sdd[1](S)\n      300 blocks level 5 [3/3] [UUU]\n\
            \t[>....]  reshape =  0.1% (3/300) finish=9.0min speed=1K/sec\n\nunused devices: <none>\n";
        let found = arrays(text);
        let names: Vec<_> = found.iter().map(|a| (a.name, a.state, a.active, a.required, a.synced)).collect();
        assert_eq!(names, [("md0", "active", 1.0, 2.0, 100.0), ("md2", "reshape", 3.0, 3.0, 3.0)]);
        assert_eq!(found[1].spare, 1.0);
    }
}
