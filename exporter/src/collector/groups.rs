//! `namedprocess_namegroup_*`: processes in groups, under process-exporter's names.
//!
//! Invariant: a group's counters never fall; what members counted stays when they end, and a group that lost its last
//! member stays at zero processes. A process whose `stat` is what it was at the last scrape is not read whole again, except
//! one of sixteen in turn, so that ten thousand idle processes cost little.

mod process;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{Mutex, PoisonError},
};

use self::process::{Counts, Sample, Stat};
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Host, Settings,
    groups::{Process, Rules, arguments},
    host::{Descriptors, Numbered, read},
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::off(
    "groups",
    "Processes in groups, under process-exporter's names",
    |s| Box::new(Groups::new(s)),
)
.runs(Runs::Aside)
.check(|s| match s.text("collector.groups.config") {
    "" => Ok(()),
    path => Rules::load(Path::new(path)).map(|_| ()),
})
.flags(&[
    Flag::new(
        "collector.groups.config",
        Kind::Text(""),
        "The rules by which processes are grouped, in process-exporter's format; without it, by their executables' names",
    ),
    Flag::new(
        "collector.groups.children",
        Kind::Switch(true),
        "Count processes that no rule matches in the group of their parents",
    ),
]);

/// Groups of processes.
struct Groups {
    rules: Rules,
    has_children: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By their numbers.
    members: HashMap<u32, Member>,
    /// What members that ended have counted.
    ended: BTreeMap<String, Counts>,
    scrape: u32,
    /// Makes the members' digests.
    hasher: RandomState,
}

/// A process that is known.
struct Member {
    /// `None` where no rule matches it.
    group: Option<String>,
    sample: Sample,
    /// Of the text of `stat`.
    digest: u64,
    /// When it was there last.
    scrape: u32,
}

/// One process in so many is read whole though it seems idle.
const TURNS: u32 = 16;

impl Groups {
    fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules::of(settings),
            has_children: settings.switch("collector.groups.children"),
            state: Mutex::default(),
        }
    }

    fn update(&self, host: &Host, state: &mut State) -> Result<(), Failure> {
        state.scrape = state.scrape.wrapping_add(1);
        let scrape = state.scrape;
        let users = Users::default();
        let descriptors = Descriptors::new(&host.paths.procfs);
        let mut processes = Numbered::open(&host.paths.procfs)?;
        for pid in processes.numbers()? {
            let is_due = pid % TURNS == scrape % TURNS;
            let (members, hasher) = (&mut state.members, &state.hasher);
            let changed = processes.read(pid, "stat", |text| {
                let digest = hasher.hash_one(text);
                match members.get_mut(&pid) {
                    Some(member) if member.digest == digest && !is_due => {
                        member.scrape = scrape;
                        None
                    }
                    _ => Stat::parse(text).map(|stat| (digest, stat)),
                }
            });
            // A process may end between being listed and being read.
            let Some(Some((digest, stat))) = changed else { continue };
            let path = host.paths.procfs.join(pid.to_string());
            let known =
                state.members.get_mut(&pid).filter(|known| known.sample.stat.start_ticks == stat.start_ticks);
            if let Some(member) = known {
                member.sample = Sample::read(&path, stat, descriptors);
                (member.digest, member.scrape) = (digest, scrape);
            } else {
                let group = self.rules.name(&self.describe(host, &path, pid, &stat, &users));
                let sample = Sample::read(&path, stat, descriptors);
                // One that had the number before has ended.
                let before = state.members.insert(pid, Member { group, sample, digest, scrape });
                before.into_iter().for_each(|member| end(&mut state.ended, member));
            }
        }
        for (_, member) in state.members.extract_if(|_, member| member.scrape != scrape) {
            end(&mut state.ended, member);
        }
        if self.has_children {
            adopt(&mut state.members);
        }
        Ok(())
    }

    fn describe(&self, host: &Host, path: &Path, pid: u32, stat: &Stat, users: &Users) -> Process {
        let mut process = Process { pid, comm: stat.comm.clone(), ..Process::default() };
        process.arguments = arguments(path);
        if self.rules.needs_arguments() {
            process.user = users.name(host, path);
            process.cgroups = read(&path.join("cgroup")).unwrap_or_default().trim().to_owned();
            process.start_s = stat.start_s();
        }
        process
    }
}

