//! The hosts: processors, memory, disks, network, and the processes on them. In a container without host networking
//! the exporter shows the network that it reads below `<procfs>/1/net`.

use super::row;
use crate::{
    board::Board,
    model::Dashboard,
    panel::{Spec, bars, graph, states},
    query::{TARGET, cpu_busy, gauge, memory_used, rate},
};

pub(super) fn board() -> Dashboard {
    Board {
        uid: "assay-host",
        title: "Assay: hosts",
        description: "Processors, memory, disks, network and processes. On Docker Desktop the host is its virtual machine.",
        variables: Vec::new(),
        rows: vec![
            row("Processors", 3, 8, processors()),
            row("Memory", 3, 8, memory()),
            row("Disks", 3, 8, disks()),
            row("Network", 3, 8, network()),
            row("Processes and containers", 3, 8, processes()),
            row("The exporter", 3, 7, exporter()),
        ],
    }
    .build()
}

fn per_second(metric: &str) -> String {
    format!("rate({metric}{{{TARGET}}}[$__rate_interval])")
}

fn processors() -> Vec<Spec> {
    vec![
        graph("CPU in use", "percentunit", "Waiting for a disk is no use.")
            .query(cpu_busy(), "{{instance}}")
            .below_objective("Host CPU", 0.01)
            .share(),
        graph("CPU by mode", "percentunit", "What processors do, iowait included.")
            .query(
                format!(
                    "{} / on (instance) group_left () {}",
                    rate("node_cpu_seconds_total", &format!("{TARGET}, mode!=\"idle\""), "instance, mode"),
                    rate("node_cpu_seconds_total", TARGET, "instance")
                ),
                "{{instance}} {{mode}}",
            )
            .stacked()
            .share(),
        graph("Load", "short", "Processes that run or wait to, averaged over 1, 5 and 15 minutes.")
            .query(gauge("node_load1", TARGET, "instance"), "{{instance}} 1m")
            .query(gauge("node_load5", TARGET, "instance"), "{{instance}} 5m")
            .query(gauge("node_load15", TARGET, "instance"), "{{instance}} 15m"),
        graph(
            "Pressure",
            "percentunit",
            "The share of time in which work is held up for want of a resource.",
        )
        .query(per_second("node_pressure_cpu_waiting_seconds_total"), "{{instance}} cpu")
        .query(per_second("node_pressure_memory_waiting_seconds_total"), "{{instance}} memory")
        .query(per_second("node_pressure_io_waiting_seconds_total"), "{{instance}} io")
        .query(per_second("node_pressure_memory_stalled_seconds_total"), "{{instance}} memory, all of it")
        .query(per_second("node_pressure_io_stalled_seconds_total"), "{{instance}} io, all of it"),
        graph("Switches, interrupts, forks", "ops", "Each second.")
            .query(per_second("node_context_switches_total"), "{{instance}} context switches")
            .query(per_second("node_intr_total"), "{{instance}} interrupts")
            .query(per_second("node_forks_total"), "{{instance}} forks"),
        graph("Running and blocked", "short", "Processes that run, and those that wait for input or output.")
            .query(gauge("node_procs_running", TARGET, "instance"), "{{instance}} running")
            .query(gauge("node_procs_blocked", TARGET, "instance"), "{{instance}} blocked"),
    ]
}

