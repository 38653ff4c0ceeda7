//! The command line, in node_exporter's words.
//!
//! Invariant: every collector of the registry has `--collector.NAME` and `--no-collector.NAME`, without being
//! listed here.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Args as ArgsGroup, Command, FromArgMatches, Parser, ValueEnum};
use exporter::{
    DISKS_EXCLUDED, FILESYSTEM_TYPES_EXCLUDED, Filter, MOUNT_POINTS_EXCLUDED, NETSTAT_FIELDS, Options, Paths,
    ServeOptions, VMSTAT_FIELDS, WebConfig, collector,
};

/// Shows this host's metrics to Prometheus, under node_exporter's names.
#[derive(Debug, Parser)]
#[command(name = "exporter", version, max_term_width = 110)]
pub(crate) struct Args {
    /// Address to listen on; `:9100` is every address of this host. May be repeated.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9100")]
    pub(crate) listen_addresses: Vec<String>,

    /// Path of the metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    telemetry_path: String,

    /// Scrapes that may run at once; 0 for any number.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    max_requests: usize,

    /// TLS, users and headers, in the format of Prometheus' exporters; read anew when it changes.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,

    /// Leave out the exporter's own process (`process_*`) and build.
    #[arg(long = "web.disable-exporter-metrics")]
    disable_exporter_metrics: bool,

    /// Where /proc is.
    #[arg(long = "path.procfs", value_name = "DIR", default_value = "/proc")]
    procfs: PathBuf,

    /// Where /sys is.
    #[arg(long = "path.sysfs", value_name = "DIR", default_value = "/sys")]
    sysfs: PathBuf,

    /// Where the host's root is.
    #[arg(long = "path.rootfs", value_name = "DIR", default_value = "/")]
    rootfs: PathBuf,

    /// Where udev keeps what it knows of the disks.
    #[arg(long = "path.udev.data", value_name = "DIR", default_value = "/run/udev/data")]
    udev_data: PathBuf,

    /// Disks to leave out.
    #[arg(long = "collector.diskstats.device-exclude", value_name = "REGEX", default_value = DISKS_EXCLUDED)]
    disks_exclude: String,

    /// The only disks to show.
    #[arg(long = "collector.diskstats.device-include", value_name = "REGEX", default_value = "")]
    disks_include: String,

    /// Mount points to leave out.
    #[arg(
        long = "collector.filesystem.mount-points-exclude",
        value_name = "REGEX",
        default_value = MOUNT_POINTS_EXCLUDED
    )]
    mount_points_exclude: String,

    /// The only mount points to show.
    #[arg(long = "collector.filesystem.mount-points-include", value_name = "REGEX", default_value = "")]
    mount_points_include: String,

    /// File system types to leave out.
    #[arg(
        long = "collector.filesystem.fs-types-exclude",
        value_name = "REGEX",
        default_value = FILESYSTEM_TYPES_EXCLUDED
    )]
    filesystem_types_exclude: String,

    /// The only file system types to show.
    #[arg(long = "collector.filesystem.fs-types-include", value_name = "REGEX", default_value = "")]
    filesystem_types_include: String,

    /// How long a mount may take to answer.
    #[arg(
        long = "collector.filesystem.mount-timeout",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration
    )]
    mount_timeout: Duration,

    /// Network devices whose traffic to leave out.
    #[arg(long = "collector.netdev.device-exclude", value_name = "REGEX", default_value = "")]
    network_devices_exclude: String,

    /// The only network devices whose traffic to show.
    #[arg(long = "collector.netdev.device-include", value_name = "REGEX", default_value = "")]
    network_devices_include: String,

    /// Network devices whose properties to leave out.
    #[arg(long = "collector.netclass.ignored-devices", value_name = "REGEX", default_value = "")]
    network_classes_exclude: String,

    /// Leave out the speed of links whose speed is unknown.
    #[arg(long = "collector.netclass.ignore-invalid-speed")]
    ignore_invalid_speed: bool,

    /// Devices whose neighbours to leave out.
    #[arg(long = "collector.arp.device-exclude", value_name = "REGEX", default_value = "")]
    arp_devices_exclude: String,

    /// The only devices whose neighbours to show.
    #[arg(long = "collector.arp.device-include", value_name = "REGEX", default_value = "")]
    arp_devices_include: String,

    /// Protocols' fields to show.
    #[arg(long = "collector.netstat.fields", value_name = "REGEX", default_value = NETSTAT_FIELDS)]
    netstat_fields: String,

    /// Fields of /proc/vmstat to show.
    #[arg(long = "collector.vmstat.fields", value_name = "REGEX", default_value = VMSTAT_FIELDS)]
    vmstat_fields: String,

    /// Where other programs leave metrics as `*.prom` files. May be repeated.
    #[arg(long = "collector.textfile.directory", value_name = "DIR")]
    textfile_directories: Vec<PathBuf>,

    /// NVML's file, where it is not the one that the driver installs.
    #[arg(long = "collector.gpu.nvml-library", value_name = "FILE")]
    nvml_library: Option<PathBuf>,

    /// The label with the host's name on GPU metrics; newer dashboards have `hostname`.
    #[arg(long = "collector.gpu.hostname-label", value_name = "NAME", default_value = "Hostname")]
    gpu_hostname_label: String,

    /// Only messages at least as grave.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,

    /// How messages are written, on standard error.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    toggles: Toggles,
}

