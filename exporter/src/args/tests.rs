use super::*;

fn parse(arguments: &[&str]) -> Result<Args, String> {
    let matches = command()
        .try_get_matches_from(["exporter"].iter().chain(arguments))
        .map_err(|error| error.to_string())?;
    Args::from_matches(&matches).map_err(|error| error.to_string())
}

#[test]
fn collectors_are_turned_on_and_off() {
    let has = |arguments: &[&str], name: &str| parse(arguments).unwrap().options.collectors.contains(name);
    assert!(has(&[], "cpu") && !has(&[], "processes"));
    assert!(has(&["--collector.processes"], "processes"));
    assert!(!has(&["--no-collector.cpu"], "cpu"));
    assert!(has(&["--no-collector.cpu", "--collector.cpu"], "cpu"), "the last one holds");
    assert!(!has(&["--collector.cpu", "--no-collector.cpu"], "cpu"));
    let only = parse(&["--collector.disable-defaults", "--collector.loadavg"]).unwrap();
    assert_eq!(only.options.collectors.into_iter().collect::<Vec<_>>(), ["loadavg"]);
}

#[test]
fn defaults_are_the_librarys() {
    let (mine, library) = (parse(&[]).unwrap().options, Options::default());
    assert_eq!(format!("{mine:?}"), format!("{library:?}"));
}

#[test]
fn what_is_wrong_is_reported_all_at_once() {
    let message = parse(&[
        "--collector.netdev.device-exclude=(",
        "--web.telemetry-path=metrics",
        "--collector.filesystem.mount-timeout=5",
        "--log.level=loud",
        "--collector.perf",
    ])
    .unwrap_err();
    for start in [
        "--collector.netdev.device-exclude: regex parse error",
        "--web.telemetry-path: \"metrics\" is not a plain path such as /metrics",
        "--collector.filesystem.mount-timeout: ",
        "--log.level: \"loud\" is none of debug, info, warn, error",
        "this exporter has no collector \"perf\"",
    ] {
        assert!(message.lines().any(|line| line.starts_with(start)), "{start} is not in\n{message}");
    }
    for refused in [
        &["extra"][..],
        &["--collector.bogus"],
        &["--collector.cpu.guest=true"],
        &["--path.procfs=/proc", "--path.procfs=/proc"],
        &["--collector.diskstats.device-include=a", "--collector.diskstats.device-exclude=b"],
        &["--collector.diskstats.ignored-devices=a", "--collector.diskstats.device-exclude=b"],
        &["--collector.netdev.device-include=a", "--collector.netdev.device-exclude=b"],
    ] {
        assert!(parse(refused).is_err(), "{refused:?}");
    }
}

#[test]
fn includes_replace_default_excludes_and_aliases_set_their_switch() {
    let disks = |arguments: &[&str], name: &str| {
        parse(arguments).unwrap().options.settings.filter("collector.diskstats.device").allows(name)
    };
    assert!(!disks(&[], "loop0"));
    assert!(disks(&["--collector.diskstats.device-include=loop"], "loop0"));
    assert!(disks(
        &["--collector.diskstats.device-include=", "--collector.diskstats.device-exclude="],
        "loop0"
    ));
    assert!(!disks(&["--collector.diskstats.ignored-devices=sda"], "sda"));
    assert!(disks(&["--collector.diskstats.ignored-devices=sda"], "loop0"));
}

/// What kube-prometheus and the Helm chart put into their DaemonSets.
#[test]
fn deployments_start_unchanged() {
    let mounts = "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/k3s/containerd/.+|var/lib/docker/.+|\
                  var/lib/kubelet/pods/.+)($|/)";
    let kube_prometheus = parse(&[
        "--web.listen-address=127.0.0.1:9101",
        "--path.sysfs=/host/sys",
        "--path.rootfs=/host/root",
        "--path.procfs=/host/root/proc",
        "--path.udev.data=/host/root/run/udev/data",
        "--no-collector.wifi",
        "--no-collector.hwmon",
        "--no-collector.btrfs",
        mounts,
        "--collector.netclass.ignored-devices=^(veth.*|[a-f0-9]{15})$",
        "--collector.netdev.device-exclude=^(veth.*|[a-f0-9]{15})$",
    ])
    .unwrap();
    assert!(!kube_prometheus.options.collectors.contains("hwmon"));
    let helm = parse(&[
        "--path.procfs=/host/proc",
        "--path.sysfs=/host/sys",
        "--path.rootfs=/host/root",
        "--path.udev.data=/host/root/run/udev/data",
        "--web.listen-address=[0.0.0.0]:9100",
        mounts,
        "--collector.textfile.directory=",
    ])
    .unwrap();
    assert_eq!(helm.listen_addresses, ["[0.0.0.0]:9100"]);
}

#[test]
fn an_argument_may_name_a_file_of_arguments() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("args");
    std::fs::write(&file, "--no-collector.cpu\n--path.procfs=/p\n").unwrap();
    let expanded = expand_files(["exporter".into(), format!("@{}", file.display()).into()]).unwrap();
    assert_eq!(expanded, ["exporter", "--no-collector.cpu", "--path.procfs=/p"]);
    assert!(expand_files(["@/no/such/file".into()]).is_err());
}

#[test]
fn the_parser_is_consistent() {
    command().debug_assert();
}
