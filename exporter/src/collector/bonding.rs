//! `node_bonding_{slaves,active}` from `/sys/class/net/MASTER/bonding`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::read_attribute};

pub(super) const ENTRY: Entry = Entry::on("bonding", "Bonded network devices", |_| Box::new(Bonding));

/// Bonds: how many devices they have, and how many of them are up.
struct Bonding;

impl Collector for Bonding {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/net");
        let masters = crate::host::read(&class.join("bonding_masters"))?;
        for master in masters.split_ascii_whitespace() {
            let slaves = read_attribute(&class.join(master).join("bonding/slaves")).unwrap_or_default();
            let (mut n, mut active) = (0, 0);
            for slave in slaves.split_ascii_whitespace() {
                n += 1;
                // The link's name changed with kernel 3.9.
                let status = ["lower_", "slave_"].iter().find_map(|prefix| {
                    let link = class.join(master).join(format!("{prefix}{slave}"));
                    read_attribute(&link.join("bonding_slave/mii_status"))
                });
                active += i32::from(status.as_deref() == Some("up"));
            }
            let labels = [("master", master)];
            out.gauge("node_bonding_slaves", "Devices of the bond.", &labels, n.into());
            out.gauge("node_bonding_active", "Devices of the bond that are up.", &labels, active.into());
        }
        Ok(())
    }
}
