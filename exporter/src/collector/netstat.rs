//! `node_netstat_*` from `/proc/net/{netstat,snmp,snmp6}`.

use super::{Collector, Entry, fields::Fields};
use crate::{
    Failure, Families, Filter, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("netstat", "Protocols' counters", |s| Box::new(Netstat::new(s)))
    .flags(&[Flag::new(
        "collector.netstat.fields",
        Kind::Pattern(
            "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
             TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
             Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
             Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        ),
        "Protocols' fields to show",
    )]);

/// Counters of the network protocols. The kernel mixes counters, gauges and settings: all are untyped.
pub(super) struct Netstat {
    fields: Fields,
}

impl Netstat {
    pub(super) fn new(settings: &Settings) -> Self {
        let shown = Filter { include: settings.pattern("collector.netstat.fields"), exclude: None };
        Self { fields: Fields::new(shown) }
    }

    /// Shows a field unless its value is no number; `key` has room for its name.
    fn show(&self, out: &mut Families, key: &mut String, protocol: [&str; 2], field: &str, value: &str) {
        key.clear();
        key.extend([protocol[0], protocol[1], "_", field]);
        let describe =
            || (format!("node_netstat_{key}"), format!("{field} of {}{}.", protocol[0], protocol[1]));
        // What is no number is left out.
        let _ = self.fields.show(out, key, describe, || value.parse::<f64>());
    }
}

impl Collector for Netstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut key = String::new();
        for file in ["net/netstat", "net/snmp"] {
            let text = host.read_proc_shared(file)?;
            let mut lines = text.lines();
            // Names and values come as pairs of lines, each with the protocol in front.
            while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
                let mut fields = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
                let Some((protocol, _)) = fields.next() else { continue };
                for (field, value) in fields {
                    self.show(out, &mut key, [protocol.trim_end_matches(':'), ""], field, value);
                }
            }
        }
        // There is none where IPv6 is off.
        let text = match host.read_proc("net/snmp6") {
            Err(Failure::Absent(_)) => String::new(),
            other => other?,
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
            // Ip6InOctets: the protocol ends with the 6.
            if let Some((protocol, field)) = name.split_once('6') {
                self.show(out, &mut key, [protocol, "6"], field, value);
            }
        }
        Ok(())
    }
}
