//! What NVML says of a GPU when it is asked.

use assay_model::MetricType::{self, Counter, Gauge};
use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, TemperatureSensor},
    enums::device::SampleValue,
    error::NvmlError,
    structs::device::FieldId,
};

use crate::Families;

const MW_PER_W: f64 = 1000.0;
const BYTES_PER_MIB: u64 = 1024 * 1024;

/// A reading of the device; an error is something that this GPU does not have.
type Read = fn(&Device<'_>) -> Result<f64, NvmlError>;

#[rustfmt::skip]
const READINGS: [(&str, MetricType, &str, Read); 11] = [
    ("SM_CLOCK", Gauge, "SM clock in MHz.", |d| d.clock_info(Clock::SM).map(f64::from)),
    ("MEM_CLOCK", Gauge, "Memory clock in MHz.", |d| d.clock_info(Clock::Memory).map(f64::from)),
    ("GPU_TEMP", Gauge, "GPU temperature in degrees Celsius.", |d| {
        d.temperature(TemperatureSensor::Gpu).map(f64::from)
    }),
    ("POWER_USAGE", Gauge, "Power draw in watts.", |d| d.power_usage().map(|mw| f64::from(mw) / MW_PER_W)),
    ("POWER_MGMT_LIMIT", Gauge, "Power limit in force, in watts.", |d| {
        d.enforced_power_limit().map(|mw| f64::from(mw) / MW_PER_W)
    }),
    ("TOTAL_ENERGY_CONSUMPTION", Counter, "Energy since the driver was loaded, in millijoules.", |d| {
        d.total_energy_consumption().map(|mj| mj as f64)
    }),
    ("PCIE_REPLAY_COUNTER", Counter, "PCIe retries.", |d| d.pcie_replay_counter().map(f64::from)),
    ("GPU_UTIL", Gauge, "Time in which a kernel ran, in percent.", |d| {
        d.utilization_rates().map(|u| f64::from(u.gpu))
    }),
    ("MEM_COPY_UTIL", Gauge, "Time in which memory was read or written, in percent.", |d| {
        d.utilization_rates().map(|u| f64::from(u.memory))
    }),
    ("ENC_UTIL", Gauge, "Utilization of the encoder in percent.", |d| {
        d.encoder_utilization().map(|u| f64::from(u.utilization))
    }),
    ("DEC_UTIL", Gauge, "Utilization of the decoder in percent.", |d| {
        d.decoder_utilization().map(|u| f64::from(u.utilization))
    }),
];

/// Values that NVML has no function for, by the number of their field (nvml.h, `NVML_FI_DEV_*`).
#[rustfmt::skip]
const FIELDS: [(u32, &str, MetricType, &str); 4] = [
    (82, "MEMORY_TEMP", Gauge, "Memory temperature in degrees Celsius."),
    (143, "UNCORRECTABLE_REMAPPED_ROWS", Counter, "Memory rows remapped for errors that could not be corrected."),
    (142, "CORRECTABLE_REMAPPED_ROWS", Counter, "Memory rows remapped for errors that were corrected."),
    (145, "ROW_REMAP_FAILURE", Gauge, "1 where remapping a row failed."),
];

/// A memory sensor that is not there is read as a temperature that no memory survives.
const HOTTEST_MEMORY_C: f64 = 200.0;

pub(super) fn show(device: &Device<'_>, labels: &[(&str, &str)], out: &mut Families) {
    let mut add = |name: &str, metric_type, help: &str, value: f64| {
        out.add(metric_type, &format!("DCGM_FI_DEV_{name}"), help, labels, value);
    };
    for (name, metric_type, help, read) in READINGS {
        if let Ok(value) = read(device) {
            add(name, metric_type, help, value);
        }
    }
    if let Ok(memory) = device.memory_info() {
        // dcgm-exporter shows whole MiB.
        for (name, help, bytes) in [
            ("FB_FREE", "Free memory in MiB.", memory.free),
            ("FB_USED", "Used memory in MiB.", memory.used),
            ("FB_RESERVED", "Memory that the driver keeps, in MiB.", memory.reserved),
        ] {
            add(name, Gauge, help, (bytes / BYTES_PER_MIB) as f64);
        }
    }
    let Ok(values) = device.field_values_for(&FIELDS.map(|(id, ..)| FieldId(id))) else { return };
    for ((_, name, metric_type, help), sample) in FIELDS.into_iter().zip(values) {
        let Some(value) = sample.ok().and_then(|s| s.value.ok()).as_ref().map(number) else { continue };
        if name != "MEMORY_TEMP" || value <= HOTTEST_MEMORY_C {
            add(name, metric_type, help, value);
        }
    }
}

fn number(value: &SampleValue) -> f64 {
    match *value {
        SampleValue::F64(v) => v,
        SampleValue::U32(v) => v.into(),
        SampleValue::U64(v) => v as f64,
        SampleValue::I64(v) => v as f64,
    }
}