/// How grave a message is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    /// Everything.
    Debug,
    /// What happens once.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time=… level=… msg=…`.
    Logfmt,
    /// An object on a line.
    Json,
}

impl Args {
    /// The exporter's options.
    ///
    /// # Errors
    /// Where a pattern is no regular expression.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        let filter = |option: &str, include: &str, exclude: &str| -> anyhow::Result<Filter> {
            Ok(Filter {
                include: Options::pattern(&format!("--collector.{option}-include"), include)?,
                exclude: Options::pattern(&format!("--collector.{option}-exclude"), exclude)?,
            })
        };
        let fields = |option: &str, include: &str| -> anyhow::Result<Filter> {
            Ok(Filter { include: Options::pattern(option, include)?, exclude: None })
        };
        let ignored =
            Options::pattern("--collector.netclass.ignored-devices", &self.network_classes_exclude)?;
        Ok(Options {
            paths: Paths {
                procfs: self.procfs.clone(),
                sysfs: self.sysfs.clone(),
                rootfs: self.rootfs.clone(),
                udev_data: self.udev_data.clone(),
            },
            collectors: self.toggles.collectors.clone(),
            own_metrics: !self.disable_exporter_metrics,
            disks: filter("diskstats.device", &self.disks_include, &self.disks_exclude)?,
            mount_points: filter(
                "filesystem.mount-points",
                &self.mount_points_include,
                &self.mount_points_exclude,
            )?,
            filesystem_types: filter(
                "filesystem.fs-types",
                &self.filesystem_types_include,
                &self.filesystem_types_exclude,
            )?,
            mount_timeout: self.mount_timeout,
            network_devices: filter(
                "netdev.device",
                &self.network_devices_include,
                &self.network_devices_exclude,
            )?,
            network_classes: Filter { include: None, exclude: ignored },
            ignore_invalid_speed: self.ignore_invalid_speed,
            arp_devices: filter("arp.device", &self.arp_devices_include, &self.arp_devices_exclude)?,
            netstat_fields: fields("--collector.netstat.fields", &self.netstat_fields)?,
            vmstat_fields: fields("--collector.vmstat.fields", &self.vmstat_fields)?,
            textfile_directories: self.textfile_directories.clone(),
            nvml_library: self.nvml_library.clone(),
            gpu_hostname_label: self.gpu_hostname_label.clone(),
        })
    }

    /// How to serve.
    ///
    /// # Errors
    /// Where the path is none, or the web configuration is not valid.
    pub(crate) fn serve_options(&self) -> anyhow::Result<ServeOptions> {
        let path = &self.telemetry_path;
        if !path.starts_with('/') || path.contains(['{', '}', '*', '?', '#']) {
            anyhow::bail!("--web.telemetry-path: \"{path}\" is not a plain path such as /metrics");
        }
        let web_config = self.web_config.as_deref().map(WebConfig::load).transpose()?.map(Arc::new);
        Ok(ServeOptions { telemetry_path: path.clone(), max_requests: self.max_requests, web_config })
    }
}

