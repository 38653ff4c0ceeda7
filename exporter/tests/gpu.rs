//! GPU metrics, from a library that answers as NVML does. It is compiled by the test, with `cc`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p assay-exporter --test gpu` writes `tests/golden/gpu.txt` again.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/library.rs"]
mod library;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use assay_model::expo::write_text;
use exporter::{Exporter, Options, Selection, Settings};

/// The library in a folder of its own, whose files say what it does.
struct Fake {
    directory: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let fake = Self { directory: tempfile::tempdir().unwrap() };
        library::compile("fake_nvml.c", &fake.library());
        fake
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("libnvidia-ml.so.1")
    }

    fn set(&self, name: &str, text: &str) {
        // Whole at once: the library may be reading.
        let path = self.directory.path().join("new");
        fs::write(&path, text).unwrap();
        fs::rename(path, self.directory.path().join(name)).unwrap();
    }

    fn clear(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    fn exporter(&self, more: &[(&str, &str)]) -> Exporter {
        let mut settings = Settings::default();
        settings.set("collector.gpu.nvml-library", &[&self.library().to_string_lossy()]).unwrap();
        settings.set("collector.gpu.retry-interval", &["1ms"]).unwrap();
        for (name, value) in more {
            settings.set(name, &[value]).unwrap();
        }
        Exporter::new(Options {
            collectors: ["gpu"].into(),
            own_metrics: false,
            settings,
            ..Options::default()
        })
    }
}

/// The samples, without what differs between machines and runs.
fn samples(exporter: &Exporter) -> Vec<String> {
    let mut text = String::new();
    write_text(&mut text, &exporter.gather());
    let exe = std::env::current_exe().unwrap();
    let name = exe.file_name().unwrap().to_string_lossy().into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_duration_seconds"));
    lines
        .map(|line| {
            let mut line = line.replace(&name, "THIS-TEST");
            if let Some((before, after)) = line.split_once("Hostname=\"") {
                line = format!("{before}Hostname=\"HOST{}", &after[after.find('"').unwrap()..]);
            }
            line
        })
        .collect()
}

/// Scrapes until `enough`, because two threads read GPUs between scrapes.
fn scrape_until(exporter: &Exporter, what: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let start = Instant::now();
    loop {
        let samples = samples(exporter);
        if enough(&samples) {
            return samples;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{what}: {samples:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether there is a sample of that name with those parts.
fn has(samples: &[String], name: &str, parts: &[&str]) -> bool {
    samples.iter().any(|line| {
        let is_it = line.split(['{', ' ']).next() == Some(name);
        is_it && parts.iter().all(|part| line.contains(part))
    })
}

const XIDS: &str = "exporter_gpu_xid_errors_total";

#[test]
fn gpus_are_shown_under_dcgm_exporters_names() {
    let fake = Fake::new();
    let exporter = fake.exporter(&[]);
    let shown = scrape_until(&exporter, "all values", |samples| {
        has(samples, "DCGM_FI_PROF_SM_ACTIVE", &["gpu=\"0\""])
            && has(samples, "DCGM_FI_PROF_SM_ACTIVE", &["GPU_I_ID=\"2\""])
            && has(samples, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", &["gpu=\"0\""])
            && has(samples, XIDS, &["gpu=\"0\"", "xid=\"79\"", "} 1"])
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gpu.txt");
    let shown = shown.join("\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &shown).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    for (want, got) in golden.lines().zip(shown.lines()) {
        assert_eq!(want, got);
    }
    assert_eq!(golden.lines().count(), shown.lines().count());
}

#[test]
fn a_gpu_that_is_lost_hides_no_other_and_comes_back() {
    let fake = Fake::new();
    let exporter = fake.exporter(&[]);
    scrape_until(&exporter, "the first errors", |samples| {
        has(samples, XIDS, &["gpu=\"0\"", "xid=\"79\"", "} 1"])
    });
    fake.set("lost", "");
    let shown = scrape_until(&exporter, "a lost GPU", |samples| {
        !has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"0\""])
    });
    assert!(has(&shown, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"2\"", "} 43"]));
    assert!(has(&shown, "node_scrape_collector_success", &["} 0"]));
    // Errors of the others are counted on.
    fake.set("xid", "1 94");
    scrape_until(&exporter, "an error of another", |samples| {
        has(samples, XIDS, &["gpu=\"1\"", "xid=\"94\"", "} 1"])
    });
    fake.clear("lost");
    let shown = scrape_until(&exporter, "the GPU again", |samples| {
        has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"0\""])
    });
    assert!(has(&shown, XIDS, &["gpu=\"0\"", "xid=\"31\"", "} 2"]), "counts stay: {shown:#?}");
    fake.set("one", "");
    scrape_until(&exporter, "one GPU", |samples| !has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"1\""]));
    // A code that is in no list has a text too.
    fake.set("xid", "0 777");
    scrape_until(&exporter, "an unlisted error", |samples| {
        has(
            samples,
            "DCGM_FI_DEV_XID_ERRORS",
            &["gpu=\"0\"", "err_code=\"777\"", "err_msg=\"Unknown Error\""],
        )
    });
}

