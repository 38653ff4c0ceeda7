//! `node_filesystem_*`: mounts from `/proc/1/mountinfo`, sizes from `statfs`.
//!
//! Invariant: a mount that does not answer (a network file system whose server is gone) costs a scrape at most
//! the mount timeout once, and one thread until it answers; it is not asked again before that.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::Collector;
use crate::{Failure, Families, Filter, Host, Options};

/// What `statfs` says, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

type Probe = Arc<dyn Fn(&Path) -> Result<Usage, String> + Send + Sync>;
type Stuck = Arc<Mutex<HashSet<String>>>;

/// Space and inodes of the mounted file systems.
pub(super) struct Filesystem {
    mount_points: Filter,
    types: Filter,
    timeout: Duration,
    probe: Probe,
    /// The mount points that a thread waits for.
    stuck: Stuck,
}

/// A line of mountinfo.
#[derive(Clone, Debug, PartialEq)]
struct Mount {
    device: String,
    mount_point: String,
    fstype: String,
    major: String,
    minor: String,
    is_read_only: bool,
}

impl Filesystem {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            mount_points: options.mount_points.clone(),
            types: options.filesystem_types.clone(),
            timeout: options.mount_timeout,
            probe: Arc::new(statfs),
            stuck: Stuck::default(),
        }
    }

    fn is_stuck(&self, mount: &Mount) -> bool {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).contains(&mount.mount_point)
    }

    /// The usage of each mount, in order; an error is what `device_error` shows.
    fn probe_all(&self, host: &Host, mounts: &[Mount]) -> Vec<Result<Usage, String>> {
        let no_answer = || Err("mountpoint timeout".to_owned());
        let mut results = Vec::with_capacity(mounts.len());
        let mut worker = None;
        for (i, mount) in mounts.iter().enumerate() {
            if self.is_stuck(mount) {
                results.push(no_answer());
                continue;
            }
            let answers = worker.take().unwrap_or_else(|| self.start_worker(host, &mounts[i..]));
            let wait = match host.deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(self.timeout),
                None => self.timeout,
            };
            match answers.recv_timeout(wait) {
                Ok(result) => {
                    results.push(result);
                    worker = Some(answers);
                }
                // The worker is left to its mount, and another one goes on with the rest.
                Err(_) => {
                    let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
                    stuck.insert(mount.mount_point.clone());
                    results.push(no_answer());
                }
            }
        }
        results
    }

    /// A thread that probes the mounts that are not stuck now, one after the other, until nobody listens.
    fn start_worker(&self, host: &Host, mounts: &[Mount]) -> mpsc::Receiver<Result<Usage, String>> {
        let (answer, answers) = mpsc::channel();
        let targets: Vec<(String, PathBuf)> = mounts
            .iter()
            .filter(|mount| !self.is_stuck(mount))
            .map(|mount| (mount.mount_point.clone(), below(&host.paths.rootfs, &mount.mount_point)))
            .collect();
        let (probe, stuck) = (Arc::clone(&self.probe), Arc::clone(&self.stuck));
        let work = move || {
            for (mount_point, path) in targets {
                let result = probe(&path);
                stuck.lock().unwrap_or_else(PoisonError::into_inner).remove(&mount_point);
                if answer.send(result).is_err() {
                    return;
                }
            }
        };
        if let Err(cause) = thread::Builder::new().name("statfs".into()).spawn(work) {
            tracing::warn!("no thread for statfs: {cause}");
        }
        answers
    }
}

impl Collector for Filesystem {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        // Where processes are hidden from this user, its own mounts are all there is to see.
        let text = match host.read_proc("1/mountinfo") {
            Err(Failure::Absent(_)) => host.read_proc("self/mountinfo")?,
            other => other?,
        };
        let mut seen = HashSet::new();
        let mounts: Vec<Mount> = text
            .lines()
            .filter_map(|line| parse(line, &host.paths.rootfs))
            .filter(|m| self.mount_points.allows(&m.mount_point) && self.types.allows(&m.fstype))
            .filter(|m| seen.insert((m.device.clone(), m.mount_point.clone(), m.fstype.clone())))
            .collect();
        for (mount, result) in mounts.iter().zip(self.probe_all(host, &mounts)) {
            show(out, mount, &result);
        }
        Ok(())
    }
}

fn show(out: &mut Families, mount: &Mount, result: &Result<Usage, String>) {
    let labels = [
        ("device", mount.device.as_str()),
        ("mountpoint", &mount.mount_point),
        ("fstype", &mount.fstype),
        ("device_error", result.as_ref().err().map_or("", String::as_str)),
    ];
    let failed = f64::from(u8::from(result.is_err()));
    out.gauge("node_filesystem_device_error", "1 where the mount could not be asked.", &labels, failed);
    let read_only = f64::from(u8::from(mount.is_read_only));
    out.gauge("node_filesystem_readonly", "1 where the mount is read-only.", &labels, read_only);
    let Ok(usage) = result else { return };
    out.gauge("node_filesystem_size_bytes", "Size.", &labels, usage.size);
    out.gauge("node_filesystem_free_bytes", "Free space.", &labels, usage.free);
    out.gauge(
        "node_filesystem_avail_bytes",
        "Free space for users other than root.",
        &labels,
        usage.available,
    );
    out.gauge("node_filesystem_files", "Inodes.", &labels, usage.files);
    out.gauge("node_filesystem_files_free", "Free inodes.", &labels, usage.files_free);
    out.gauge("node_filesystem_purgeable_bytes", "Space that macOS could purge; 0 on Linux.", &labels, 0.0);
    let labels = [labels[0], labels[1], ("major", mount.major.as_str()), ("minor", mount.minor.as_str())];
    out.gauge("node_filesystem_mount_info", "The mount's device numbers; always 1.", &labels, 1.0);
}

