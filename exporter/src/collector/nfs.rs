//! `node_nfs_*` from `/proc/net/rpc/nfs`: this host as a client.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("nfs", "NFS, as a client", |_| Box::new(Nfs));

/// What the NFS client did.
struct Nfs;

/// Methods in the kernel's order (`fs/nfs/nfs2xdr.c`, `nfs3xdr.c`, `nfs4xdr.c`), under node_exporter's names.
pub(super) const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create",
    "Remove", "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];

pub(super) const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];

const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

impl Collector for Nfs {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/rpc/nfs")?;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default();
            let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
            let mut counter = |name: &str, at: usize| {
                if let Some(n) = numbers.get(at) {
                    out.counter(&format!("node_nfs_{name}_total"), "What the NFS client did.", &[], *n);
                }
            };
            match kind {
                "net" => {
                    counter("connections", 3);
                    packets(out, "node_nfs_packets_total", &numbers);
                }
                "rpc" => {
                    counter("rpcs", 0);
                    counter("rpc_retransmissions", 1);
                    counter("rpc_authentication_refreshes", 2);
                }
                "proc2" => requests(out, "node_nfs_requests_total", "2", &V2, &numbers),
                "proc3" => requests(out, "node_nfs_requests_total", "3", &V3, &numbers),
                "proc4" => requests(out, "node_nfs_requests_total", "4", &V4, &numbers),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The second and third number of a line `net`.
pub(super) fn packets(out: &mut Families, name: &str, numbers: &[f64]) {
    let label = if name.contains("nfsd") { "proto" } else { "protocol" };
    for (protocol, at) in [("udp", 1), ("tcp", 2)] {
        if let Some(n) = numbers.get(at) {
            out.counter(name, "Packets by protocol.", &[(label, protocol)], *n);
        }
    }
}

/// The first number says how many follow; an older kernel knows fewer methods, which are shown at zero.
pub(super) fn requests(out: &mut Families, name: &str, proto: &str, methods: &[&str], numbers: &[f64]) {
    for (at, method) in methods.iter().enumerate() {
        let n = numbers.get(at + 1).copied().unwrap_or(0.0);
        out.counter(name, "Requests by protocol and method.", &[("proto", proto), ("method", method)], n);
    }
}
