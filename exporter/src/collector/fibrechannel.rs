//! `node_fibrechannel_*` from `/sys/class/fc_host`.

use super::{Collector, Entry};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute},
};

pub(super) const ENTRY: Entry =
    Entry::on("fibrechannel", "Fibre Channel host adapters", |_| Box::new(FibreChannel));

/// Fibre Channel host adapters.
struct FibreChannel;

const INFO: [&str; 10] = [
    "speed",
    "port_state",
    "port_type",
    "port_id",
    "port_name",
    "fabric_name",
    "symbolic_name",
    "supported_classes",
    "supported_speeds",
    "dev_loss_tmo",
];

/// File below `statistics`, and metric.
const STATISTICS: [(&str, &str); 14] = [
    ("dumped_frames", "dumped_frames"),
    ("error_frames", "error_frames"),
    ("invalid_crc_count", "invalid_crc"),
    ("rx_frames", "rx_frames"),
    ("rx_words", "rx_words"),
    ("tx_frames", "tx_frames"),
    ("tx_words", "tx_words"),
    ("seconds_since_last_reset", "seconds_since_last_reset"),
    ("invalid_tx_word_count", "invalid_tx_words"),
    ("link_failure_count", "link_failure"),
    ("loss_of_sync_count", "loss_of_sync"),
    ("loss_of_signal_count", "loss_of_signal"),
    ("nos_count", "nos"),
    ("fcp_packet_aborts", "fcp_packet_aborts"),
];

impl Collector for FibreChannel {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/fc_host");
        for name in list(&class)? {
            let directory = class.join(&name);
            let texts = INFO.map(|file| {
                let text = read_attribute(&directory.join(file)).unwrap_or_default();
                match file {
                    // Identities are hexadecimal.
                    "port_id" | "port_name" | "fabric_name" => {
                        text.strip_prefix("0x").map(str::to_owned).unwrap_or(text)
                    }
                    _ => text,
                }
            });
            let mut labels = vec![("fc_host", name.as_str())];
            labels.extend(INFO.into_iter().zip(texts.iter().map(String::as_str)));
            out.gauge("node_fibrechannel_info", "An adapter; always 1.", &labels, 1.0);
            for (file, metric) in STATISTICS {
                let text = read_attribute(&directory.join("statistics").join(file)).unwrap_or_default();
                let value = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
                // An adapter that does not count shows ones only.
                if let Some(value) = value.filter(|value| *value != u64::MAX) {
                    let help = format!("{file} of the adapter.");
                    let family = format!("node_fibrechannel_{metric}_total");
                    out.counter(&family, &help, &[("fc_host", &name)], value as f64);
                }
            }
        }
        Ok(())
    }
}
