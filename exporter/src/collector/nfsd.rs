//! `node_nfsd_*` from `/proc/net/rpc/nfsd`: this host as a server.

use super::{
    Collector, Entry,
    nfs::{V2, V3, packets, requests},
};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("nfsd", "NFS, as a server", |_| Box::new(Nfsd));

/// What the NFS server did.
struct Nfsd;

/// Operations of version 4 by their numbers (RFC 7530), from 3.
const V4: [&str; 37] = [
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "PutPubFH",
    "PutRootFH",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];

/// Operations that node_exporter does not show.
const NOT_SHOWN: [&str; 2] = ["PutPubFH", "PutRootFH"];

impl Collector for Nfsd {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/rpc/nfsd")?;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default();
            let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
            let number = |at: usize| numbers.get(at).copied().unwrap_or(0.0);
            let mut counter = |name: &str, at: usize| {
                out.counter(&format!("node_nfsd_{name}_total"), "What the NFS server did.", &[], number(at));
            };
            match kind {
                "rc" => {
                    counter("reply_cache_hits", 0);
                    counter("reply_cache_misses", 1);
                    counter("reply_cache_nocache", 2);
                }
                "fh" => counter("file_handles_stale", 0),
                "io" => {
                    counter("disk_bytes_read", 0);
                    counter("disk_bytes_written", 1);
                }
                "th" => out.gauge("node_nfsd_server_threads", "Threads of the server.", &[], number(0)),
                "ra" => {
                    counter("read_ahead_cache_not_found", 11);
                    let help = "Blocks of the read-ahead cache.";
                    out.gauge("node_nfsd_read_ahead_cache_size_blocks", help, &[], number(0));
                }
                "net" => {
                    counter("connections", 3);
                    packets(out, "node_nfsd_packets_total", &numbers);
                }
                "rpc" => {
                    counter("server_rpcs", 0);
                    for (error, at) in [("fmt", 2), ("auth", 3), ("cInt", 4)] {
                        let labels = [("error", error)];
                        out.counter("node_nfsd_rpc_errors_total", "Errors by kind.", &labels, number(at));
                    }
                }
                "proc2" => requests(
                    out,
                    "node_nfsd_requests_total",
                    "2",
                    &V2[1..],
                    numbers.get(1..).unwrap_or_default(),
                ),
                "proc3" => requests(
                    out,
                    "node_nfsd_requests_total",
                    "3",
                    &V3[1..],
                    numbers.get(1..).unwrap_or_default(),
                ),
                "proc4ops" => operations(out, &numbers),
                "wdeleg_getattr" => request(out, "WdelegGetattr", number(0)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first number says how many follow, from operation 0; the first three mean nothing.
fn operations(out: &mut Families, numbers: &[f64]) {
    for (name, n) in V4.iter().zip(numbers.iter().skip(1 + 3)) {
        if !NOT_SHOWN.contains(name) {
            request(out, name, *n);
        }
    }
}

fn request(out: &mut Families, method: &str, n: f64) {
    let labels = [("proto", "4"), ("method", method)];
    out.counter("node_nfsd_requests_total", "Requests by protocol and method.", &labels, n);
}
