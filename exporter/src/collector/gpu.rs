//! `DCGM_FI_*`: NVIDIA GPUs, read through NVML under dcgm-exporter's names.
//!
//! Invariant: NVML is looked for at a scrape, and again at intervals while there is none or after its driver went away;
//! GPUs may come and go. What a GPU does not know is left out, never shown as zero.

mod device;
mod fields;
mod pods;
mod profile;
mod raw;
mod xid;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nvml_wrapper::{Device, Nvml, enums::device::UsedGpuMemory, error::NvmlError};

use self::{
    device::{Memory, Source},
    fields::Shown,
    pods::{Pod, Pods},
    profile::{Place, Profiler},
    raw::Raw,
    xid::XidErrors,
};
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Host, Settings, groups,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::on("gpu", "NVIDIA GPUs, under dcgm-exporter's names; off by itself where there is no NVML", |s| {
        Box::new(Gpu::new(s))
    })
    .runs(Runs::Aside)
    .check(|s| match s.text("collector.gpu.fields-file") {
        "" => Ok(()),
        path => fields::load(path).map(|_| ()),
    })
    .flags(&[
        Flag::new(
            "collector.gpu.nvml-library",
            Kind::Text("libnvidia-ml.so.1"),
            "NVML's file, where it is not the one that the driver installs",
        ),
        Flag::new(
            "collector.gpu.fields-file",
            Kind::Text(""),
            "The fields to show, as a CSV file in dcgm-exporter's form",
        ),
        Flag::new(
            "collector.gpu.hostname-label",
            Kind::Text("Hostname"),
            "The label with the host's name on GPU metrics; newer dashboards have hostname",
        ),
        Flag::new(
            "collector.gpu.retry-interval",
            Kind::Duration("30s"),
            "How often to look for NVML while there is none",
        ),
        Flag::new(
            "collector.gpu.kubernetes",
            Kind::Switch(false),
            "Add the labels pod, namespace and container, which the kubelet knows",
        ),
        Flag::new(
            "collector.gpu.kubelet-socket",
            Kind::Text("/var/lib/kubelet/pod-resources/kubelet.sock"),
            "Where the kubelet reports which pod has which device",
        ),
    ]);

/// NVIDIA GPUs.
struct Gpu {
    library: String,
    hostname_label: String,
    retry: Duration,
    fields: Vec<Shown>,
    groups: groups::Rules,
    pods: Option<Pods>,
    /// They outlive a driver: counts never fall.
    xid_errors: XidErrors,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    driver: Option<Driver>,
    /// When NVML was looked for last.
    looked: Option<Instant>,
    /// What the log has told.
    problem: String,
    /// KiB over NVLinks by UUID, at the last scrape.
    nvlink: BTreeMap<String, (Instant, u64)>,
}

/// NVML, and what watches the GPUs between scrapes.
struct Driver {
    nvml: Arc<Nvml>,
    raw: Option<Arc<Raw>>,
    version: String,
    hostname: String,
    profiler: Profiler,
    stop: Arc<Stop>,
}

impl Drop for Driver {
    /// The threads end, and with the last of them NVML is shut down and unloaded, so that a new driver can be loaded.
    fn drop(&mut self) {
        self.stop.set();
    }
}

