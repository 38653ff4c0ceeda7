//! `node_processes_*` from `/proc/PID/stat` and `/proc/PID/task`.

use std::collections::BTreeMap;

use super::{Collector, Entry, Runs};
use crate::{Failure, Families, Host, host::Numbered};

pub(super) const ENTRY: Entry =
    Entry::off("processes", "Processes and threads by state", |_| Box::new(Processes)).runs(Runs::Aside);

/// Processes and threads by state. Off unless asked for: it reads a file for each thread of the host.
pub(super) struct Processes;

impl Collector for Processes {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let (mut processes, mut threads) = (BTreeMap::<char, u32>::new(), BTreeMap::<char, u32>::new());
        let mut all_threads = 0.0;
        let mut all = Numbered::open(&host.paths.procfs)?;
        for process in all.numbers()? {
            let Some((state, n)) = all.read(process, "stat", state).flatten() else { continue };
            *processes.entry(state).or_default() += 1;
            all_threads += n;
            let task = host.proc_path(&format!("{process}/task"));
            // A process may end between being listed and being read; then it has no threads either.
            let Ok(mut tasks) = Numbered::open(&task) else { continue };
            for thread in tasks.numbers().unwrap_or_default() {
                if let Some((state, _)) = tasks.read(thread, "stat", self::state).flatten() {
                    *threads.entry(state).or_default() += 1;
                }
            }
        }
        for (state, n) in &processes {
            let labels = [("state", &*state.to_string())];
            out.gauge("node_processes_state", "Processes by state.", &labels, f64::from(*n));
        }
        for (state, n) in &threads {
            let labels = [("thread_state", &*state.to_string())];
            out.gauge("node_processes_threads_state", "Threads by state.", &labels, f64::from(*n));
        }
        out.gauge("node_processes_pids", "Processes.", &[], f64::from(processes.values().sum::<u32>()));
        out.gauge("node_processes_threads", "Threads.", &[], all_threads);
        let most = host.read_proc_number("sys/kernel/threads-max")?;
        out.gauge("node_processes_max_threads", "Threads that there can be.", &[], most);
        let most = host.read_proc_number("sys/kernel/pid_max")?;
        out.gauge("node_processes_max_processes", "Process ids that there can be.", &[], most);
        Ok(())
    }
}

/// State and number of threads: the first and the eighteenth word after the command, which is in parentheses and may
/// hold anything.
fn state(stat: &str) -> Option<(char, f64)> {
    let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((words.next()?.chars().next()?, words.nth(16)?.parse().ok()?))
}
