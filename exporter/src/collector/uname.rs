//! `node_uname_info` from `uname(2)`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry = Entry::on("uname", "The kernel's name and version", |_| Box::new(Uname));

/// The kernel's name and version.
pub(super) struct Uname;

impl Collector for Uname {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let uname = rustix::system::uname();
        let [sysname, release, version, machine, nodename, domainname] = [
            uname.sysname(),
            uname.release(),
            uname.version(),
            uname.machine(),
            uname.nodename(),
            uname.domainname(),
        ]
        .map(|text| text.to_string_lossy().into_owned());
        let labels = [
            ("sysname", sysname.as_str()),
            ("release", &release),
            ("version", &version),
            ("machine", &machine),
            ("nodename", &nodename),
            ("domainname", &domainname),
        ];
        out.gauge("node_uname_info", "What uname says; always 1.", &labels, 1.0);
        Ok(())
    }
}
