//! `node_sockstat_*` from `/proc/net/sockstat` and `sockstat6`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("sockstat", "Sockets in use", |_| Box::new(Sockstat));

/// Sockets in use.
pub(super) struct Sockstat;

impl Collector for Sockstat {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let page_bytes = rustix::param::page_size() as f64;
        let v4 = host.read_proc("net/sockstat")?;
        // There is none where IPv6 is off.
        let v6 = host.read_proc("net/sockstat6").unwrap_or_default();
        for line in v4.lines().chain(v6.lines()) {
            let Some((protocol, pairs)) = line.split_once(':') else { continue };
            let words: Vec<&str> = pairs.split_ascii_whitespace().collect();
            for pair in words.chunks_exact(2) {
                let (name, Ok(value)) = (pair[0], pair[1].parse::<f64>()) else { continue };
                let metric = format!("node_sockstat_{protocol}_{name}");
                out.gauge(&metric, &format!("{protocol} sockets: {name}."), &[], value);
                if name == "mem" {
                    let help = format!("{protocol} sockets: memory in bytes.");
                    out.gauge(&format!("{metric}_bytes"), &help, &[], value * page_bytes);
                }
            }
        }
        Ok(())
    }
}
