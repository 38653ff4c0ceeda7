//! XID errors, which the driver tells once, when they happen.
//!
//! Invariant: an error told between two scrapes is counted, and counts never fall.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nvml_wrapper::{EventSet, Nvml, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError};

use crate::Families;

/// How long the thread waits for an event at a time.
const WAIT_MS: u32 = 10_000;

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

/// What the commonest errors mean (NVIDIA, "XID Errors").
const MEANINGS: [(u64, &str); 12] = [
    (13, "Graphics Engine Exception"),
    (31, "GPU memory page fault"),
    (43, "GPU stopped processing"),
    (45, "Preemptive cleanup, due to previous errors"),
    (48, "Double Bit ECC Error"),
    (61, "Internal micro-controller breakpoint/warning"),
    (63, "Row remapping recording event"),
    (64, "Row remapping failure"),
    (74, "NVLINK Error"),
    (79, "GPU has fallen off the bus"),
    (94, "Contained ECC error"),
    (95, "Uncontained ECC error"),
];

impl XidErrors {
    /// Counts from now on, in a thread of its own.
    pub(super) fn watch(nvml: &'static Nvml) -> Self {
        let errors = Self::default();
        match register(nvml) {
            Ok(None) => {}
            Ok(Some(events)) => {
                let counter = errors.clone();
                let started =
                    thread::Builder::new().name("nvml-events".into()).spawn(move || counter.run(&events));
                if let Err(cause) = started {
                    tracing::warn!("no thread for XID errors: {cause}");
                }
            }
            Err(cause) => tracing::info!("XID errors are not shown: {cause}"),
        }
        errors
    }

    fn run(&self, events: &EventSet<'static>) {
        loop {
            match events.wait(WAIT_MS) {
                Ok(event) => {
                    let (Ok(uuid), Some(XidError::Value(code))) = (event.device.uuid(), event.event_data)
                    else {
                        continue;
                    };
                    tracing::warn!(gpu = uuid, xid = code, "XID error: {}", meaning(code));
                    let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    let seen = seen.entry(uuid).or_default();
                    seen.last = code;
                    *seen.counts.entry(code).or_default() += 1;
                }
                Err(NvmlError::Timeout) => {}
                Err(cause) => {
                    tracing::warn!("XID errors are no longer counted: {cause}");
                    return;
                }
            }
        }
    }

    /// The last error, as dcgm-exporter has it (0 where there was none), and how many there were of each.
    pub(super) fn show(&self, uuid: &str, labels: &[(&str, &str)], out: &mut Families) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.get(uuid).map_or(0, |seen| seen.last);
        let code = last.to_string();
        let mut with_code = labels.to_vec();
        with_code.extend([("err_code", code.as_str()), ("err_msg", meaning(last))]);
        out.gauge("DCGM_FI_DEV_XID_ERRORS", "The last XID error.", &with_code, last as f64);
        for (code, count) in seen.get(uuid).into_iter().flat_map(|seen| &seen.counts) {
            let code = code.to_string();
            let mut with_code = labels.to_vec();
            with_code.push(("xid", &code));
            let help = "XID errors since the exporter started.";
            out.counter("exporter_gpu_xid_errors_total", help, &with_code, *count as f64);
        }
    }
}

/// A set of the XID events of all GPUs that have them, or `None` where none has.
fn register(nvml: &'static Nvml) -> Result<Option<EventSet<'static>>, NvmlError> {
    let mut events = nvml.create_event_set()?;
    let mut any = false;
    for index in 0..nvml.device_count()? {
        let Ok(device) = nvml.device_by_index(index) else { continue };
        if device.supported_event_types().is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR)) {
            events = device
                .register_events(EventTypes::CRITICAL_XID_ERROR, events)
                .map_err(|failed| failed.error)?;
            any = true;
        }
    }
    Ok(any.then_some(events))
}

fn meaning(code: u64) -> &'static str {
    match code {
        0 => "No Error",
        code => MEANINGS.iter().find(|(known, _)| *known == code).map_or("", |(_, text)| text),
    }
}
