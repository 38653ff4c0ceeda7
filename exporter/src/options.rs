//! What the exporter is asked to do: [`Options`].
//!
//! Invariant: options are validated when they are made; the exporter takes them as they are.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use regex::Regex;

use crate::{Filter, Paths, collector};

/// Which collectors run, where they read and what they show.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the host's file systems are.
    pub paths: Paths,
    /// The collectors that run, by name.
    pub collectors: BTreeSet<&'static str>,
    /// Whether the exporter shows its own process and build.
    pub own_metrics: bool,
    /// Block devices shown by diskstats.
    pub disks: Filter,
    /// Mount points shown by filesystem.
    pub mount_points: Filter,
    /// File system types shown by filesystem.
    pub filesystem_types: Filter,
    /// How long a mount may take to answer before it is shown as not responding.
    pub mount_timeout: Duration,
    /// Devices shown by netdev.
    pub network_devices: Filter,
    /// Devices shown by netclass.
    pub network_classes: Filter,
    /// Whether a link's unknown speed, which the kernel gives as -1, is left out.
    pub ignore_invalid_speed: bool,
    /// Devices shown by arp.
    pub arp_devices: Filter,
    /// Fields shown by netstat, as `Tcp_InSegs`.
    pub netstat_fields: Filter,
    /// Fields shown by vmstat.
    pub vmstat_fields: Filter,
    /// Where textfile looks for `*.prom` files.
    pub textfile_directories: Vec<PathBuf>,
    /// NVML's file; `None` for the one that the driver installs.
    pub nvml_library: Option<PathBuf>,
    /// The label with the host's name on GPU metrics: dcgm-exporter's is `Hostname`, newer ones have `hostname`.
    pub gpu_hostname_label: String,
}

/// Block devices that diskstats leaves out unless told otherwise: partitions, loop devices and the like.
pub const DISKS_EXCLUDED: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// Mount points that filesystem leaves out unless told otherwise.
pub const MOUNT_POINTS_EXCLUDED: &str =
    r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// File system types that filesystem leaves out unless told otherwise: those without a disk.
pub const FILESYSTEM_TYPES_EXCLUDED: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|\
     fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|\
     erofs|sysfs|tracefs)$";
/// Fields that netstat shows unless told otherwise.
pub const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|\
     Icmp6?_(InMsgs|OutMsgs)|\
     TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
     Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
     Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
/// Fields that vmstat shows unless told otherwise.
pub const VMSTAT_FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";

/// What is wrong with the options.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A collector that the exporter does not have.
    #[error("there is no collector \"{name}\"{}", nearest.map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_default())]
    UnknownCollector {
        /// The name given.
        name: String,
        /// The closest name there is.
        nearest: Option<&'static str>,
    },
    /// A pattern that is no regular expression.
    #[error("{option}: {cause}")]
    Pattern {
        /// The option it was given for.
        option: String,
        /// What is wrong with it.
        cause: regex::Error,
    },
}

impl Options {
    /// The registry's name of a collector.
    ///
    /// # Errors
    /// [`OptionsError::UnknownCollector`] with the nearest name there is.
    pub fn collector_name(name: &str) -> Result<&'static str, OptionsError> {
        if let Some(entry) = collector::entry(name) {
            return Ok(entry.name);
        }
        let nearest = collector::REGISTRY
            .iter()
            .map(|entry| (strsim::damerau_levenshtein(name, entry.name), entry.name))
            .min()
            .filter(|(distance, _)| *distance <= name.len().div_ceil(2))
            .map(|(_, name)| name);
        Err(OptionsError::UnknownCollector { name: name.to_owned(), nearest })
    }

    /// A pattern given for `option`; an empty one is none.
    ///
    /// # Errors
    /// [`OptionsError::Pattern`] where it is no regular expression.
    pub fn pattern(option: &str, text: &str) -> Result<Option<Regex>, OptionsError> {
        if text.is_empty() {
            return Ok(None);
        }
        Regex::new(text).map(Some).map_err(|cause| OptionsError::Pattern { option: option.to_owned(), cause })
    }
}

impl Default for Options {
    /// node_exporter's defaults.
    fn default() -> Self {
        // The patterns are constants that a test compiles; one that did not compile would filter nothing.
        let pattern = |text| Regex::new(text).ok();
        let exclude = |text| Filter { include: None, exclude: pattern(text) };
        let include = |text| Filter { include: pattern(text), exclude: None };
        Self {
            paths: Paths::default(),
            collectors: collector::REGISTRY.iter().filter(|e| e.default_on).map(|e| e.name).collect(),
            own_metrics: true,
            disks: exclude(DISKS_EXCLUDED),
            mount_points: exclude(MOUNT_POINTS_EXCLUDED),
            filesystem_types: exclude(FILESYSTEM_TYPES_EXCLUDED),
            mount_timeout: Duration::from_secs(5),
            network_devices: Filter::default(),
            network_classes: Filter::default(),
            ignore_invalid_speed: false,
            arp_devices: Filter::default(),
            netstat_fields: include(NETSTAT_FIELDS),
            vmstat_fields: include(VMSTAT_FIELDS),
            textfile_directories: Vec::new(),
            nvml_library: None,
            gpu_hostname_label: "Hostname".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_patterns_compile() {
        for text in
            [DISKS_EXCLUDED, MOUNT_POINTS_EXCLUDED, FILESYSTEM_TYPES_EXCLUDED, NETSTAT_FIELDS, VMSTAT_FIELDS]
        {
            Regex::new(text).unwrap();
        }
    }

    #[test]
    fn an_unknown_collector_names_the_nearest() {
        let message = Options::collector_name("filesytem").unwrap_err().to_string();
        assert_eq!(message, "there is no collector \"filesytem\"; did you mean \"filesystem\"?");
        assert_eq!(
            Options::collector_name("zzzzzz").unwrap_err().to_string(),
            "there is no collector \"zzzzzz\""
        );
    }
}