/// Ends threads that wait.
#[derive(Default)]
struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; whether the thread should end.
    fn wait(&self, time: Duration) -> bool {
        let guard = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(guard, time, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Gpu {
    fn new(settings: &Settings) -> Self {
        let fields = match settings.text("collector.gpu.fields-file") {
            "" => fields::defaults(),
            // The file was checked at the start; one that is gone since leaves the defaults.
            path => fields::load(path).unwrap_or_else(|_| fields::defaults()),
        };
        let pods = settings.switch("collector.gpu.kubernetes");
        Self {
            library: settings.text("collector.gpu.nvml-library").to_owned(),
            hostname_label: settings.text("collector.gpu.hostname-label").to_owned(),
            retry: settings.duration("collector.gpu.retry-interval"),
            fields,
            groups: groups::Rules::of(settings),
            pods: pods.then(|| Pods::new(settings.text("collector.gpu.kubelet-socket"))),
            xid_errors: XidErrors::default(),
            state: Mutex::default(),
        }
    }

    fn load(&self, state: &mut State) -> Result<Driver, Failure> {
        let absent = || Failure::Absent(self.library.clone().into());
        if state.looked.is_some_and(|looked| looked.elapsed() < self.retry) {
            return Err(absent());
        }
        state.looked = Some(Instant::now());
        let path: &OsStr = self.library.as_ref();
        let nvml = match Nvml::builder().lib_path(path).init() {
            Ok(nvml) => Arc::new(nvml),
            Err(cause) => {
                let problem = cause.to_string();
                if state.problem != problem {
                    let retry = self.retry;
                    if matches!(cause, NvmlError::LibloadingError(_)) {
                        tracing::info!(
                            library = self.library,
                            ?retry,
                            "no NVML on this host: no GPU metrics"
                        );
                    } else {
                        tracing::warn!(library = self.library, ?retry, "NVML does not work: {problem}");
                    }
                }
                state.problem = problem;
                return Err(absent());
            }
        };
        state.problem.clear();
        let version = nvml.sys_driver_version().unwrap_or_default();
        let mut devices = (0..nvml.device_count().unwrap_or(0)).filter_map(|n| nvml.device_by_index(n).ok());
        let has_gpm = devices.any(|device| device.gpm_support().unwrap_or(false));
        tracing::info!(driver = version, "NVML is there");
        if !has_gpm {
            tracing::info!("no GPU has GPM, which came with Hopper: no DCGM_FI_PROF_* metrics");
        }
        let (raw, stop) = (Raw::open(path).map(Arc::new), Arc::new(Stop::default()));
        let watching = self.xid_errors.watch(Arc::clone(&nvml), Arc::clone(&stop));
        let started =
            watching.and_then(|()| Profiler::start(Arc::clone(&nvml), raw.clone(), Arc::clone(&stop)));
        let profiler = started.map_err(|cause| {
            stop.set();
            Failure::Other(format!("cannot start a thread to watch the GPUs: {cause}"))
        })?;
        Ok(Driver { nvml, raw, version, hostname: assay_platform::host_name::get(), profiler, stop })
    }
}

impl Collector for Gpu {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let driver = match state.driver.take() {
            Some(driver) => driver,
            None => self.load(&mut state)?,
        };
        let count = match driver.nvml.device_count() {
            Ok(count) => count,
            // The driver went away or was replaced: NVML is let go, and looked for again.
            Err(cause) => {
                state.looked = Some(Instant::now());
                return Err(Failure::Other(format!("NVML: {cause}; it is loaded again in {:?}", self.retry)));
            }
        };
        let pods = self.pods.as_ref().map(Pods::list).unwrap_or_default();
        let mut result = Ok(());
        for index in 0..count {
            // A GPU that fell off the bus must not hide the others.
            match driver.nvml.device_by_index(index) {
                Ok(device) => self.gpu(host, &driver, &device, index, &pods, &mut state.nvlink, out),
                Err(cause) => result = Err(Failure::Other(format!("GPU {index}: {cause}"))),
            }
        }
        state.driver = Some(driver);
        result
    }
}

/// The instances of a GPU that is in MIG mode, by their GPU instances' numbers.
fn instances<'n>(device: &Device<'n>, raw: Option<&Raw>) -> Vec<(u32, Device<'n>)> {
    const ENABLED: u32 = 1;
    let is_mig = device.mig_mode().is_ok_and(|mode| mode.current == ENABLED);
    let (true, Some(raw)) = (is_mig, raw) else { return Vec::new() };
    let places = 0..device.mig_device_count().unwrap_or(0);
    let devices = places.filter_map(|at| device.mig_device_by_index(at).ok());
    devices.filter_map(|instance| Some((raw.gpu_instance(&instance)?, instance))).collect()
}

impl Gpu {
    #[expect(clippy::too_many_arguments, reason = "one GPU with all that is known of it")]
    fn gpu(
        &self,
        host: &Host,
        driver: &Driver,
        device: &Device<'_>,
        index: u32,
        pods: &BTreeMap<String, Pod>,
        nvlink: &mut BTreeMap<String, (Instant, u64)>,
        out: &mut Families,
    ) {
        let uuid = device.uuid().unwrap_or_default();
        let mut labels = vec![
            ("gpu".to_owned(), index.to_string()),
            ("UUID".to_owned(), uuid.clone()),
            ("pci_bus_id".to_owned(), device.pci_info().map(|pci| pci.bus_id).unwrap_or_default()),
            ("device".to_owned(), format!("nvidia{index}")),
            ("modelName".to_owned(), device.name().unwrap_or_default()),
            (self.hostname_label.clone(), driver.hostname.clone()),
            ("DCGM_FI_DRIVER_VERSION".to_owned(), driver.version.clone()),
        ];
        for shown in self.fields.iter().filter(|shown| shown.is_label) {
            if let Source::Label(read) = shown.field.source {
                labels.extend(read(device).ok().map(|text| (shown.field.name.to_owned(), text)));
            }
        }
        let rate = driver.raw.as_ref().and_then(|raw| raw.nvlink_kib(device)).and_then(|kib| {
            let now = Instant::now();
            let (before, kib_before) = nvlink.insert(uuid.clone(), (now, kib))?;
            const BYTES_PER_KIB: f64 = 1024.0;
            const BYTES_PER_MB: f64 = 1e6;
            let bytes = kib.checked_sub(kib_before)? as f64 * BYTES_PER_KIB;
            Some(bytes / BYTES_PER_MB / (now - before).as_secs_f64())
        });
        let instances = instances(device, driver.raw.as_deref());
        let is_mig = !instances.is_empty();
        let whole =
            Entity { device, place: (index, None), uuid: &uuid, is_mig, is_instance: false, nvlink: rate };
        self.show(driver, &whole, &with_pod(&labels, pods.get(&uuid)), out);
        self.processes(host, device, &labels, out);
        for (instance, mig) in instances {
            let own = mig.uuid().unwrap_or_default();
            let name = mig.name().unwrap_or_default();
            let mut labels = labels.clone();
            let profile = name.split_once("MIG ").map_or("", |(_, profile)| profile);
            labels.push(("GPU_I_PROFILE".to_owned(), profile.to_owned()));
            labels.push(("GPU_I_ID".to_owned(), instance.to_string()));
            let place = (index, Some(instance));
            let part = Entity { device: &mig, place, uuid: &own, is_mig, is_instance: true, nvlink: None };
            self.show(driver, &part, &with_pod(&labels, pods.get(&own)), out);
        }
    }

