//! `process_*`: this process, under the names that Prometheus' client libraries share, as far as `sysinfo` knows it.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{Families, Host, Paths};

const MS_PER_S: f64 = 1000.0;

/// Adds this process' CPU time, memory and start time. What cannot be read is left out.
pub fn own(out: &mut Families) {
    own_of(&Host::new(Paths::default(), None), out);
}

/// The same; the host is not asked.
pub(crate) fn own_of(_host: &Host, out: &mut Families) {
    let (Ok(pid), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else { return };
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    let Some(process) = system.process(pid) else { return };
    let cpu_s = process.accumulated_cpu_time() as f64 / MS_PER_S;
    out.counter("process_cpu_seconds_total", "User and system CPU time in seconds.", &[], cpu_s);
    out.gauge("process_virtual_memory_bytes", "Virtual memory.", &[], process.virtual_memory() as f64);
    out.gauge("process_resident_memory_bytes", "Resident memory.", &[], process.memory() as f64);
    let help = "When the process started, in seconds since the Unix epoch.";
    out.gauge("process_start_time_seconds", help, &[], process.start_time() as f64);
}
