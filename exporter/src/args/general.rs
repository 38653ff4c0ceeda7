//! The table of the switches that belong to no collector.

use exporter::{Flag, Kind};

/// The exporter's own switches: node_exporter's, then ours.
pub(super) const GENERAL: &[Flag] = &[
    Flag::new(
        "web.listen-address",
        Kind::List(&[":9100"]),
        "Address to listen on; :9100 is every address of this host; may be repeated",
    ),
    Flag::new("web.telemetry-path", Kind::Text("/metrics"), "Path of the metrics"),
    Flag::new("web.max-requests", Kind::Number(40), "Scrapes that may run at once; 0 for any number"),
    Flag::new(
        "web.config.file",
        Kind::Text(""),
        "TLS, users, headers and rate limit, in the format of Prometheus' exporters; reloaded when it changes",
    ),
    Flag::new(
        "web.disable-exporter-metrics",
        Kind::Switch(false),
        "Leave out the exporter's own metrics (process_*, promhttp_*, exporter_*)",
    ),
    Flag::new(
        "web.systemd-socket",
        Kind::Switch(false),
        "Listen on the sockets that systemd hands over (Linux only)",
    ),
    Flag::new("path.procfs", Kind::Text("/proc"), "Where /proc is"),
    Flag::new("path.sysfs", Kind::Text("/sys"), "Where /sys is"),
    Flag::new("path.rootfs", Kind::Text("/"), "Where the host's root is"),
    Flag::new("path.udev.data", Kind::Text("/run/udev/data"), "Where udev keeps what it knows of the disks"),
    Flag::new(
        "log.level",
        Kind::Text("info"),
        "Only messages of this severity or higher: debug, info, warn, error",
    ),
    Flag::new("log.format", Kind::Text("logfmt"), "How messages are written on standard error: logfmt, json"),
    Flag::new(super::DISABLE_DEFAULTS, Kind::Switch(false), "Run only the collectors that are asked for"),
    Flag::new("runtime.gomaxprocs", Kind::Number(1), "Accepted; there is no Go runtime here"),
    Flag::new(
        "push",
        Kind::Text(""),
        "Also send the metrics to this URL by Prometheus remote write, as in http://prometheus:9090/api/v1/write",
    ),
    Flag::new("push.interval", Kind::Duration("15s"), "How often to send"),
    Flag::new(
        "push.label",
        Kind::List(&[]),
        "A label of all samples that are sent, as in zone=eu; job and instance have defaults; may be repeated",
    ),
];

/// Pairs of `-include` and `-exclude` of which one may be given. Elsewhere both apply.
pub(super) const EXCLUSIVE: [&str; 4] = [
    "collector.diskstats.device",
    "collector.filesystem.fs-types",
    "collector.filesystem.mount-points",
    "collector.netdev.device",
];

/// Switches whose text is one of a few.
pub(super) const CHOICES: [(&str, &[&str]); 2] =
    [("log.level", &["debug", "info", "warn", "error"]), ("log.format", &["logfmt", "json"])];

/// Switches of node_exporter's for collectors that are absent here. They are accepted and change nothing.
pub(super) const IGNORED: &[Flag] = &[
    Flag::new("collector.ntp.server", Kind::Text("127.0.0.1"), ""),
    Flag::new("collector.ntp.server-port", Kind::Number(123), ""),
    Flag::new("collector.ntp.protocol-version", Kind::Number(4), ""),
    Flag::new("collector.ntp.server-is-local", Kind::Switch(false), ""),
    Flag::new("collector.ntp.ip-ttl", Kind::Number(1), ""),
    Flag::new("collector.ntp.max-distance", Kind::Duration("3.46608s"), ""),
    Flag::new("collector.ntp.local-offset-tolerance", Kind::Duration("1ms"), ""),
    Flag::new("collector.pcidevice.idsfile", Kind::Text(""), ""),
    Flag::new("collector.pcidevice.names", Kind::Switch(false), ""),
    Flag::new("collector.perf.cpus", Kind::Text(""), ""),
    Flag::new("collector.perf.tracepoint", Kind::List(&[]), ""),
    Flag::new("collector.perf.disable-hardware-profilers", Kind::Switch(false), ""),
    Flag::new("collector.perf.hardware-profilers", Kind::List(&[]), ""),
    Flag::new("collector.perf.disable-software-profilers", Kind::Switch(false), ""),
    Flag::new("collector.perf.software-profilers", Kind::List(&[]), ""),
    Flag::new("collector.perf.disable-cache-profilers", Kind::Switch(false), ""),
    Flag::new("collector.perf.cache-profilers", Kind::List(&[]), ""),
    Flag::new("collector.qdisc.fixtures", Kind::Text(""), ""),
    Flag::new("collector.qdisc.device-include", Kind::Pattern(""), ""),
    Flag::new("collector.qdisc.device-exclude", Kind::Pattern(""), ""),
    Flag::new("collector.qdisk.device-include", Kind::Pattern(""), ""),
    Flag::new("collector.qdisk.device-exclude", Kind::Pattern(""), ""),
    Flag::new("collector.runit.servicedir", Kind::Text("/etc/service"), ""),
    Flag::new("collector.supervisord.url", Kind::Text("http://localhost:9001/RPC2"), ""),
    Flag::new("collector.wifi.fixtures", Kind::Text(""), ""),
];

/// What does not belong to a switch.
pub(super) const AFTER_HELP: &str = "Every switch of node_exporter 1.11 is accepted. Collectors of it that are absent \
    here are listed in docs/exporter.md; turning one of them off is accepted, turning it on is an error.\n\
    DCGM_FI_PROF_* metrics need a GPU of the Hopper generation or later, because NVML offers them (GPM) there only.\n\
    An argument @FILE is replaced by the lines of the file.";
