//! `node_nvme_*` from `/sys/class/nvme`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry = Entry::on("nvme", "NVMe devices and namespaces", |_| Box::new(Nvme));

/// NVMe controllers and their namespaces.
struct Nvme;

impl Collector for Nvme {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/nvme");
        for device in list(&class)? {
            let directory = class.join(&device);
            let text = |file: &str| read_attribute(&directory.join(file)).unwrap_or_default();
            let labels = [
                ("device", device.as_str()),
                ("firmware_revision", &text("firmware_rev")),
                ("model", &text("model")),
                ("serial", &text("serial")),
                ("state", &text("state")),
                ("cntlid", &text("cntlid")),
            ];
            out.gauge("node_nvme_info", "A controller; always 1.", &labels, 1.0);
            for name in list(&directory)? {
                // `nvme0n1`, or `nvme0c0n1` where there are several paths.
                let Some(rest) = name.strip_prefix(device.as_str()) else { continue };
                let Some((_, nsid)) = rest.rsplit_once('n').filter(|(_, id)| id.parse::<u32>().is_ok())
                else {
                    continue;
                };
                let path = directory.join(&name);
                let state = read_attribute(&path.join("ana_state"));
                let labels = [("device", device.as_str()), ("nsid", nsid)];
                let with_state = [labels[0], labels[1], ("ana_state", state.as_deref().unwrap_or("unknown"))];
                out.gauge("node_nvme_namespace_info", "A namespace; always 1.", &with_state, 1.0);
                let number = |file: &str| read_attribute_number(&path.join(file));
                let Some(block) = number("queue/logical_block_size") else { continue };
                let help = "Size of a logical block.";
                out.gauge("node_nvme_namespace_logical_block_size_bytes", help, &labels, block);
                if let Some(blocks) = number("size") {
                    let help = "Blocks of the namespace, in bytes.";
                    out.gauge("node_nvme_namespace_capacity_bytes", help, &labels, blocks * block);
                    out.gauge("node_nvme_namespace_size_bytes", help, &labels, blocks * block);
                }
                if let Some(blocks) = number("nuse") {
                    let help = "Blocks in use, in bytes.";
                    out.gauge("node_nvme_namespace_used_bytes", help, &labels, blocks * block);
                }
            }
        }
        Ok(())
    }
}
