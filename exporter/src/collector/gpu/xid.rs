//! XID errors, which the driver reports once, when they happen.
//!
//! Invariant: an error reported between two scrapes is counted, counts never fall, and a GPU that is lost does not end
//! the counting on others. The codes that people alert on are on record at zero.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nvml_wrapper::{EventSet, Nvml, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError};

use super::Stop;
use crate::Families;

/// How long the thread waits for an event at a time; then it looks whether GPUs came or went.
const WAIT_MS: u32 = 2_000;

/// How long it waits after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// The errors of all GPUs, by UUID.
#[derive(Clone, Default)]
pub(super) struct XidErrors {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

#[derive(Default)]
struct Seen {
    last: u64,
    counts: BTreeMap<u64, u64>,
}

/// What the commonest errors mean (NVIDIA, "XID Errors"). These are counted from zero.
const MEANINGS: [(u64, &str); 20] = [
    (13, "Graphics Engine Exception"),
    (31, "GPU memory page fault"),
    (32, "Invalid or corrupted push buffer stream"),
    (38, "Driver firmware error"),
    (43, "GPU stopped processing"),
    (45, "Preemptive cleanup, due to previous errors"),
    (48, "Double Bit ECC Error"),
    (61, "Internal micro-controller breakpoint/warning"),
    (62, "Internal micro-controller halt"),
    (63, "Row remapping recording event"),
    (64, "Row remapping failure"),
    (69, "Graphics engine class error"),
    (74, "NVLINK Error"),
    (79, "GPU has fallen off the bus"),
    (92, "High single-bit ECC error rate"),
    (94, "Contained ECC error"),
    (95, "Uncontained ECC error"),
    (119, "GSP RPC timeout"),
    (120, "GSP error"),
    (140, "Unrecovered ECC error"),
];

impl XidErrors {
    /// Counts from now on, in a thread of its own.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn watch(&self, nvml: Arc<Nvml>, stop: Arc<Stop>) -> io::Result<()> {
        let errors = self.clone();
        let run = move || errors.run(&nvml, &stop);
        thread::Builder::new().name("nvml-events".into()).spawn(run).map(|_| ())
    }

    fn run(&self, nvml: &Nvml, stop: &Stop) {
        let mut is_reported = false;
        while !stop.is_set() {
            let gpus = gpus(nvml);
            match register(nvml, &gpus) {
                Ok(Some(events)) => {
                    is_reported = false;
                    self.wait(nvml, &events, &gpus, stop);
                }
                Ok(None) => {
                    stop.wait(PAUSE * 30);
                }
                Err(cause) => {
                    if !std::mem::replace(&mut is_reported, true) {
                        tracing::warn!("XID errors cannot be counted now: {cause}");
                    }
                    stop.wait(PAUSE * 10);
                }
            }
        }
    }

    /// Counts until GPUs come or go, or one of them is lost; the set is then made of those that are left.
    fn wait(&self, nvml: &Nvml, events: &EventSet<'_>, registered: &[String], stop: &Stop) {
        while !stop.is_set() {
            match events.wait(WAIT_MS) {
                Ok(event) => {
                    if let (Ok(uuid), Some(XidError::Value(code))) = (event.device.uuid(), event.event_data) {
                        tracing::warn!(gpu = uuid, xid = code, "XID error: {}", meaning(code));
                        self.count(uuid, code);
                    }
                }
                Err(NvmlError::Timeout) => {
                    if gpus(nvml) != registered {
                        return;
                    }
                }
                Err(cause) => {
                    tracing::warn!("a GPU was lost while XID errors were waited for: {cause}");
                    stop.wait(PAUSE);
                    return;
                }
            }
        }
    }

    fn count(&self, uuid: String, code: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(uuid).or_default();
        seen.last = code;
        *seen.counts.entry(code).or_default() += 1;
    }

    /// The last error, as dcgm-exporter has it (0 where there was none).
    pub(super) fn show_last(&self, uuid: &str, labels: &[(&str, &str)], help: &str, out: &mut Families) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.get(uuid).map_or(0, |seen| seen.last);
        let code = last.to_string();
        let mut with_code = labels.to_vec();
        with_code.extend([("err_code", code.as_str()), ("err_msg", meaning(last))]);
        out.gauge("DCGM_FI_DEV_XID_ERRORS", help, &with_code, last as f64);
    }

    /// How many there were of each.
    pub(super) fn show_counts(&self, uuid: &str, labels: &[(&str, &str)], out: &mut Families) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<u64, u64> = MEANINGS.iter().map(|(code, _)| (*code, 0)).collect();
        counts.extend(seen.get(uuid).into_iter().flat_map(|seen| &seen.counts));
        for (code, count) in counts {
            let code = code.to_string();
            let mut with_code = labels.to_vec();
            with_code.push(("xid", &code));
            let help = "XID errors since the exporter started.";
            out.counter("exporter_gpu_xid_errors_total", help, &with_code, count as f64);
        }
    }
}

/// The GPUs that answer, by UUID.
fn gpus(nvml: &Nvml) -> Vec<String> {
    let devices = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| nvml.device_by_index(index).ok());
    devices.filter_map(|device| device.uuid().ok()).collect()
}

/// A set of the XID events of those GPUs that have them, or `None` where none has.
fn register<'n>(nvml: &'n Nvml, gpus: &[String]) -> Result<Option<EventSet<'n>>, NvmlError> {
    let mut events = nvml.create_event_set()?;
    let mut any = false;
    for uuid in gpus {
        let Ok(device) = nvml.device_by_uuid(uuid.as_str()) else { continue };
        if device.supported_event_types().is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR)) {
            match device.register_events(EventTypes::CRITICAL_XID_ERROR, events) {
                Ok(set) => events = set,
                // The set goes with the failure; it is made again without this GPU.
                Err(failed) => {
                    let rest: Vec<String> = gpus.iter().filter(|other| *other != uuid).cloned().collect();
                    return if rest.is_empty() { Err(failed.error) } else { register(nvml, &rest) };
                }
            }
            any = true;
        }
    }
    Ok(any.then_some(events))
}

fn meaning(code: u64) -> &'static str {
    match code {
        0 => "No Error",
        code => MEANINGS.iter().find(|(known, _)| *known == code).map_or("Unknown Error", |(_, text)| text),
    }
}
