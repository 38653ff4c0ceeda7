//! GPUs, under the names of dcgm-exporter. Framebuffer figures are MiB, clocks MHz, energy millijoules.

use super::row;
use crate::{
    board::{Board, variable},
    model::Dashboard,
    panel::{Spec, graph, states},
    query::TARGET,
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-gpu",
        title: "Assay: GPUs",
        description: "What GPUs do, how warm they are, what they draw, and what goes wrong on them.",
        variables: vec![variable("gpu", "GPU", "DCGM_FI_DEV_GPU_TEMP{job=~\"$job\"}", "gpu")],
        rows: vec![
            row("Work", 3, 8, work()),
            row("Memory", 3, 8, memory()),
            row("Power and heat", 3, 8, power()),
            row("Links and faults", 3, 8, faults()),
        ],
    }
    .build()
}

fn of(metric: &str) -> String {
    format!("{metric}{{{TARGET}, gpu=~\"$gpu\"}}")
}

fn per_second(metric: &str) -> String {
    format!("rate({metric}{{{TARGET}, gpu=~\"$gpu\"}}[$__rate_interval])")
}

const GPU: &str = "{{instance}} GPU {{gpu}}";

fn work() -> Vec<Spec> {
    vec![
        graph("Utilisation", "percent", "The share of time in which a kernel ran.")
            .query(of("DCGM_FI_DEV_GPU_UTIL"), GPU),
        graph("Tensor cores", "percentunit", "The share of cycles in which they were active.")
            .query(of("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), GPU)
            .share(),
        graph(
            "Multiprocessors",
            "percentunit",
            "The share of cycles with work, and of warps that were resident.",
        )
        .query(of("DCGM_FI_PROF_SM_ACTIVE"), "{{instance}} GPU {{gpu}} active")
        .query(of("DCGM_FI_PROF_SM_OCCUPANCY"), "{{instance}} GPU {{gpu}} occupied")
        .share(),
        graph("Graphics engine", "percentunit", "The share of time in which it was active.")
            .query(of("DCGM_FI_PROF_GR_ENGINE_ACTIVE"), GPU)
            .share(),
        graph("Video engines", "percent", "Encoder and decoder.")
            .query(of("DCGM_FI_DEV_ENC_UTIL"), "{{instance}} GPU {{gpu}} encoder")
            .query(of("DCGM_FI_DEV_DEC_UTIL"), "{{instance}} GPU {{gpu}} decoder"),
        graph(
            "Memory by process",
            "bytes",
            "Framebuffer of processes by group, if the exporter may see them.",
        )
        .query(of("exporter_gpu_process_memory_bytes"), "{{instance}} GPU {{gpu}} {{groupname}}"),
    ]
}

fn memory() -> Vec<Spec> {
    vec![
        graph("Memory in use", "percentunit", "Framebuffer, as the rules record it.")
            .query(
                "gpu:DCGM_FI_DEV_FB_USED:ratio{job=~\"$job\", instance=~\"$instance\", gpu=~\"$gpu\"}",
                GPU,
            )
            .below(0.8)
            .share(),
        graph("Memory", "decmbytes", "Framebuffer that is used, free and reserved.")
            .query(of("DCGM_FI_DEV_FB_USED"), "{{instance}} GPU {{gpu}} used")
            .query(of("DCGM_FI_DEV_FB_FREE"), "{{instance}} GPU {{gpu}} free")
            .query(of("DCGM_FI_DEV_FB_RESERVED"), "{{instance}} GPU {{gpu}} reserved")
            .stacked(),
        graph("Memory's interface", "percentunit", "The share of cycles in which DRAM was read or written.")
            .query(of("DCGM_FI_PROF_DRAM_ACTIVE"), GPU)
            .share(),
        graph("Copies", "percent", "The share of time in which memory was read or written.")
            .query(of("DCGM_FI_DEV_MEM_COPY_UTIL"), GPU),
    ]
}

fn power() -> Vec<Spec> {
    vec![
        graph("Power", "watt", "What is drawn, and the limit.")
            .query(of("DCGM_FI_DEV_POWER_USAGE"), "{{instance}} GPU {{gpu}} drawn")
            .query(of("DCGM_FI_DEV_POWER_MGMT_LIMIT"), "{{instance}} GPU {{gpu}} limit"),
        graph("Power from the energy counter", "watt", "The mean over the interval.")
            .query(format!("{} / 1000", per_second("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")), GPU),
        graph("Temperature", "celsius", "Of the chip and of its memory; clocks drop above 85 °C.")
            .query(of("DCGM_FI_DEV_GPU_TEMP"), "{{instance}} GPU {{gpu}} chip")
            .query(of("DCGM_FI_DEV_MEMORY_TEMP"), "{{instance}} GPU {{gpu}} memory")
            .below(85.0),
        graph("Clocks", "rotmhz", "Of the multiprocessors and of the memory.")
            .query(of("DCGM_FI_DEV_SM_CLOCK"), "{{instance}} GPU {{gpu}} multiprocessors")
            .query(of("DCGM_FI_DEV_MEM_CLOCK"), "{{instance}} GPU {{gpu}} memory"),
        states(
            "Why clocks are low",
            "The reasons for throttling, as bits; 0 for none.",
            &[(0, "none", "green")],
        )
        .query(of("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"), GPU),
    ]
}

fn faults() -> Vec<Spec> {
    vec![
        graph("PCIe", "Bps", "Bytes received and sent each second.")
            .query(of("DCGM_FI_PROF_PCIE_RX_BYTES"), "{{instance}} GPU {{gpu}} received")
            .query(of("DCGM_FI_PROF_PCIE_TX_BYTES"), "{{instance}} GPU {{gpu}} sent"),
        graph("NVLink", "Bps", "Bytes received and sent each second.")
            .query(of("DCGM_FI_PROF_NVLINK_RX_BYTES"), "{{instance}} GPU {{gpu}} received")
            .query(of("DCGM_FI_PROF_NVLINK_TX_BYTES"), "{{instance}} GPU {{gpu}} sent"),
        graph("PCIe packets sent again", "ops", "Each second; a good link has none.")
            .query(per_second("DCGM_FI_DEV_PCIE_REPLAY_COUNTER"), GPU),
        states("XID", "The last error that the driver logged; 0 for none.", &[(0, "none", "green")])
            .query(of("DCGM_FI_DEV_XID_ERRORS"), GPU),
        graph("ECC errors", "short", "Errors of memory: corrected by one bit, and not correctable.")
            .query(of("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"), "{{instance}} GPU {{gpu}} corrected")
            .query(of("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"), "{{instance}} GPU {{gpu}} not correctable"),
        graph(
            "Rows of memory that were replaced",
            "short",
            "By the kind of error, and those that could not be.",
        )
        .query(of("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS"), "{{instance}} GPU {{gpu}} correctable")
        .query(of("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"), "{{instance}} GPU {{gpu}} not correctable")
        .query(of("DCGM_FI_DEV_ROW_REMAP_FAILURE"), "{{instance}} GPU {{gpu}} failed"),
    ]
}
