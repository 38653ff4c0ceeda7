//! `DCGM_FI_*`: NVIDIA GPUs, read through NVML under dcgm-exporter's names.
//!
//! Invariant: NVML is looked for at the first scrape, not before; a host without it has no GPU metrics and one
//! line in the log. What a GPU does not know is left out, never shown as zero.

mod device;
mod profile;
mod xid;

use std::{ffi::OsStr, path::PathBuf, sync::OnceLock};

use nvml_wrapper::{Nvml, error::NvmlError};

use self::{profile::Profiler, xid::XidErrors};
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry = Entry::on(
    "gpu",
    "NVIDIA GPUs, under dcgm-exporter's names; off by itself where there is no NVML",
    |s| Box::new(Gpu::new(s)),
)
.runs(Runs::Aside)
.flags(&[
    Flag::new(
        "collector.gpu.nvml-library",
        Kind::Text("libnvidia-ml.so.1"),
        "NVML's file, where it is not the one that the driver installs",
    ),
    Flag::new(
        "collector.gpu.hostname-label",
        Kind::Text("Hostname"),
        "The label with the host's name on GPU metrics; newer dashboards have hostname",
    ),
]);

/// NVIDIA GPUs.
pub(super) struct Gpu {
    library: PathBuf,
    hostname_label: String,
    driver: OnceLock<Option<Driver>>,
}

/// NVML, and what watches the GPUs between scrapes. It is kept for as long as the process lives, because its
/// threads are.
struct Driver {
    nvml: &'static Nvml,
    version: String,
    hostname: String,
    xid_errors: XidErrors,
    profiler: Profiler,
}

impl Gpu {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            library: settings.text("collector.gpu.nvml-library").into(),
            hostname_label: settings.text("collector.gpu.hostname-label").to_owned(),
            driver: OnceLock::new(),
        }
    }

    fn load(&self) -> Option<Driver> {
        let library: &OsStr = self.library.as_os_str();
        let nvml = match Nvml::builder().lib_path(library).init() {
            Ok(nvml) => nvml,
            Err(NvmlError::LibloadingError(_)) => {
                tracing::info!(library = %self.library.display(), "no NVML on this host: no GPU metrics");
                return None;
            }
            Err(cause) => {
                tracing::warn!(library = %self.library.display(), "NVML does not work, no GPU metrics: {cause}");
                return None;
            }
        };
        let nvml: &'static Nvml = Box::leak(Box::new(nvml));
        Some(Driver {
            nvml,
            version: nvml.sys_driver_version().unwrap_or_default(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            xid_errors: XidErrors::watch(nvml),
            profiler: Profiler::start(nvml),
        })
    }
}

impl Collector for Gpu {
    fn collect(&self, _host: &Host, out: &mut Families) -> Result<(), Failure> {
        let Some(driver) = self.driver.get_or_init(|| self.load()) else {
            return Err(Failure::Absent(self.library.clone()));
        };
        let failed = |cause: NvmlError| Failure::Other(format!("NVML: {cause}"));
        let mut result = Ok(());
        for index in 0..driver.nvml.device_count().map_err(failed)? {
            // A GPU that fell off the bus must not hide the others.
            match driver.nvml.device_by_index(index) {
                Ok(device) => self.show(driver, &device, index, out),
                Err(cause) => result = Err(Failure::Other(format!("GPU {index}: {cause}"))),
            }
        }
        result
    }
}

impl Gpu {
    fn show(&self, driver: &Driver, device: &nvml_wrapper::Device<'_>, index: u32, out: &mut Families) {
        let number = index.to_string();
        let uuid = device.uuid().unwrap_or_default();
        let bus = device.pci_info().map(|pci| pci.bus_id).unwrap_or_default();
        let node = device.minor_number().map(|n| format!("nvidia{n}")).unwrap_or_default();
        let name = device.name().unwrap_or_default();
        let labels = [
            ("gpu", number.as_str()),
            ("UUID", &uuid),
            ("pci_bus_id", &bus),
            ("device", &node),
            ("modelName", &name),
            (&self.hostname_label, &driver.hostname),
            ("DCGM_FI_DRIVER_VERSION", &driver.version),
        ];
        device::show(device, &labels, out);
        driver.xid_errors.show(&uuid, &labels, out);
        driver.profiler.show(index, &labels, out);
    }
}