/// `--collector.NAME` and `--no-collector.NAME`: the collectors that run.
#[derive(Debug)]
struct Toggles {
    collectors: BTreeSet<&'static str>,
}

const DISABLE_DEFAULTS: &str = "collector.disable-defaults";

impl ArgsGroup for Toggles {
    fn augment_args(command: Command) -> Command {
        let command = command.next_help_heading("Collectors").arg(
            Arg::new(DISABLE_DEFAULTS)
                .long(DISABLE_DEFAULTS)
                .action(ArgAction::SetTrue)
                .help("Run only the collectors that are asked for"),
        );
        collector::REGISTRY.iter().fold(command, |command, entry| {
            let (on, off) = (format!("collector.{}", entry.name), format!("no-collector.{}", entry.name));
            let state = if entry.default_on { "on" } else { "off" };
            let about = format!("{} [default: {state}; --{off} turns it off]", entry.about);
            // Of the two, what is said last holds.
            let switch = |id: &str| Arg::new(id.to_owned()).long(id.to_owned()).action(ArgAction::SetTrue);
            command
                .arg(switch(&on).overrides_with(&off).help(about))
                .arg(switch(&off).overrides_with(&on).hide(true))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Toggles {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let defaults = !matches.get_flag(DISABLE_DEFAULTS);
        let collectors = collector::REGISTRY
            .iter()
            .filter(|entry| {
                let asked = matches.get_flag(&format!("collector.{}", entry.name));
                let refused = matches.get_flag(&format!("no-collector.{}", entry.name));
                asked || (defaults && entry.default_on && !refused)
            })
            .map(|entry| entry.name)
            .collect();
        Ok(Self { collectors })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    assay_model::duration::parse_ms(text)
        .map_err(|error| error.to_string())
        .and_then(|ms| u64::try_from(ms).map_err(|_| "a duration cannot be negative".to_owned()))
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Args {
        Args::try_parse_from(["exporter"].iter().chain(arguments)).unwrap()
    }

    #[test]
    fn collectors_are_turned_on_and_off() {
        let has = |arguments: &[&str], name: &str| parse(arguments).toggles.collectors.contains(name);
        assert!(has(&[], "cpu") && !has(&[], "processes"));
        assert!(has(&["--collector.processes"], "processes"));
        assert!(!has(&["--no-collector.cpu"], "cpu"));
        assert!(has(&["--no-collector.cpu", "--collector.cpu"], "cpu"), "the last one holds");
        assert!(!has(&["--collector.cpu", "--no-collector.cpu"], "cpu"));
        let only = parse(&["--collector.disable-defaults", "--collector.loadavg"]);
        assert_eq!(only.toggles.collectors.into_iter().collect::<Vec<_>>(), ["loadavg"]);
    }

    #[test]
    fn defaults_are_the_librarys() {
        let (mine, library) = (parse(&[]).options().unwrap(), Options::default());
        assert_eq!(format!("{mine:?}"), format!("{library:?}"));
    }

    #[test]
    fn bad_values_are_told() {
        let message = |arguments: &[&str]| {
            let args = parse(arguments);
            args.options().err().or_else(|| args.serve_options().err()).unwrap().to_string()
        };
        let text = message(&["--collector.netdev.device-exclude=("]);
        assert!(text.starts_with("--collector.netdev.device-exclude: regex parse error"), "{text}");
        let text = message(&["--web.telemetry-path=metrics"]);
        assert_eq!(text, "--web.telemetry-path: \"metrics\" is not a plain path such as /metrics");
        assert!(Args::try_parse_from(["exporter", "--collector.filesystem.mount-timeout=5"]).is_err());
    }
}
