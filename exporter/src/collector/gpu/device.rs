//! What NVML says of a GPU when it is asked: the table of fields.
//!
//! Invariant: a field that a GPU does not have is left out; none is shown as zero.

use assay_model::MetricType::{self, Counter, Gauge};
use nvml_wrapper::{
    Device,
    enum_wrappers::device::{
        Clock, EccCounter, InfoRom, MemoryError, PerformancePolicy, TemperatureSensor, TemperatureThreshold,
    },
    enums::device::SampleValue,
    error::NvmlError,
    structs::device::FieldId,
};

/// A reading of the device; an error is something that this GPU does not have.
type Read = fn(&Device<'_>) -> Result<f64, NvmlError>;

/// How a field is read.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// By a call of its own.
    Call(Read),
    /// By the number of NVML's own field (nvml.h, `NVML_FI_DEV_*`), of which all are asked for at once.
    Field(u32),
    /// With the GPU's memory, in MiB or percent; MIG instances have these too.
    Memory(fn(&Memory) -> f64),
    /// By the calls in `raw`.
    NvlinkBandwidth,
    VgpuLicense,
    /// By the thread that counts XID errors.
    Xid,
    /// By the thread that samples GPM; the place in its table.
    Profile(usize),
    /// A text, which becomes a label of all series.
    Label(fn(&Device<'_>) -> Result<String, NvmlError>),
}

/// A field that can be shown.
pub(super) struct Field {
    /// dcgm-exporter's name.
    pub(super) name: &'static str,
    pub(super) metric_type: MetricType,
    pub(super) help: &'static str,
    /// Whether it is shown where no file of fields is given.
    pub(super) default_on: bool,
    pub(super) source: Source,
}

/// A GPU's memory in MiB, whole as dcgm-exporter shows it.
pub(super) struct Memory {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) used: u64,
    pub(super) reserved: u64,
}

const BYTES_PER_MIB: u64 = 1024 * 1024;
const MW_PER_W: f64 = 1000.0;

/// A memory sensor that is not there is read as a temperature that no memory survives.
const HOTTEST_MEMORY_C: f64 = 200.0;
const MEMORY_TEMPERATURE: u32 = 82;

impl Memory {
    pub(super) fn read(device: &Device<'_>) -> Option<Self> {
        let memory = device.memory_info().ok()?;
        let mib = |bytes: u64| bytes / BYTES_PER_MIB;
        Some(Self {
            total: mib(memory.total),
            free: mib(memory.free),
            used: mib(memory.used),
            reserved: mib(memory.reserved),
        })
    }
}

const fn on(name: &'static str, metric_type: MetricType, help: &'static str, source: Source) -> Field {
    Field { name, metric_type, help, default_on: true, source }
}

const fn off(name: &'static str, metric_type: MetricType, help: &'static str, source: Source) -> Field {
    Field { default_on: false, ..on(name, metric_type, help, source) }
}

fn violation_ns(device: &Device<'_>, policy: PerformancePolicy) -> Result<f64, NvmlError> {
    device.violation_status(policy).map(|status| status.violation_time as f64)
}

fn ecc(device: &Device<'_>, error: MemoryError, counter: EccCounter) -> Result<f64, NvmlError> {
    device.total_ecc_errors(error, counter).map(|n| n as f64)
}

/// Every field that NVML can give.
#[rustfmt::skip]
#[expect(clippy::redundant_closure_for_method_calls, reason = "a method is of one lifetime, a closure of any")]
pub(super) const FIELDS: &[Field] = &[
    on("DCGM_FI_DEV_SM_CLOCK", Gauge, "SM clock in MHz.", Source::Call(|d| d.clock_info(Clock::SM).map(f64::from))),
    on("DCGM_FI_DEV_MEM_CLOCK", Gauge, "Memory clock in MHz.", Source::Call(|d| d.clock_info(Clock::Memory).map(f64::from))),
    on("DCGM_FI_DEV_GPU_TEMP", Gauge, "GPU temperature in degrees Celsius.", Source::Call(|d| d.temperature(TemperatureSensor::Gpu).map(f64::from))),
    on("DCGM_FI_DEV_MEMORY_TEMP", Gauge, "Memory temperature in degrees Celsius.", Source::Field(MEMORY_TEMPERATURE)),
    on("DCGM_FI_DEV_POWER_USAGE", Gauge, "Power draw in watts.", Source::Call(|d| d.power_usage().map(|mw| f64::from(mw) / MW_PER_W))),
    on("DCGM_FI_DEV_POWER_MGMT_LIMIT", Gauge, "Power limit in force, in watts.", Source::Call(|d| d.enforced_power_limit().map(|mw| f64::from(mw) / MW_PER_W))),
    on("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", Counter, "Energy since the driver was loaded, in millijoules.", Source::Call(|d| d.total_energy_consumption().map(|mj| mj as f64))),
    on("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", Counter, "PCIe retries.", Source::Call(|d| d.pcie_replay_counter().map(f64::from))),
    on("DCGM_FI_DEV_GPU_UTIL", Gauge, "Time in which a kernel ran, in percent.", Source::Call(|d| d.utilization_rates().map(|u| f64::from(u.gpu)))),
    on("DCGM_FI_DEV_MEM_COPY_UTIL", Gauge, "Time in which memory was read or written, in percent.", Source::Call(|d| d.utilization_rates().map(|u| f64::from(u.memory)))),
    on("DCGM_FI_DEV_ENC_UTIL", Gauge, "Utilization of the encoder in percent.", Source::Call(|d| d.encoder_utilization().map(|u| f64::from(u.utilization)))),
    on("DCGM_FI_DEV_DEC_UTIL", Gauge, "Utilization of the decoder in percent.", Source::Call(|d| d.decoder_utilization().map(|u| f64::from(u.utilization)))),
    on("DCGM_FI_DEV_XID_ERRORS", Gauge, "The last XID error.", Source::Xid),
    on("DCGM_FI_DEV_FB_FREE", Gauge, "Free memory in MiB.", Source::Memory(|m| m.free as f64)),
    on("DCGM_FI_DEV_FB_USED", Gauge, "Used memory in MiB.", Source::Memory(|m| m.used as f64)),
    on("DCGM_FI_DEV_FB_RESERVED", Gauge, "Memory that the driver keeps, in MiB.", Source::Memory(|m| m.reserved as f64)),
    off("DCGM_FI_DEV_FB_TOTAL", Gauge, "Memory in MiB.", Source::Memory(|m| m.total as f64)),
    off("DCGM_FI_DEV_FB_USED_PERCENT", Gauge, "Used part of the memory, 0 to 1.", Source::Memory(|m| m.used as f64 / (m.total.saturating_sub(m.reserved)).max(1) as f64)),
    on("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", Counter, "MB/s over all NVLinks between two scrapes.", Source::NvlinkBandwidth),
    on("DCGM_FI_DEV_VGPU_LICENSE_STATUS", Gauge, "1 where the vGPU is licensed.", Source::VgpuLicense),
    on("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", Counter, "Memory rows remapped for errors that could not be corrected.", Source::Field(143)),
    on("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", Counter, "Memory rows remapped for errors that were corrected.", Source::Field(142)),
    on("DCGM_FI_DEV_ROW_REMAP_FAILURE", Gauge, "1 where remapping a row failed.", Source::Field(145)),
    on("DCGM_FI_DEV_ROW_REMAP_PENDING", Gauge, "1 where a row is remapped at the next reset.", Source::Field(144)),
    on("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", Gauge, "Why clocks are held back, as bits (nvml.h, nvmlClocksEventReason*).", Source::Call(|d| d.current_throttle_reasons().map(|r| r.bits() as f64))),
    on("DCGM_FI_DEV_FAN_SPEED", Gauge, "Fan speed in percent of the fastest.", Source::Call(|d| d.fan_speed(0).map(f64::from))),
    on("DCGM_FI_DEV_PSTATE", Gauge, "Performance state, 0 for the highest.", Source::Call(|d| d.performance_state().map(|p| f64::from(p.as_c())))),
    on("DCGM_FI_DEV_PCIE_LINK_GEN", Gauge, "PCIe generation of the link.", Source::Call(|d| d.current_pcie_link_gen().map(f64::from))),
    on("DCGM_FI_DEV_PCIE_LINK_WIDTH", Gauge, "Lanes of the PCIe link.", Source::Call(|d| d.current_pcie_link_width().map(f64::from))),
    off("DCGM_FI_DEV_PCIE_MAX_LINK_GEN", Gauge, "PCIe generation that the link can have.", Source::Call(|d| d.max_pcie_link_gen().map(f64::from))),
    off("DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH", Gauge, "Lanes that the PCIe link can have.", Source::Call(|d| d.max_pcie_link_width().map(f64::from))),
    on("DCGM_FI_DEV_BAR1_TOTAL", Gauge, "BAR1 in MiB.", Source::Call(|d| d.bar1_memory_info().map(|b| (b.total / BYTES_PER_MIB) as f64))),
    on("DCGM_FI_DEV_BAR1_USED", Gauge, "Used part of BAR1 in MiB.", Source::Call(|d| d.bar1_memory_info().map(|b| (b.used / BYTES_PER_MIB) as f64))),
    off("DCGM_FI_DEV_BAR1_FREE", Gauge, "Free part of BAR1 in MiB.", Source::Call(|d| d.bar1_memory_info().map(|b| (b.free / BYTES_PER_MIB) as f64))),
    off("DCGM_FI_DEV_MAX_SM_CLOCK", Gauge, "Highest SM clock in MHz.", Source::Call(|d| d.max_clock_info(Clock::SM).map(f64::from))),
    off("DCGM_FI_DEV_MAX_MEM_CLOCK", Gauge, "Highest memory clock in MHz.", Source::Call(|d| d.max_clock_info(Clock::Memory).map(f64::from))),
    off("DCGM_FI_DEV_SLOWDOWN_TEMP", Gauge, "Temperature at which the GPU slows down.", Source::Call(|d| d.temperature_threshold(TemperatureThreshold::Slowdown).map(f64::from))),
    off("DCGM_FI_DEV_SHUTDOWN_TEMP", Gauge, "Temperature at which the GPU shuts down.", Source::Call(|d| d.temperature_threshold(TemperatureThreshold::Shutdown).map(f64::from))),
    on("DCGM_FI_DEV_POWER_VIOLATION", Counter, "Nanoseconds throttled for power.", Source::Call(|d| violation_ns(d, PerformancePolicy::Power))),
    on("DCGM_FI_DEV_THERMAL_VIOLATION", Counter, "Nanoseconds throttled for heat.", Source::Call(|d| violation_ns(d, PerformancePolicy::Thermal))),
    off("DCGM_FI_DEV_SYNC_BOOST_VIOLATION", Counter, "Nanoseconds throttled for sync boost.", Source::Call(|d| violation_ns(d, PerformancePolicy::SyncBoost))),
    off("DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", Counter, "Nanoseconds throttled for the board's limit.", Source::Call(|d| violation_ns(d, PerformancePolicy::BoardLimit))),
    off("DCGM_FI_DEV_LOW_UTIL_VIOLATION", Counter, "Nanoseconds throttled for low utilization.", Source::Call(|d| violation_ns(d, PerformancePolicy::LowUtilization))),
    off("DCGM_FI_DEV_RELIABILITY_VIOLATION", Counter, "Nanoseconds throttled for reliability.", Source::Call(|d| violation_ns(d, PerformancePolicy::Reliability))),
    on("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", Counter, "Memory errors corrected since the driver was loaded.", Source::Call(|d| ecc(d, MemoryError::Corrected, EccCounter::Volatile))),
    on("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", Counter, "Memory errors not corrected since the driver was loaded.", Source::Call(|d| ecc(d, MemoryError::Uncorrected, EccCounter::Volatile))),
    on("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", Counter, "Memory errors corrected in the GPU's life.", Source::Call(|d| ecc(d, MemoryError::Corrected, EccCounter::Aggregate))),
    on("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", Counter, "Memory errors not corrected in the GPU's life.", Source::Call(|d| ecc(d, MemoryError::Uncorrected, EccCounter::Aggregate))),
    on("DCGM_FI_DEV_RETIRED_SBE", Counter, "Pages retired for errors that were corrected.", Source::Field(29)),
    on("DCGM_FI_DEV_RETIRED_DBE", Counter, "Pages retired for errors that could not be corrected.", Source::Field(30)),
    on("DCGM_FI_DEV_RETIRED_PENDING", Counter, "Pages that are retired at the next reset.", Source::Field(31)),
    off("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", Counter, "NVLink flow control errors.", Source::Field(38)),
    off("DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", Counter, "NVLink data errors.", Source::Field(45)),
    off("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", Counter, "NVLink retries.", Source::Field(52)),
    off("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", Counter, "NVLink recoveries.", Source::Field(59)),
    on("DCGM_FI_PROF_GR_ENGINE_ACTIVE", Gauge, "Time in which the graphics engine was busy.", Source::Profile(0)),
    on("DCGM_FI_PROF_SM_ACTIVE", Gauge, "Time in which an SM had a warp, averaged over SMs.", Source::Profile(1)),
    on("DCGM_FI_PROF_SM_OCCUPANCY", Gauge, "Warps on an SM, of those it can have.", Source::Profile(2)),
    on("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", Gauge, "Time in which the tensor cores were busy.", Source::Profile(3)),
    on("DCGM_FI_PROF_DRAM_ACTIVE", Gauge, "Time in which device memory sent or received.", Source::Profile(4)),
    on("DCGM_FI_PROF_PCIE_TX_BYTES", Gauge, "Bytes per second sent over PCIe.", Source::Profile(5)),
    on("DCGM_FI_PROF_PCIE_RX_BYTES", Gauge, "Bytes per second received over PCIe.", Source::Profile(6)),
    on("DCGM_FI_PROF_NVLINK_TX_BYTES", Gauge, "Bytes per second sent over NVLink.", Source::Profile(7)),
    on("DCGM_FI_PROF_NVLINK_RX_BYTES", Gauge, "Bytes per second received over NVLink.", Source::Profile(8)),
    off("DCGM_FI_PROF_PIPE_FP64_ACTIVE", Gauge, "Time in which the FP64 pipes were busy.", Source::Profile(9)),
    off("DCGM_FI_PROF_PIPE_FP32_ACTIVE", Gauge, "Time in which the FP32 pipes were busy.", Source::Profile(10)),
    off("DCGM_FI_PROF_PIPE_FP16_ACTIVE", Gauge, "Time in which the FP16 pipes were busy.", Source::Profile(11)),
    off("DCGM_FI_DEV_SERIAL", Gauge, "The board's serial number.", Source::Label(|d| d.serial())),
    off("DCGM_FI_DEV_VBIOS_VERSION", Gauge, "The VBIOS' version.", Source::Label(|d| d.vbios_version())),
    off("DCGM_FI_DEV_BRAND", Gauge, "The brand.", Source::Label(|d| d.brand().map(|b| format!("{b:?}")))),
    off("DCGM_FI_DEV_INFOROM_IMAGE_VER", Gauge, "The InfoROM's version.", Source::Label(|d| d.info_rom_image_version())),
    off("DCGM_FI_DEV_OEM_INFOROM_VER", Gauge, "The version of the OEM's object.", Source::Label(|d| d.info_rom_version(InfoRom::OEM))),
    off("DCGM_FI_DEV_ECC_INFOROM_VER", Gauge, "The version of the ECC object.", Source::Label(|d| d.info_rom_version(InfoRom::ECC))),
    off("DCGM_FI_DEV_POWER_INFOROM_VER", Gauge, "The version of the power object.", Source::Label(|d| d.info_rom_version(InfoRom::Power))),
];

/// The values of NVML's own fields of those numbers that the GPU has.
pub(super) fn field_values(device: &Device<'_>, ids: &[u32]) -> Vec<Option<f64>> {
    let asked: Vec<FieldId> = ids.iter().map(|id| FieldId(*id)).collect();
    let Ok(values) = device.field_values_for(&asked) else { return vec![None; ids.len()] };
    let number =
        |(id, sample): (&u32, Result<nvml_wrapper::struct_wrappers::device::FieldValueSample, NvmlError>)| {
            let value = number(&sample.ok()?.value.ok()?);
            (*id != MEMORY_TEMPERATURE || value <= HOTTEST_MEMORY_C).then_some(value)
        };
    ids.iter().zip(values).map(number).collect()
}

fn number(value: &SampleValue) -> f64 {
    match *value {
        SampleValue::F64(v) => v,
        SampleValue::U32(v) => v.into(),
        SampleValue::U64(v) => v as f64,
        SampleValue::I64(v) => v as f64,
    }
}