#[test]
fn nvml_that_hangs_holds_up_nothing() {
    let fake = Fake::new();
    let exporter = fake.exporter(&[]);
    scrape_until(&exporter, "values", |samples| has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"0\""]));
    fake.set("hang", "");
    // That it has one thread is tested in `hung.rs`, in a process that no other test shares.
    for _ in 0..100 {
        let soon = Instant::now() + Duration::from_millis(1);
        let mut text = String::new();
        write_text(&mut text, &exporter.gather_selected(&Selection::All, Some(soon)));
        assert!(text.contains("node_scrape_collector_success{collector=\"gpu\"} 0"), "{text}");
    }
    fake.clear("hang");
    scrape_until(&exporter, "values again", |samples| has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"0\""]));
}

#[test]
fn a_driver_may_come_late_go_and_come_back() {
    let fake = Fake::new();
    fs::rename(fake.library(), fake.directory.path().join("later")).unwrap();
    let exporter = fake.exporter(&[]);
    assert!(!has(&samples(&exporter), "DCGM_FI_DEV_GPU_TEMP", &[]));
    fs::rename(fake.directory.path().join("later"), fake.library()).unwrap();
    scrape_until(&exporter, "a late driver", |samples| has(samples, "DCGM_FI_DEV_GPU_TEMP", &[]));
    fake.set("gone", "");
    let gone = scrape_until(&exporter, "no driver", |samples| !has(samples, "DCGM_FI_DEV_GPU_TEMP", &[]));
    assert!(has(&gone, "node_scrape_collector_success", &["} 0"]));
    fake.clear("gone");
    scrape_until(&exporter, "the driver again", |samples| {
        has(samples, "DCGM_FI_DEV_GPU_TEMP", &["gpu=\"2\""])
    });
}

#[test]
fn a_file_says_which_fields_are_shown() {
    let fake = Fake::new();
    let path = fake.directory.path().join("fields.csv");
    fs::write(
        &path,
        "# ours\nDCGM_FI_DEV_GPU_TEMP, gauge, Heat.\nDCGM_FI_DEV_SERIAL, label, Serial.\nDCGM_FI_DEV_SLOWDOWN_TEMP, gauge, x\n",
    )
    .unwrap();
    let exporter = fake.exporter(&[
        ("collector.gpu.fields-file", path.to_str().unwrap()),
        ("collector.gpu.hostname-label", "hostname"),
    ]);
    let shown = scrape_until(&exporter, "values", |samples| has(samples, "DCGM_FI_DEV_GPU_TEMP", &[]));
    assert!(has(&shown, "DCGM_FI_DEV_GPU_TEMP", &["DCGM_FI_DEV_SERIAL=\"165\"", "hostname=\"", "} 41"]));
    assert!(has(&shown, "DCGM_FI_DEV_SLOWDOWN_TEMP", &["} 90"]));
    assert!(!shown.iter().any(|line| line.starts_with("DCGM_FI_DEV_POWER_USAGE")));
}

