//! GPU metrics, from a library that answers as NVML does. It is compiled by the test, with `cc`.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use assay_model::expo::{MetricFamily, write_text};
use exporter::{Exporter, Options, Settings};

fn fake_nvml(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fake_nvml.c");
    let library = directory.join("libnvidia-ml.so.1");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wno-stringop-truncation", "-o"])
        .args([&library, &source])
        .status()
        .expect("cc runs: a C compiler is needed to build this project");
    assert!(compiled.success());
    library
}

fn exporter(library: &Path) -> Exporter {
    Exporter::new(Options {
        collectors: ["gpu"].into(),
        own_metrics: false,
        settings: Settings::default().with("collector.gpu.nvml-library", &library.to_string_lossy()).unwrap(),
        ..Options::default()
    })
}

/// Samples with labels that matter here: `name{gpu} value`.
fn samples(families: &[MetricFamily]) -> Vec<String> {
    let mut text = String::new();
    write_text(&mut text, families);
    text.lines()
        .filter(|line| line.starts_with("DCGM") || line.starts_with("exporter_gpu"))
        .map(|line| {
            let (name, rest) = line.split_once('{').unwrap();
            let (labels, value) = rest.rsplit_once("} ").unwrap();
            let gpu = labels.split(",gpu=\"").nth(1).unwrap().split('"').next().unwrap();
            let xid = labels.split("xid=\"").nth(1).map(|l| format!(" xid={}", l.trim_end_matches('"')));
            format!("{name} {gpu}{} {value}", xid.unwrap_or_default())
        })
        .collect()
}

/// Scrapes until `enough`, because two threads read GPUs between scrapes.
fn scrape_until(exporter: &Exporter, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let start = Instant::now();
    loop {
        let samples = samples(&exporter.gather());
        if enough(&samples) {
            return samples;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "not in time: {samples:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn gpus_are_shown_under_dcgm_exporters_names() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = exporter(&fake_nvml(directory.path()));
    let is_there = |samples: &[String], start: &str| samples.iter().any(|s| s.starts_with(start));
    let shown = scrape_until(&exporter, |samples| {
        is_there(samples, "DCGM_FI_PROF_SM_ACTIVE")
            && is_there(samples, "exporter_gpu_xid_errors_total 0 xid=79")
    });
    let want = [
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS 0 2",
        "DCGM_FI_DEV_DEC_UTIL 0 4",
        "DCGM_FI_DEV_ENC_UTIL 0 3",
        "DCGM_FI_DEV_FB_FREE 0 79983",
        "DCGM_FI_DEV_FB_RESERVED 0 551",
        "DCGM_FI_DEV_FB_USED 0 1024",
        "DCGM_FI_DEV_GPU_TEMP 0 41",
        "DCGM_FI_DEV_GPU_TEMP 1 42",
        "DCGM_FI_DEV_GPU_UTIL 0 97",
        "DCGM_FI_DEV_MEMORY_TEMP 0 55",
        "DCGM_FI_DEV_MEM_CLOCK 0 2619",
        "DCGM_FI_DEV_MEM_COPY_UTIL 0 42",
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER 0 7",
        "DCGM_FI_DEV_POWER_MGMT_LIMIT 0 700",
        "DCGM_FI_DEV_POWER_USAGE 0 123.456",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE 0 0",
        "DCGM_FI_DEV_SM_CLOCK 0 1980",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION 0 9.87654321e+09",
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS 0 1",
        "DCGM_FI_DEV_XID_ERRORS 0 79",
        "DCGM_FI_DEV_XID_ERRORS 1 0",
        "DCGM_FI_PROF_DRAM_ACTIVE 0 0.1",
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE 0 0.01",
        "DCGM_FI_PROF_PCIE_RX_BYTES 0 2.2020096e+07",
        "DCGM_FI_PROF_PCIE_TX_BYTES 0 2.097152e+07",
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE 0 0.05",
        "DCGM_FI_PROF_SM_ACTIVE 0 0.02",
        "DCGM_FI_PROF_SM_OCCUPANCY 0 0.03",
        "exporter_gpu_xid_errors_total 0 xid=31 2",
        "exporter_gpu_xid_errors_total 0 xid=79 1",
    ];
    assert_eq!(shown, want);

    let mut text = String::new();
    write_text(&mut text, &exporter.gather());
    let power = text.lines().find(|line| line.starts_with("DCGM_FI_DEV_POWER_USAGE{")).unwrap();
    for label in [
        "UUID=\"GPU-0000\"",
        "DCGM_FI_DRIVER_VERSION=\"580.65.06\"",
        "Hostname=\"",
        "device=\"nvidia0\"",
        "modelName=\"NVIDIA H100 80GB HBM3\"",
        "pci_bus_id=\"00000000:1B:00.0\"",
    ] {
        assert!(power.contains(label), "{label} is not in {power}");
    }
    assert!(text.contains("err_code=\"79\",err_msg=\"GPU has fallen off the bus\""));
    assert!(text.contains("node_scrape_collector_success{collector=\"gpu\"} 0"), "one GPU is lost");
}

#[test]
fn a_host_without_nvml_has_no_gpu_metrics() {
    let exporter = exporter(Path::new("/no/such/libnvidia-ml.so.1"));
    assert_eq!(samples(&exporter.gather()), Vec::<String>::new());
}