fn memory() -> Vec<Spec> {
    let of = |field: &str| format!("node_memory_{field}_bytes{{{TARGET}}}");
    vec![
        graph("Memory in use", "percentunit", "Caches not counted.")
            .query(memory_used(), "{{instance}}")
            .below_objective("Host memory", 0.01)
            .share(),
        graph("Memory by kind", "bytes", "Where it goes.")
            .query(of("AnonPages"), "{{instance}} processes")
            .query(of("Cached"), "{{instance}} cache")
            .query(of("Slab"), "{{instance}} kernel objects")
            .query(of("Shmem"), "{{instance}} shared")
            .query(of("MemFree"), "{{instance}} free")
            .stacked(),
        graph("Swap", "bytes", "Swap in use.")
            .query(format!("{} - {}", of("SwapTotal"), of("SwapFree")), "{{instance}}"),
        graph("Pages to and from swap", "ops", "Each second; latency depends on a disk when there are many.")
            .query(per_second("node_vmstat_pswpin"), "{{instance}} in")
            .query(per_second("node_vmstat_pswpout"), "{{instance}} out"),
        graph("Page faults", "ops", "Each second; major ones read from a disk.")
            .query(per_second("node_vmstat_pgfault"), "{{instance}} all")
            .query(per_second("node_vmstat_pgmajfault"), "{{instance}} major"),
        graph("Kills for memory", "short", "Processes that the kernel killed within the interval.")
            .query(format!("increase(node_vmstat_oom_kill{{{TARGET}}}[$__rate_interval])"), "{{instance}}"),
    ]
}

fn disks() -> Vec<Spec> {
    vec![
        graph("Disks busy", "percentunit", "The share of time in which a disk had something to do.").query(per_second("node_disk_io_time_seconds_total"), "{{instance}} {{device}}").share(),
        graph("Bytes", "Bps", "Read and written each second.")
            .query(per_second("node_disk_read_bytes_total"), "{{instance}} {{device}} read")
            .query(per_second("node_disk_written_bytes_total"), "{{instance}} {{device}} written"),
        graph("Operations", "iops", "Read and written each second.")
            .query(per_second("node_disk_reads_completed_total"), "{{instance}} {{device}} read")
            .query(per_second("node_disk_writes_completed_total"), "{{instance}} {{device}} written"),
        graph("Time of an operation", "s", "The mean of reads and of writes.")
            .query(format!("{} / {}", per_second("node_disk_read_time_seconds_total"), per_second("node_disk_reads_completed_total")), "{{instance}} {{device}} read")
            .query(format!("{} / {}", per_second("node_disk_write_time_seconds_total"), per_second("node_disk_writes_completed_total")), "{{instance}} {{device}} written"),
        bars("File systems", "percentunit", "The part that is used.")
            .query(format!("1 - node_filesystem_avail_bytes{{{TARGET}, fstype!~\"tmpfs|overlay|squashfs|ramfs|iso9660\"}} / node_filesystem_size_bytes{{{TARGET}, fstype!~\"tmpfs|overlay|squashfs|ramfs|iso9660\"}}"), "{{instance}} {{mountpoint}}")
            .below(0.95)
            .share(),
        bars("Inodes", "percentunit", "The part of the files of a file system that is used.")
            .query(format!("1 - node_filesystem_files_free{{{TARGET}}} / (node_filesystem_files{{{TARGET}}} > 0)"), "{{instance}} {{mountpoint}}")
            .below(0.95)
            .share(),
    ]
}

