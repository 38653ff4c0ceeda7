//! `node_drm_*` from `/sys/class/drm`: AMD's GPUs.

use std::path::Path;

use assay_model::MetricType::Gauge;

use super::{
    Collector, Entry, Runs,
    rows::{Row, show},
};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute},
};

pub(super) const ENTRY: Entry = Entry::off("drm", "AMD's GPUs", |_| Box::new(Drm)).runs(Runs::Aside);

/// GPUs of the driver amdgpu. What a card does not have is left out; node_exporter shows it as 0.
struct Drm;

#[rustfmt::skip]
const NUMBERS: &[Row] = &[
    ("gpu_busy_percent", "gpu_busy_percent", Gauge, 1.0, "How busy the GPU is, in percent."),
    ("mem_info_gtt_total", "memory_gtt_size_bytes", Gauge, 1.0, "Size of the graphics translation table."),
    ("mem_info_gtt_used", "memory_gtt_used_bytes", Gauge, 1.0, "Used part of the graphics translation table."),
    ("mem_info_vis_vram_total", "memory_vis_vram_size_bytes", Gauge, 1.0, "Size of the visible memory."),
    ("mem_info_vis_vram_used", "memory_vis_vram_used_bytes", Gauge, 1.0, "Used part of the visible memory."),
    ("mem_info_vram_total", "memory_vram_size_bytes", Gauge, 1.0, "Size of the memory."),
    ("mem_info_vram_used", "memory_vram_used_bytes", Gauge, 1.0, "Used part of the memory."),
];

impl Collector for Drm {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/drm");
        for card in list(&class).unwrap_or_default() {
            // Connectors are named after their cards: `card0-DP-1`.
            if card.strip_prefix("card").is_some_and(|n| n.parse::<u32>().is_ok()) {
                let device = class.join(&card).join("device");
                if is_amdgpu(&device) {
                    let text = |file: &str| read_attribute(&device.join(file)).unwrap_or_default();
                    let labels = [
                        ("card", card.as_str()),
                        ("memory_vendor", &text("mem_info_vram_vendor")),
                        ("power_performance_level", &text("power_dpm_force_performance_level")),
                        ("unique_id", &text("unique_id")),
                        ("vendor", "amd"),
                    ];
                    out.gauge("node_drm_card_info", "A card; always 1.", &labels, 1.0);
                    show(out, &device, "node_drm_", &[("card", &card)], NUMBERS);
                }
            }
        }
        Ok(())
    }
}

fn is_amdgpu(device: &Path) -> bool {
    read_attribute(&device.join("uevent"))
        .is_some_and(|text| text.lines().any(|line| line == "DRIVER=amdgpu"))
}