/// A line of mountinfo (`proc_pid_mountinfo(5)`); the mount point as seen from inside `rootfs`.
fn parse(line: &str, rootfs: &Path) -> Option<Mount> {
    let (mount, source) = line.split_once(" - ")?;
    let mount: Vec<&str> = mount.split(' ').collect();
    let &[_id, _parent, numbers, _root, mount_point, options, ..] = mount.as_slice() else { return None };
    let mut source = source.split(' ');
    let (fstype, device) = (source.next()?, source.next()?);
    let super_options = source.next().unwrap_or_default();
    let (major, minor) = numbers.split_once(':')?;
    let mount_point = unescape(mount_point);
    let outside = rootfs.to_str().unwrap_or("/").trim_end_matches('/');
    let inside = match mount_point.strip_prefix(outside) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => &mount_point,
    };
    Some(Mount {
        device: unescape(device),
        fstype: fstype.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        is_read_only: options.split(',').any(|o| o == "ro")
            || super_options.split(',').any(|o| o == "ro" || o == "emergency_ro"),
        mount_point: inside.to_owned(),
    })
}

/// Octal escapes, which mountinfo has for blanks and backslashes, undone.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(&part[3..]);
            }
            None => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

fn below(rootfs: &Path, mount_point: &str) -> PathBuf {
    rootfs.join(mount_point.trim_start_matches('/'))
}

fn statfs(path: &Path) -> Result<Usage, String> {
    let s = rustix::fs::statfs(path).map_err(|cause| std::io::Error::from(cause).to_string())?;
    let block = s.f_bsize as f64;
    Ok(Usage {
        size: s.f_blocks as f64 * block,
        free: s.f_bfree as f64 * block,
        available: s.f_bavail as f64 * block,
        files: s.f_files as f64,
        files_free: s.f_ffree as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;

    const USAGE: Usage = Usage { size: 4.0, free: 3.0, available: 2.0, files: 1.0, files_free: 0.0 };

    fn mount(mount_point: &str) -> Mount {
        let line = format!("27 1 254:0 / {mount_point} rw,relatime shared:1 - ext4 /dev/vda rw,discard");
        parse(&line, Path::new("/")).unwrap()
    }

    #[test]
    fn mountinfo_is_read_as_seen_from_inside_rootfs() {
        let check = |line: &str, rootfs: &str, point: &str, is_read_only: bool| {
            let mount = parse(line, Path::new(rootfs)).unwrap();
            assert_eq!((mount.mount_point.as_str(), mount.is_read_only), (point, is_read_only), "{line}");
        };
        check(r"1 0 8:1 / /my\040disk ro,noatime - ext4 /dev/sda1 rw", "/", "/my disk", true);
        check("1 0 8:1 / /host rw master:1 - ext4 /dev/sda1 rw,errors=remount-ro", "/host", "/", false);
        check("1 0 8:1 / /host/var rw - ext4 /dev/sda1 rw,emergency_ro", "/host/", "/var", true);
        check("1 0 8:1 / /hostile rw - ext4 /dev/sda1 rw", "/host", "/hostile", false);
        let nfs = parse(r"1 0 0:45 / /mnt rw - nfs4 srv:/a\040b rw,addr=1", Path::new("/")).unwrap();
        assert_eq!((nfs.device.as_str(), nfs.major.as_str(), nfs.minor.as_str()), ("srv:/a b", "0", "45"));
        assert_eq!(parse("nonsense", Path::new("/")), None);
    }

    #[test]
    fn a_mount_that_hangs_is_asked_once_and_comes_back() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (asked, asks) = mpsc::channel();
        let probe: Probe = Arc::new(move |path: &Path| {
            asked.send(path.to_owned()).unwrap();
            if path.ends_with("dead") {
                gate.lock().unwrap().recv().map_err(|e| e.to_string())?;
            }
            Ok(USAGE)
        });
        let mut collector = Filesystem::new(&Options::default());
        (collector.probe, collector.timeout) = (probe, Duration::from_millis(20));
        let host = Host { paths: Paths::default(), deadline: None };
        let mounts = [mount("/a"), mount("/dead"), mount("/b")];
        let timeout = Err("mountpoint timeout".to_owned());

        assert_eq!(collector.probe_all(&host, &mounts), [Ok(USAGE), timeout.clone(), Ok(USAGE)]);
        assert_eq!(collector.probe_all(&host, &mounts), [Ok(USAGE), timeout, Ok(USAGE)]);
        let asked_dead = asks.try_iter().filter(|path| path.ends_with("dead")).count();
        assert_eq!(asked_dead, 1, "the dead mount has one thread, however often it is scraped");

        release.send(()).unwrap();
        release.send(()).unwrap();
        while collector.is_stuck(&mounts[1]) {
            thread::yield_now();
        }
        assert_eq!(collector.probe_all(&host, &mounts), [Ok(USAGE), Ok(USAGE), Ok(USAGE)]);
    }

    #[test]
    fn the_root_of_this_machine_has_a_size() {
        let usage = statfs(&below(Path::new("/"), "/")).unwrap();
        assert!(usage.size > 0.0 && usage.free <= usage.size);
        assert!(statfs(Path::new("/no/such/place")).unwrap_err().contains("No such file"));
    }
}