fn network() -> Vec<Spec> {
    vec![
        graph("Bytes by device", "Bps", "Received and sent each second.")
            .query(
                rate("node_network_receive_bytes_total", TARGET, "instance, device"),
                "{{instance}} {{device}} received",
            )
            .query(
                rate("node_network_transmit_bytes_total", TARGET, "instance, device"),
                "{{instance}} {{device}} sent",
            ),
        graph("Packets that were lost", "pps", "Errors and drops each second.")
            .query(
                rate("node_network_receive_errs_total", TARGET, "instance, device"),
                "{{instance}} {{device}} errors in",
            )
            .query(
                rate("node_network_transmit_errs_total", TARGET, "instance, device"),
                "{{instance}} {{device}} errors out",
            )
            .query(
                rate("node_network_receive_drop_total", TARGET, "instance, device"),
                "{{instance}} {{device}} drops in",
            )
            .query(
                rate("node_network_transmit_drop_total", TARGET, "instance, device"),
                "{{instance}} {{device}} drops out",
            ),
        graph("TCP connections", "short", "Connections that are open, in use, or wait for their end.")
            .query(gauge("node_netstat_Tcp_CurrEstab", TARGET, "instance"), "{{instance}} established")
            .query(gauge("node_sockstat_TCP_inuse", TARGET, "instance"), "{{instance}} in use")
            .query(gauge("node_sockstat_TCP_tw", TARGET, "instance"), "{{instance}} time-wait"),
        graph(
            "TCP trouble",
            "ops",
            "Segments sent again, resets, and connections that found the listen queue full.",
        )
        .query(per_second("node_netstat_Tcp_RetransSegs"), "{{instance}} sent again")
        .query(per_second("node_netstat_Tcp_OutRsts"), "{{instance}} resets")
        .query(per_second("node_netstat_TcpExt_ListenOverflows"), "{{instance}} queue full"),
        graph("Connections opened", "ops", "Each second.")
            .query(per_second("node_netstat_Tcp_ActiveOpens"), "{{instance}} by the host")
            .query(per_second("node_netstat_Tcp_PassiveOpens"), "{{instance}} by others"),
        graph("Connections tracked", "percentunit", "The part of the firewall's table that is used.")
            .query(
                format!(
                    "node_nf_conntrack_entries{{{TARGET}}} / node_nf_conntrack_entries_limit{{{TARGET}}}"
                ),
                "{{instance}}",
            )
            .share(),
    ]
}

fn processes() -> Vec<Spec> {
    vec![
        graph("Processors by process", "short", "Processors that a scraped process uses.")
            .query(rate("process_cpu_seconds_total", TARGET, "job, instance"), "{{job}} {{instance}}"),
        graph("Memory by process", "bytes", "Resident memory of scraped processes.")
            .query(gauge("process_resident_memory_bytes", TARGET, "job, instance"), "{{job}} {{instance}}"),
        graph("File descriptors", "percentunit", "The part of the file descriptors that a process may open.")
            .query(
                format!("process_open_fds{{{TARGET}}} / process_max_fds{{{TARGET}}}"),
                "{{job}} {{instance}}",
            )
            .below(0.8)
            .share(),
        graph("File descriptors of the host", "percentunit", "The part that is allocated.")
            .query(
                format!("node_filefd_allocated{{{TARGET}}} / node_filefd_maximum{{{TARGET}}}"),
                "{{instance}}",
            )
            .share(),
        graph("Containers' processors", "short", "Processors that a container uses.")
            .query(rate("container_cpu_usage_seconds_total", TARGET, "instance, id"), "{{instance}} {{id}}"),
        graph(
            "Containers that are throttled",
            "percentunit",
            "The share of periods in which a container had used up its processor time.",
        )
        .query(
            format!(
                "{} / {}",
                rate("container_cpu_cfs_throttled_periods_total", TARGET, "instance, id"),
                rate("container_cpu_cfs_periods_total", TARGET, "instance, id")
            ),
            "{{instance}} {{id}}",
        )
        .below(0.25)
        .share(),
        graph("Containers' memory", "bytes", "The working set of a container.").query(
            gauge("container_memory_working_set_bytes", TARGET, "instance, id"),
            "{{instance}} {{id}}",
        ),
    ]
}

fn exporter() -> Vec<Spec> {
    vec![
        states("Targets", "Whether each target was scraped.", &[(0, "down", "red"), (1, "up", "green")])
            .query(format!("up{{{TARGET}}}"), "{{job}} {{instance}}"),
        graph("Time of a scrape", "s", "By target.")
            .query(format!("scrape_duration_seconds{{{TARGET}}}"), "{{job}} {{instance}}"),
        graph("Time of a collector", "s", "By collector.").query(
            format!("max by (instance, collector) (node_scrape_collector_duration_seconds{{{TARGET}}})"),
            "{{instance}} {{collector}}",
        ),
    ]
}
