//! `node_entropy_*` from `/proc/sys/kernel/random`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry =
    Entry::on("entropy", "The random number generator's pool", |_| Box::new(Entropy));

/// The random number generator's pool.
pub(super) struct Entropy;

impl Collector for Entropy {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let available = host.read_proc_number("sys/kernel/random/entropy_avail")?;
        out.gauge("node_entropy_available_bits", "Bits of entropy there are.", &[], available);
        let size = host.read_proc_number("sys/kernel/random/poolsize")?;
        out.gauge("node_entropy_pool_size_bits", "Bits of entropy that the pool can hold.", &[], size);
        Ok(())
    }
}