/// What a member that ended has counted stays.
fn end(ended: &mut BTreeMap<String, Counts>, member: Member) {
    if let Some(group) = member.group {
        *ended.entry(group).or_default() += member.sample.counts();
    }
}

/// Processes without a group join that of the nearest ancestor that has one.
fn adopt(members: &mut HashMap<u32, Member>) {
    const DEEPEST: usize = 64;
    let parent = |member: &Member| members.get(&member.sample.stat.parent);
    let orphans = members.iter().filter(|(_, member)| member.group.is_none());
    let adopted: Vec<(u32, String)> = orphans
        .filter_map(|(pid, orphan)| {
            let mut ancestors = std::iter::successors(parent(orphan), |member| parent(member)).take(DEEPEST);
            Some((*pid, ancestors.find_map(|member| member.group.clone())?))
        })
        .collect();
    for (pid, group) in adopted {
        if let Some(member) = members.get_mut(&pid) {
            member.group = Some(group);
        }
    }
}

impl Collector for Groups {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.update(host, &mut state)?;
        let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
        for (group, counts) in &state.ended {
            totals.entry(group).or_default().counts += counts.clone();
        }
        for member in state.members.values() {
            if let Some(group) = &member.group {
                totals.entry(group).or_default().add(&member.sample);
            }
        }
        for (group, total) in totals {
            total.show(group, out);
        }
        Ok(())
    }
}

/// A group as it is now.
#[derive(Default)]
struct Total {
    counts: Counts,
    processes: u32,
    threads: f64,
    resident: f64,
    virtual_bytes: f64,
    swapped: f64,
    descriptors: f64,
    worst_ratio: f64,
    oldest_s: Option<f64>,
    states: [u32; 5],
}

const STATES: [(&str, &str); 5] =
    [("Running", "R"), ("Sleeping", "SI"), ("Waiting", "D"), ("Zombie", "Z"), ("Other", "")];

impl Total {
    fn add(&mut self, sample: &Sample) {
        let stat = &sample.stat;
        self.counts += sample.counts();
        self.processes += 1;
        self.threads += stat.threads;
        self.resident += stat.resident_bytes;
        self.virtual_bytes += stat.virtual_bytes;
        self.swapped += sample.swapped_bytes;
        self.descriptors += sample.descriptors;
        self.worst_ratio = self.worst_ratio.max(sample.descriptors / sample.most_descriptors.max(1.0));
        let start = stat.start_s();
        self.oldest_s = Some(self.oldest_s.map_or(start, |oldest| oldest.min(start)));
        let at =
            STATES.iter().position(|(_, letters)| letters.contains(stat.state)).unwrap_or(STATES.len() - 1);
        self.states[at] += 1;
    }

