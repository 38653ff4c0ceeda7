//! `DCGM_FI_PROF_*`: how busy the parts of a GPU are, through NVML's GPM (Hopper and later).
//!
//! Invariant: a value is the mean between two samples a second apart, taken by a thread of its own, so that a
//! scrape waits for nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nvml_wrapper::{Device, GpmSample, Nvml, enums::gpm::GpmMetricId, gpm::gpm_metrics_get};

use crate::Families;

const INTERVAL: Duration = Duration::from_secs(1);

/// GPM's percentages are shown as ratios, its MiB/s as bytes per second.
const PERCENT: f64 = 0.01;
const MIB: f64 = 1_048_576.0;

#[rustfmt::skip]
const METRICS: [(GpmMetricId, &str, f64, &str); 9] = [
    (GpmMetricId::GraphicsUtil, "GR_ENGINE_ACTIVE", PERCENT, "Time in which the graphics engine was busy."),
    (GpmMetricId::SmUtil, "SM_ACTIVE", PERCENT, "Time in which an SM had a warp, averaged over SMs."),
    (GpmMetricId::SmOccupancy, "SM_OCCUPANCY", PERCENT, "Warps on an SM, of those it can have."),
    (GpmMetricId::AnyTensorUtil, "PIPE_TENSOR_ACTIVE", PERCENT, "Time in which the tensor cores were busy."),
    (GpmMetricId::DramBwUtil, "DRAM_ACTIVE", PERCENT, "Time in which device memory sent or received."),
    (GpmMetricId::PcieTxPerSec, "PCIE_TX_BYTES", MIB, "Bytes per second sent over PCIe."),
    (GpmMetricId::PcieRxPerSec, "PCIE_RX_BYTES", MIB, "Bytes per second received over PCIe."),
    (GpmMetricId::NvlinkTotalTxPerSec, "NVLINK_TX_BYTES", MIB, "Bytes per second sent over NVLink."),
    (GpmMetricId::NvlinkTotalRxPerSec, "NVLINK_RX_BYTES", MIB, "Bytes per second received over NVLink."),
];

/// By GPU, a value for each of [`METRICS`] that it has.
type Values = Arc<Mutex<BTreeMap<u32, [Option<f64>; METRICS.len()]>>>;

/// The newest means.
pub(super) struct Profiler {
    values: Values,
}

impl Profiler {
    /// Samples the GPUs that can be, in a thread of its own; where there is none, there is no thread.
    pub(super) fn start(nvml: &'static Nvml) -> Self {
        let values = Values::default();
        let devices: Vec<(u32, Device<'static>)> = (0..nvml.device_count().unwrap_or(0))
            .filter_map(|index| Some((index, nvml.device_by_index(index).ok()?)))
            .filter(|(_, device)| device.gpm_support().unwrap_or(false))
            .collect();
        if !devices.is_empty() {
            let shared = Arc::clone(&values);
            let started =
                thread::Builder::new().name("nvml-gpm".into()).spawn(move || run(nvml, &devices, &shared));
            if let Err(cause) = started {
                tracing::warn!("no thread for GPU profiling: {cause}");
            }
        }
        Self { values }
    }

    pub(super) fn show(&self, index: u32, labels: &[(&str, &str)], out: &mut Families) {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(values) = values.get(&index) else { return };
        for ((_, name, _, help), value) in METRICS.iter().zip(values) {
            if let Some(value) = value {
                out.gauge(&format!("DCGM_FI_PROF_{name}"), help, labels, *value);
            }
        }
    }
}

fn run(nvml: &'static Nvml, devices: &[(u32, Device<'static>)], values: &Values) {
    let mut before: BTreeMap<u32, GpmSample<'static>> = BTreeMap::new();
    loop {
        for (index, device) in devices {
            let now = device.gpm_sample();
            let means = match (before.remove(index), &now) {
                (Some(before), Ok(now)) => means(nvml, &before, now),
                _ => None,
            };
            let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
            // What cannot be sampled any more is no longer shown.
            match means {
                Some(means) => values.insert(*index, means),
                None => values.remove(index),
            };
            drop(values);
            before.extend(now.ok().map(|now| (*index, now)));
        }
        thread::sleep(INTERVAL);
    }
}

fn means(
    nvml: &'static Nvml,
    before: &GpmSample<'static>,
    now: &GpmSample<'static>,
) -> Option<[Option<f64>; METRICS.len()]> {
    let ids = METRICS.map(|(id, ..)| id);
    let results = gpm_metrics_get(nvml, before, now, &ids).ok()?;
    let mut means = [None; METRICS.len()];
    for ((mean, (_, _, factor, _)), result) in means.iter_mut().zip(METRICS).zip(results) {
        *mean = result.ok().map(|result| result.value * factor).filter(|value| value.is_finite());
    }
    Some(means)
}
