//! `node_selinux_*` from `/sys/fs/selinux`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::read_attribute_number};

pub(super) const ENTRY: Entry = Entry::on("selinux", "Whether SELinux is enabled", |_| Box::new(Selinux));

/// Whether SELinux is enabled and enforcing.
pub(super) struct Selinux;

impl Collector for Selinux {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let enforcing = read_attribute_number(&host.sys_path("fs/selinux/enforce"));
        let enabled = f64::from(u8::from(enforcing.is_some()));
        out.gauge("node_selinux_enabled", "1 where SELinux is enabled.", &[], enabled);
        if let Some(enforcing) = enforcing {
            out.gauge("node_selinux_current_mode", "1 where SELinux is enforcing.", &[], enforcing);
            if let Ok(text) = crate::host::read(&host.paths.rootfs.join("etc/selinux/config")) {
                let mode = text.lines().find_map(|line| line.strip_prefix("SELINUX="));
                let mode = f64::from(i8::from(mode.map(str::trim) == Some("enforcing")));
                out.gauge("node_selinux_config_mode", "1 where it is configured to enforce.", &[], mode);
            }
        }
        Ok(())
    }
}
