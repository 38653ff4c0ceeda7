//! `node_filefd_*` from `/proc/sys/fs/file-nr`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host, host::number};

pub(super) const ENTRY: Entry = Entry::on("filefd", "File descriptors in use", |_| Box::new(Filefd));

/// File descriptors in use on the whole host.
pub(super) struct Filefd;

impl Collector for Filefd {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let path = host.proc_path("sys/fs/file-nr");
        let text = host.read_proc("sys/fs/file-nr")?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[allocated, _unused, maximum] = words.as_slice() else {
            let message = format!("{} numbers where three should be", words.len());
            return Err(Failure::Layout { path, message });
        };
        out.gauge("node_filefd_allocated", "File descriptors in use.", &[], number(&path, allocated)?);
        out.gauge(
            "node_filefd_maximum",
            "File descriptors that can be in use.",
            &[],
            number(&path, maximum)?,
        );
        Ok(())
    }
}
