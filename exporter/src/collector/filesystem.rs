//! `node_filesystem_*`: mounts from `/proc/1/mountinfo`, sizes from `statfs`.
//!
//! Invariant: a mount that does not answer (a network file system whose server is gone) costs a scrape at most the mount
//! timeout, once, and one thread until it answers ([`prober`]); what was not asked in time is distinguished from that.

mod prober;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use self::prober::{NoUsage, Prober};
use super::{Begun, Collector, Entry, Runs};
use crate::{
    Failure, Families, Filter, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on("filesystem", "Space and inodes of file systems", |s| {
    Box::new(Filesystem::new(s))
})
.runs(Runs::Last)
.flags(&[
    Flag::new(
        "collector.filesystem.mount-points-exclude",
        Kind::Pattern(
            r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
        ),
        "Mount points to leave out",
    ),
    Flag::new("collector.filesystem.mount-points-include", Kind::Pattern(""), "The only mount points to show"),
    Flag::new(
        "collector.filesystem.fs-types-exclude",
        Kind::Pattern(
            "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|\
             nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
        ),
        "File system types to leave out",
    ),
    Flag::new("collector.filesystem.fs-types-include", Kind::Pattern(""), "The only file system types to show"),
    Flag::new(
        "collector.filesystem.mount-timeout",
        Kind::Duration("5s"),
        "How long a mount may take to answer before it is shown as not responding",
    ),
    Flag::new("collector.filesystem.stat-workers", Kind::Number(4), ""),
    Flag::new(
        "collector.filesystem.ignored-mount-points",
        Kind::AliasOf("collector.filesystem.mount-points-exclude"),
        "",
    ),
    Flag::new(
        "collector.filesystem.ignored-fs-types",
        Kind::AliasOf("collector.filesystem.fs-types-exclude"),
        "",
    ),
]);

/// What `statfs` says, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

/// Space and inodes of the mounted file systems.
struct Filesystem {
    mount_points: Filter,
    types: Filter,
    timeout: Duration,
    prober: Prober<Usage>,
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
    fn new(settings: &Settings) -> Self {
        Self {
            mount_points: settings.filter("collector.filesystem.mount-points"),
            types: settings.filter("collector.filesystem.fs-types"),
            timeout: settings.duration("collector.filesystem.mount-timeout"),
            prober: Prober::new(Arc::new(statfs)),
        }
    }
}

impl Collector for Filesystem {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        self.begin(host)(host, out)
    }

    fn begin(&self, host: &Host) -> Begun<'_> {
        let asked = self.mounts(host).map(|mounts| {
            let paths = mounts.iter().map(|mount| below(&host.paths.rootfs, &mount.mount_point));
            let paths: Vec<PathBuf> = paths.collect();
            let start = self.prober.start(&paths);
            (mounts, paths, start)
        });
        Box::new(move |host, out| {
            let (mounts, paths, start) = asked?;
            let answers = self.prober.answers(&paths, start, self.timeout, host.deadline);
            let (mut stuck, mut not_asked) = (0, 0);
            for (mount, answer) in mounts.iter().zip(&answers) {
                match answer {
                    Err(NoUsage::TimedOut | NoUsage::NoAnswerYet) => stuck += 1,
                    Err(NoUsage::NotAsked | NoUsage::NoThread) => not_asked += 1,
                    _ => {}
                }
                show(out, mount, answer);
            }
            match not_asked {
                0 => Ok(()),
                n => Err(Failure::Late(format!("mounts not asked: {n}; not answering: {stuck}"))),
            }
        })
    }
}

impl Filesystem {
    /// The mounts to show, each once.
    fn mounts(&self, host: &Host) -> Result<Vec<Mount>, Failure> {
        // Where processes are hidden from this user, its own mounts are all there is to see.
        let text = match host.read_proc_long("1/mountinfo") {
            Err(Failure::Absent(_)) => host.read_proc_long("self/mountinfo")?,
            other => other?,
        };
        let mut seen = HashSet::new();
        Ok(text
            .lines()
            .filter_map(|line| parse(line, &host.paths.rootfs))
            .filter(|m| self.mount_points.allows(&m.mount_point) && self.types.allows(&m.fstype))
            .filter(|m| seen.insert((m.device.clone(), m.mount_point.clone(), m.fstype.clone())))
            .collect())
    }
}

fn show(out: &mut Families, mount: &Mount, result: &Result<Usage, NoUsage>) {
    let labels = [
        ("device", mount.device.as_str()),
        ("mountpoint", &mount.mount_point),
        ("fstype", &mount.fstype),
        ("device_error", result.as_ref().err().map_or("", NoUsage::text)),
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
    fn the_root_of_this_machine_has_a_size() {
        let usage = statfs(&below(Path::new("/"), "/")).unwrap();
        assert!(usage.size > 0.0 && usage.free <= usage.size);
        assert!(statfs(Path::new("/no/such/place")).unwrap_err().contains("No such file"));
    }
}