#[test]
fn a_host_without_nvml_has_no_gpu_metrics() {
    let fake = Fake::new();
    fs::remove_file(fake.library()).unwrap();
    assert!(!samples(&fake.exporter(&[])).iter().any(|line| line.starts_with("DCGM")));
}

/// Three jobs, a format each: the same series with the same values, and counters that are counters.
#[test]
fn prometheus_reads_the_same_in_all_formats() {
    if assay_testkit::peer("prometheus").is_none() {
        return;
    }
    let fake = Fake::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--collector.disable-defaults", "--collector.gpu"]);
    command.args(["--collector.filefd", "--collector.uname", "--web.disable-exporter-metrics"]);
    command.arg(format!("--collector.gpu.nvml-library={}", fake.library().display()));
    let exporter = assay_testkit::Program::listening(&mut command, "listening");
    let jobs = [
        ("text", "PrometheusText0.0.4"),
        ("openmetrics", "OpenMetricsText1.0.0"),
        ("protobuf", "PrometheusProto"),
    ];
    let config: Vec<String> = jobs
        .iter()
        .map(|(job, protocol)| {
            format!(
                "{{job_name: {job}, scrape_interval: 200ms, scrape_protocols: [{protocol}], \
                 static_configs: [{{targets: ['{}']}}]}}",
                exporter.address
            )
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let config = format!("scrape_configs: [{}]", config.join(", "));
    let server = assay_testkit::Prometheus::start(&directory.path().join("data"), &config, &[]).unwrap();
    let query = |query: &str| server.query(query, None)["data"]["result"].as_array().unwrap().clone();
    let energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION";
    let of_nvml = "{__name__=~\"DCGM_FI_DEV_.*|exporter_gpu_process.*|node_uname_info|node_filefd_maximum\"}";
    server.wait("scrapes of all jobs", |_| {
        let settled = query(&format!("{XIDS}{{xid=\"79\",gpu=\"0\"}} == 1"));
        settled.len() == 3 && query(&format!("count_over_time({energy}[1m]) > 3")).len() == 3
    });
    let series = |job: &str| {
        let found = query(&of_nvml.replace('}', &format!(",job=\"{job}\"}}")));
        let mut lines: Vec<String> = found
            .iter()
            .map(|series| {
                let mut labels = series["metric"].clone();
                labels.as_object_mut().unwrap().remove("job");
                format!("{labels} {}", series["value"][1])
            })
            .collect();
        lines.sort();
        lines
    };
    let text = series("text");
    assert!(text.len() > 60, "{text:#?}");
    assert_eq!(text, series("openmetrics"));
    assert_eq!(text, series("protobuf"));
    let metadata = server.get(&format!("/api/v1/targets/metadata?metric={energy}")).unwrap().json();
    let types: Vec<_> =
        metadata["data"].as_array().unwrap().iter().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["counter"; 3], "{metadata}");
}

/// A second signal is not needed, and neither is a library that answers or a client that reads.
#[test]
fn the_program_ends_whatever_hangs() {
    let fake = Fake::new();
    fake.set("hang", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--collector.disable-defaults", "--collector.gpu"]);
    command.arg(format!("--collector.gpu.nvml-library={}", fake.library().display()));
    let mut exporter = assay_testkit::Program::listening(&mut command, "listening");
    // One that is being answered and does not read, and one that asks for nothing.
    let mut reader = std::net::TcpStream::connect(&exporter.address).unwrap();
    std::io::Write::write_all(&mut reader, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _idle = std::net::TcpStream::connect(&exporter.address).unwrap();
    let task = format!("/proc/{}/task", exporter.id());
    assay_testkit::wait_for("NVML to be asked", || {
        fs::read_dir(&task).unwrap().any(|t| {
            fs::read_to_string(t.unwrap().path().join("comm")).is_ok_and(|comm| comm.trim() == "gpu")
        })
    });
    assert_eq!(exporter.terminate().code(), Some(0));
    fake.clear("hang");
}
