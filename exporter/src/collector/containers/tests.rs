use std::fs;

use assay_model::expo::write_text;

use super::{
    identity::{container_id, pod_uid},
    *,
};
use crate::Paths;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn shown(root: &Path) -> String {
    let paths = Paths {
        sysfs: root.join("sys"),
        procfs: root.join("proc"),
        rootfs: root.join("root"),
        ..Paths::default()
    };
    let mut out = Families::new();
    Containers::new(&Settings::default()).collect(&Host::new(paths, None), &mut out).unwrap();
    let (families, conflicts) = out.finish_with_conflicts();
    assert!(conflicts.is_empty(), "{conflicts:?}");
    let mut text = String::new();
    write_text(&mut text, &families);
    text
}

fn has(text: &str, name: &str, labels: &[&str], value: &str) {
    let is_it = |line: &&str| {
        line.starts_with(&format!("container_{name}{{"))
            && labels.iter().all(|label| line.contains(label))
            && line.ends_with(&format!("}} {value}"))
    };
    assert!(text.lines().any(|line| is_it(&line)), "{name} {labels:?} {value} is not in\n{text}");
}

#[test]
fn version_2_is_shown_under_cadvisors_names() {
    let root = tempfile::tempdir().unwrap();
    let pod = "sys/fs/cgroup/kubepods.slice/kubepods-pod11112222_3333_4444_5555_666677778888.slice";
    let group = format!("{pod}/cri-containerd-{ID}.scope");
    let file = |name: &str, text: &str| write(root.path(), &format!("{group}/{name}"), text);
    write(root.path(), "sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    for parent in ["sys/fs/cgroup/kubepods.slice", pod] {
        write(root.path(), &format!("{parent}/cgroup.procs"), "");
    }
    file("cgroup.procs", "42\n43\n");
    file(
        "cpu.stat",
        "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n",
    );
    file("cpu.max", "50000 100000\n");
    file("cpu.weight", "100\n");
    file("memory.current", "1000\n");
    file("memory.stat", "anon 400\nfile 600\ninactive_file 250\nactive_file 350\npgfault 9\npgmajfault 1\n");
    file("memory.max", "4096\n");
    file("memory.swap.current", "12\n");
    file("memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 5\n");
    file("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n");
    file("cpu.pressure", "some avg10=0.00 total=1500000\nfull avg10=0.00 total=0\n");
    file("pids.current", "7\n");
    file("pids.max", "max\n");
    write(root.path(), "sys/dev/block/8:0/uevent", "MAJOR=8\nMINOR=0\nDEVNAME=sda\n");
    let config = format!("root/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    write(
        root.path(),
        &config,
        r#"{"annotations": {"io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": "web", "io.kubernetes.cri.sandbox-name": "web-0",
        "io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.image-name": "nginx:1"}}"#,
    );
    let text = shown(root.path());
    let who = ["container=\"web\"", "pod=\"web-0\"", "namespace=\"shop\"", "image=\"nginx:1\""];
    has(&text, "cpu_usage_seconds_total", &[&who[..], &["cpu=\"total\""]].concat(), "3");
    has(&text, "cpu_cfs_throttled_periods_total", &who, "4");
    has(&text, "cpu_cfs_throttled_seconds_total", &who, "0.5");
    has(&text, "spec_cpu_quota", &who, "50000");
    has(&text, "spec_cpu_shares", &who, "2597");
    has(&text, "memory_working_set_bytes", &who, "750");
    has(&text, "memory_rss", &who, "400");
    has(&text, "memory_swap", &who, "12");
    has(&text, "spec_memory_limit_bytes", &who, "4096");
    has(&text, "oom_events_total", &who, "5");
    has(&text, "fs_writes_bytes_total", &["device=\"/dev/sda\""], "20");
    has(&text, "pressure_cpu_waiting_seconds_total", &who, "1.5");
    has(&text, "threads_max", &who, "0");
    has(&text, "processes", &who, "2");
    has(&text, "memory_failures_total", &["failure_type=\"pgmajfault\"", "scope=\"container\""], "1");
}

#[test]
fn version_1_is_shown_under_the_same_names() {
    let root = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let (controller, name) = path.split_once('/').unwrap();
        write(root.path(), &format!("sys/fs/cgroup/{controller}/docker/{ID}/{name}"), text);
    };
    write(root.path(), "sys/fs/cgroup/memory/docker/cgroup.procs", "");
    file("memory/cgroup.procs", "42\n");
    file("memory/memory.usage_in_bytes", "1000\n");
    file(
        "memory/memory.stat",
        "cache 1\ntotal_rss 300\ntotal_cache 500\ntotal_inactive_file 100\ntotal_swap 8\n",
    );
    file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    file("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    file("cpuacct/cpuacct.usage", "2500000000\n");
    file("cpuacct/cpuacct.stat", "user 150\nsystem 100\n");
    file("cpu/cpu.cfs_quota_us", "20000\n");
    file("cpu/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 1500000000\n");
    file("blkio/blkio.throttle.io_service_bytes", "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\n");
    write(
        root.path(),
        &format!("root/var/lib/docker/containers/{ID}/config.v2.json"),
        r#"{"Name": "/db", "Config": {"Image": "postgres:17"}}"#,
    );
    write(
        root.path(),
        "proc/42/net/dev",
        "a\nb\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n  lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n",
    );
    let text = shown(root.path());
    let who = ["name=\"db\"", "image=\"postgres:17\""];
    has(&text, "cpu_usage_seconds_total", &who, "2.5");
    has(&text, "cpu_user_seconds_total", &who, "1.5");
    has(&text, "cpu_cfs_throttled_seconds_total", &who, "1.5");
    has(&text, "memory_working_set_bytes", &who, "900");
    has(&text, "memory_swap", &who, "8");
    has(&text, "spec_memory_limit_bytes", &who, "0");
    has(&text, "oom_events_total", &who, "2");
    has(&text, "fs_reads_bytes_total", &["device=\"8:0\""], "4096");
    has(&text, "network_transmit_bytes_total", &["interface=\"eth0\""], "5");
    assert!(!text.contains("interface=\"lo\""));
}

#[test]
fn paths_tell_containers_and_pods() {
    let check =
        |path: &str, want: bool| assert_eq!(container_id(&path.replace("ID", ID)).is_some(), want, "{path}");
    check("/system.slice/docker-ID.scope", true);
    check("/kubepods/besteffort/pod1/ID", true);
    check("/x/slice:cri-containerd:ID", true);
    check("/user.slice/libpod-ID.scope/container", true);
    check("/machine.slice/libpod-conmon-ID.scope", false);
    check("/kubepods.slice/crio-conmon-ID.scope", false);
    check("/kubepods.slice/crio-ID", false);
    check("/system.slice/ssh.service", false);
    check("/system.slice/var-lib-docker-ID.mount", false);
    let uid = "11112222-3333-4444-5555-666677778888";
    assert_eq!(pod_uid(&format!("/kubepods/burstable/pod{uid}/x")).as_deref(), Some(uid));
    let slice = format!("/kubepods.slice/kubepods-burstable-pod{}.slice", uid.replace('-', "_"));
    assert_eq!(pod_uid(&slice).as_deref(), Some(uid));
    assert_eq!(pod_uid("/system.slice/podman.service"), None);
}