    fn show(&self, group: &str, out: &mut Families) {
        let group = ("groupname", group);
        let mut gauge = |name: &str, help: &str, more: Option<(&str, &str)>, value: f64| {
            let labels: Vec<_> = [group].into_iter().chain(more).collect();
            out.gauge(&format!("namedprocess_namegroup_{name}"), help, &labels, value);
        };
        gauge("num_procs", "Processes of the group.", None, self.processes.into());
        gauge("num_threads", "Threads of the group.", None, self.threads);
        gauge("open_filedesc", "Open file descriptors.", None, self.descriptors);
        let help = "The highest part of its limit of file descriptors that a process uses.";
        gauge("worst_fd_ratio", help, None, self.worst_ratio);
        let help = "When the oldest process was started, in seconds since the Unix epoch.";
        gauge("oldest_start_time_seconds", help, None, self.oldest_s.unwrap_or(0.0));
        for (kind, bytes) in
            [("resident", self.resident), ("virtual", self.virtual_bytes), ("swapped", self.swapped)]
        {
            gauge("memory_bytes", "Memory by kind.", Some(("memtype", kind)), bytes);
        }
        for ((state, _), n) in STATES.iter().zip(self.states) {
            gauge("states", "Processes by state.", Some(("state", state)), n.into());
        }
        let counts = &self.counts;
        let mut counter = |name: &str, help: &str, more: Option<(&str, &str)>, value: f64| {
            let labels: Vec<_> = [group].into_iter().chain(more).collect();
            out.counter(&format!("namedprocess_namegroup_{name}_total"), help, &labels, value);
        };
        for (mode, seconds) in [("user", counts.user_s), ("system", counts.system_s)] {
            counter("cpu_seconds", "CPU time by mode.", Some(("mode", mode)), seconds);
        }
        counter("read_bytes", "Bytes read from storage.", None, counts.read_bytes);
        counter("write_bytes", "Bytes written to storage.", None, counts.write_bytes);
        counter("major_page_faults", "Page faults that read from storage.", None, counts.major_faults);
        counter("minor_page_faults", "Page faults that did not.", None, counts.minor_faults);
        let switches = [("voluntary", counts.voluntary), ("nonvoluntary", counts.involuntary)];
        for (kind, n) in switches {
            counter("context_switches", "Context switches.", Some(("ctxswitchtype", kind)), n);
        }
    }
}

/// Users' names by number, read at most once a scrape.
#[derive(Default)]
struct Users {
    names: std::cell::OnceCell<HashMap<String, String>>,
}

impl Users {
    fn name(&self, host: &Host, process: &Path) -> String {
        let status = read(&process.join("status")).unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
        let uid = uid.unwrap_or_default();
        let names = self.names.get_or_init(|| passwd(&host.paths.rootfs.join("etc/passwd")));
        names.get(uid).cloned().unwrap_or_else(|| uid.to_owned())
    }
}