    fn show(
        &self,
        driver: &Driver,
        entity: &Entity<'_, '_>,
        labels: &[(String, String)],
        out: &mut Families,
    ) {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let ids: Vec<u32> = self.fields.iter().filter_map(Shown::id).collect();
        // Of an instance there is memory and what GPM samples; the rest is the whole GPU's.
        let values = if entity.is_instance { Vec::new() } else { device::field_values(entity.device, &ids) };
        let mut values = values.into_iter();
        // With MIG the instances replace the GPU in what both could show.
        let memory = if entity.is_mig && !entity.is_instance { None } else { Memory::read(entity.device) };
        for shown in &self.fields {
            let value = match shown.field.source {
                Source::Memory(read) => memory.as_ref().map(read),
                Source::Profile(at) => driver.profiler.value(entity.place, at),
                _ if entity.is_instance => None,
                Source::Call(read) => read(entity.device).ok(),
                Source::Field(_) => values.next().flatten(),
                Source::NvlinkBandwidth => entity.nvlink,
                Source::VgpuLicense => {
                    let status = driver.raw.as_ref().and_then(|raw| raw.vgpu_license(entity.device));
                    status.map(f64::from)
                }
                Source::Xid => {
                    self.xid_errors.show_last(entity.uuid, &labels, &shown.help, out);
                    None
                }
                Source::Label(_) => None,
            };
            if let Some(value) = value {
                out.add(shown.metric_type, shown.field.name, &shown.help, &labels, value);
            }
        }
        if !entity.is_instance {
            self.xid_errors.show_counts(entity.uuid, &labels, out);
        }
    }

    /// Memory of processes, added up over the groups that they belong to.
    fn processes(&self, host: &Host, device: &Device<'_>, labels: &[(String, String)], out: &mut Families) {
        let mut by_pid: BTreeMap<u32, u64> = BTreeMap::new();
        let all = [device.running_compute_processes(), device.running_graphics_processes()];
        for process in all.into_iter().flatten().flatten() {
            if let UsedGpuMemory::Used(bytes) = process.used_gpu_memory {
                // A process that computes and draws is in both lists, with all of its memory.
                let most = by_pid.entry(process.pid).or_default();
                *most = bytes.max(*most);
            }
        }
        let mut by_group: BTreeMap<String, (u64, u32)> = BTreeMap::new();
        for (pid, bytes) in by_pid {
            let group = self.groups.name_of_pid(host, pid).unwrap_or_else(|| "other".to_owned());
            let sum = by_group.entry(group).or_default();
            *sum = (sum.0 + bytes, sum.1 + 1);
        }
        for (group, (bytes, n)) in by_group {
            let mut labels: Vec<(&str, &str)> =
                labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            labels.push(("groupname", &group));
            let help = "GPU memory of the group's processes.";
            out.gauge("exporter_gpu_process_memory_bytes", help, &labels, bytes as f64);
            out.gauge("exporter_gpu_processes", "The group's processes on the GPU.", &labels, f64::from(n));
        }
    }
}

/// A GPU, or an instance of one.
struct Entity<'a, 'n> {
    device: &'a Device<'n>,
    place: Place,
    uuid: &'a str,
    /// Whether the GPU is divided into instances.
    is_mig: bool,
    is_instance: bool,
    /// MB/s over NVLinks.
    nvlink: Option<f64>,
}

fn with_pod(labels: &[(String, String)], pod: Option<&Pod>) -> Vec<(String, String)> {
    let mut labels = labels.to_vec();
    if let Some(pod) = pod {
        labels.push(("pod".to_owned(), pod.name.clone()));
        labels.push(("namespace".to_owned(), pod.namespace.clone()));
        labels.push(("container".to_owned(), pod.container.clone()));
    }
    labels
}
