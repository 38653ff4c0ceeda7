//! `node_xfrm_*_packets_total` from `/proc/net/xfrm_stat`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::off("xfrm", "IPsec errors", |_| Box::new(Xfrm));

/// Packets that IPsec did not let through, by reason.
struct Xfrm;

impl Collector for Xfrm {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let text = host.read_proc("net/xfrm_stat")?;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let Some(name) = words.next().and_then(|name| name.strip_prefix("Xfrm")) else { continue };
            let Some(value) = words.next().and_then(|value| value.parse().ok()) else { continue };
            let help = format!("Xfrm{name} of /proc/net/xfrm_stat.");
            out.counter(&format!("node_xfrm{}_packets_total", snake(name)), &help, &[], value);
        }
        Ok(())
    }
}

/// `InNoStates` is `_in_no_states`.
fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        out
    })
}