fn passwd(path: &Path) -> HashMap<String, String> {
    let text = read(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.to_owned(), name.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use assay_model::expo::write_text;

    use super::*;
    use crate::Paths;

    fn process(root: &Path, pid: u32, parent: u32, comm: &str, user_ticks: u64) {
        let directory = root.join(pid.to_string());
        std::fs::create_dir_all(directory.join("fd")).unwrap();
        let write = |file: &str, text: String| std::fs::write(directory.join(file), text).unwrap();
        write(
            "stat",
            format!(
                "{pid} ({comm}) S {parent} 1 1 0 -1 0 10 0 2 0 {user_ticks} 50 0 0 20 0 3 0 1000 4096000 25 0 0 0"
            ),
        );
        write("cmdline", format!("/usr/bin/{comm}\0-x\0"));
        write(
            "status",
            "Uid:\t0\t0\nVmSwap:\t  4 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n"
                .into(),
        );
        write("io", "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n".into());
        write(
            "limits",
            "Limit Soft Hard\nMax open files            100                 200                  files\n"
                .into(),
        );
        write("fd/0", String::new());
    }

    #[test]
    fn members_may_end_and_counters_stay() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(Paths { procfs: root.path().to_owned(), ..Paths::default() }, None);
        let groups = Groups::new(&Settings::default());
        let shown = || {
            let mut out = Families::new();
            groups.collect(&host, &mut out).unwrap();
            let mut text = String::new();
            write_text(&mut text, &out.finish());
            text
        };
        process(root.path(), 10, 1, "nginx", 100);
        process(root.path(), 11, 10, "nginx", 200);
        let has = |text: &str, name: &str, label: &str, value: &str| {
            let is_it = |line: &&str| {
                line.starts_with(&format!("namedprocess_namegroup_{name}{{"))
                    && line.contains("groupname=\"nginx\"")
                    && line.contains(label)
                    && line.ends_with(&format!("}} {value}"))
            };
            assert!(text.lines().any(|line| is_it(&line)), "{name} {label} {value} is not in\n{text}");
        };
        let text = shown();
        has(&text, "num_procs", "", "2");
        has(&text, "num_threads", "", "6");
        has(&text, "cpu_seconds_total", "mode=\"user\"", "3");
        has(&text, "memory_bytes", "memtype=\"swapped\"", "8192");
        has(&text, "read_bytes_total", "", "8192");
        has(&text, "context_switches_total", "ctxswitchtype=\"voluntary\"", "14");
        has(&text, "worst_fd_ratio", "", "0.01");
        has(&text, "states", "state=\"Sleeping\"", "2");
        std::fs::remove_dir_all(root.path().join("11")).unwrap();
        process(root.path(), 10, 1, "nginx", 150);
        let text = shown();
        has(&text, "num_procs", "", "1");
        has(&text, "cpu_seconds_total", "mode=\"user\"", "3.5");
        // Another process gets the number of one that ended.
        let stat = root.path().join("10/stat");
        let later = std::fs::read_to_string(&stat).unwrap().replace(" 3 0 1000 ", " 3 0 2000 ");
        std::fs::write(&stat, later).unwrap();
        let text = shown();
        has(&text, "num_procs", "", "1");
        has(&text, "cpu_seconds_total", "mode=\"user\"", "5");
        for _ in 0..TURNS + 1 {
            has(&shown(), "cpu_seconds_total", "mode=\"user\"", "5");
        }
        std::fs::remove_dir_all(root.path().join("10")).unwrap();
        let text = shown();
        has(&text, "num_procs", "", "0");
        has(&text, "cpu_seconds_total", "mode=\"user\"", "5");
    }

    /// What `stat` does not say of an idle process is seen when it is its turn.
    #[test]
    fn idle_processes_are_read_whole_in_turn() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 10, 1, "nginx", 100);
        let host = Host::new(Paths { procfs: root.path().to_owned(), ..Paths::default() }, None);
        let groups = Groups::new(&Settings::default());
        let read_bytes = || {
            let mut out = Families::new();
            groups.collect(&host, &mut out).unwrap();
            let families = out.finish();
            let family =
                families.iter().find(|f| f.name == "namedprocess_namegroup_read_bytes_total").unwrap();
            format!("{:?}", family.metrics[0].value)
        };
        let before = read_bytes();
        std::fs::write(root.path().join("10/io"), "read_bytes: 5000\nwrite_bytes: 1\n").unwrap();
        let seen = (0..TURNS).filter(|_| read_bytes() != before).count();
        assert!((1..=TURNS as usize).contains(&seen), "{seen}");
        assert_ne!(read_bytes(), before);
        process(root.path(), 10, 1, "nginx", 101);
        std::fs::write(root.path().join("10/io"), "read_bytes: 6000\nwrite_bytes: 1\n").unwrap();
        assert!(read_bytes().contains("6000"), "one that ran is read at once");
    }

    #[test]
    fn children_join_their_parents_group() {
        let root = tempfile::tempdir().unwrap();
        let rules = root.path().join("rules.yml");
        std::fs::write(&rules, "process_names:\n- {name: make, comm: [make]}\n").unwrap();
        process(root.path(), 20, 1, "make", 1);
        process(root.path(), 21, 20, "sh", 1);
        process(root.path(), 22, 21, "cc1", 1);
        process(root.path(), 23, 1, "other", 1);
        let host = Host::new(Paths { procfs: root.path().to_owned(), ..Paths::default() }, None);
        let settings = Settings::default().with("collector.groups.config", rules.to_str().unwrap()).unwrap();
        let mut out = Families::new();
        Groups::new(&settings).collect(&host, &mut out).unwrap();
        let mut text = String::new();
        write_text(&mut text, &out.finish());
        assert!(text.contains("namedprocess_namegroup_num_procs{groupname=\"make\"} 3\n"), "{text}");
        assert!(!text.contains("other"), "{text}");
    }
}
