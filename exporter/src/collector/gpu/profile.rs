//! `DCGM_FI_PROF_*`: how busy the parts of a GPU are, through NVML's GPM (Hopper and later).
//!
//! Invariant: a value is the mean between two samples a second apart, taken by a thread of its own, so that a
//! scrape waits for nothing. GPUs and MIG instances that come and go are seen at the next sample.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nvml_wrapper::{GpmSample, Nvml, enums::gpm::GpmMetricId, gpm::gpm_metrics_get};

use super::{Stop, raw::Raw};

const INTERVAL: Duration = Duration::from_secs(1);

/// GPM's percentages are shown as ratios, its MiB/s as bytes per second.
const PERCENT: f64 = 0.01;
const MIB: f64 = 1_048_576.0;

/// GPM's metrics, with the factor to the unit shown. Fields refer to them by their places.
const METRICS: [(GpmMetricId, f64); 12] = [
    (GpmMetricId::GraphicsUtil, PERCENT),
    (GpmMetricId::SmUtil, PERCENT),
    (GpmMetricId::SmOccupancy, PERCENT),
    (GpmMetricId::AnyTensorUtil, PERCENT),
    (GpmMetricId::DramBwUtil, PERCENT),
    (GpmMetricId::PcieTxPerSec, MIB),
    (GpmMetricId::PcieRxPerSec, MIB),
    (GpmMetricId::NvlinkTotalTxPerSec, MIB),
    (GpmMetricId::NvlinkTotalRxPerSec, MIB),
    (GpmMetricId::Fp64Util, PERCENT),
    (GpmMetricId::Fp32Util, PERCENT),
    (GpmMetricId::Fp16Util, PERCENT),
];

/// A GPU's number, and the GPU instance where it is a MIG device.
pub(super) type Place = (u32, Option<u32>);

/// A value for each of [`METRICS`] that there is.
type Means = [Option<f64>; METRICS.len()];

/// The newest means.
#[derive(Clone, Default)]
pub(super) struct Profiler {
    values: Arc<Mutex<BTreeMap<Place, Means>>>,
}

impl Profiler {
    /// Samples the GPUs that can be, in a thread of its own.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(nvml: Arc<Nvml>, raw: Option<Arc<Raw>>, stop: Arc<Stop>) -> io::Result<Self> {
        let profiler = Self::default();
        let mine = profiler.clone();
        let run = move || mine.run(&nvml, raw.as_deref(), &stop);
        thread::Builder::new().name("nvml-gpm".into()).spawn(run)?;
        Ok(profiler)
    }

    pub(super) fn value(&self, place: Place, at: usize) -> Option<f64> {
        *self.values.lock().unwrap_or_else(PoisonError::into_inner).get(&place)?.get(at)?
    }

    fn run(&self, nvml: &Nvml, raw: Option<&Raw>, stop: &Stop) {
        let mut before: BTreeMap<Place, GpmSample<'_>> = BTreeMap::new();
        loop {
            let now = samples(nvml, raw);
            if now.is_empty() && before.is_empty() {
                // Before Hopper there is nothing to sample; a newer GPU may come.
                if stop.wait(INTERVAL * 30) {
                    return;
                }
                continue;
            }
            let means = now
                .iter()
                .filter_map(|(place, sample)| Some((*place, means(nvml, before.get(place)?, sample)?)))
                .collect();
            // What cannot be sampled any more is no longer shown.
            *self.values.lock().unwrap_or_else(PoisonError::into_inner) = means;
            before = now;
            if stop.wait(INTERVAL) {
                return;
            }
        }
    }
}

/// A sample of each GPU, or of its instances, that can be sampled.
fn samples<'n>(nvml: &'n Nvml, raw: Option<&Raw>) -> BTreeMap<Place, GpmSample<'n>> {
    let mut all = BTreeMap::new();
    for index in 0..nvml.device_count().unwrap_or(0) {
        let Ok(device) = nvml.device_by_index(index) else { continue };
        if !device.gpm_support().unwrap_or(false) {
            continue;
        }
        let instances = super::instances(&device, raw);
        if instances.is_empty() {
            all.extend(device.gpm_sample().ok().map(|sample| ((index, None), sample)));
        }
        for (instance, _) in instances {
            let sample = device.gpm_mig_sample(instance).ok();
            all.extend(sample.map(|sample| ((index, Some(instance)), sample)));
        }
    }
    all
}

fn means<'n>(nvml: &'n Nvml, before: &GpmSample<'n>, now: &GpmSample<'n>) -> Option<Means> {
    let results = gpm_metrics_get(nvml, before, now, &METRICS.map(|(id, _)| id)).ok()?;
    let mut means = [None; METRICS.len()];
    for ((mean, (_, factor)), result) in means.iter_mut().zip(METRICS).zip(results) {
        *mean = result.ok().map(|result| result.value * factor).filter(|value| value.is_finite());
    }
    Some(means)
}
