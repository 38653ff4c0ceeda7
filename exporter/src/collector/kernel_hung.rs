//! `node_kernel_hung_tasks_total` from `/proc/sys/kernel/hung_task_detect_count`.

use super::{Collector, Entry};
use crate::{Failure, Families, Host};

pub(super) const ENTRY: Entry =
    Entry::on("kernel_hung", "Tasks that the kernel found hung", |_| Box::new(KernelHung));

/// Tasks that the kernel found hung since boot (kernels from 6.17).
pub(super) struct KernelHung;

impl Collector for KernelHung {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let n = host.read_proc_number("sys/kernel/hung_task_detect_count")?;
        out.counter("node_kernel_hung_tasks_total", "Tasks found hung since boot.", &[], n);
        Ok(())
    }
}
