//! `node_infiniband_*` from `/sys/class/infiniband`.

use assay_model::MetricType::Counter;

use super::{
    Collector, Entry,
    rows::{Row, show},
};
use crate::{
    Failure, Families, Host,
    host::{list, read_attribute, read_attribute_number},
};

pub(super) const ENTRY: Entry =
    Entry::on("infiniband", "InfiniBand and RDMA adapters", |_| Box::new(Infiniband));

/// InfiniBand adapters and their ports. A port without performance counters says so in their files, which are then left
/// out.
struct Infiniband;

/// Data is counted in words of four bytes.
const WORD: f64 = 4.0;

#[rustfmt::skip]
const COUNTERS: &[Row] = &[
    ("counters/VL15_dropped", "vl15_dropped_total", Counter, 1.0, "Management packets dropped."),
    ("counters/excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors_total", Counter, 1.0, "Buffer overruns."),
    ("counters/link_downed", "link_downed_total", Counter, 1.0, "Times that the link went down."),
    ("counters/link_error_recovery", "link_error_recovery_total", Counter, 1.0, "Times that the link recovered from an error."),
    ("counters/local_link_integrity_errors", "local_link_integrity_errors_total", Counter, 1.0, "Local link integrity errors."),
    ("counters/multicast_rcv_packets", "multicast_packets_received_total", Counter, 1.0, "Multicast packets received."),
    ("counters/multicast_xmit_packets", "multicast_packets_transmitted_total", Counter, 1.0, "Multicast packets sent."),
    ("counters/port_rcv_constraint_errors", "port_constraint_errors_received_total", Counter, 1.0, "Packets discarded by the port's constraints."),
    ("counters/port_rcv_data", "port_data_received_bytes_total", Counter, WORD, "Bytes received."),
    ("counters/port_rcv_discards", "port_discards_received_total", Counter, 1.0, "Received packets discarded."),
    ("counters/port_rcv_errors", "port_errors_received_total", Counter, 1.0, "Received packets with errors."),
    ("counters/port_rcv_packets", "port_packets_received_total", Counter, 1.0, "Packets received."),
    ("counters/port_rcv_remote_physical_errors", "port_receive_remote_physical_errors_total", Counter, 1.0, "Packets marked bad by the other end."),
    ("counters/port_rcv_switch_relay_errors", "port_receive_switch_relay_errors_total", Counter, 1.0, "Packets that could not be forwarded."),
    ("counters/port_xmit_constraint_errors", "port_constraint_errors_transmitted_total", Counter, 1.0, "Packets not sent for the port's constraints."),
    ("counters/port_xmit_data", "port_data_transmitted_bytes_total", Counter, WORD, "Bytes sent."),
    ("counters/port_xmit_discards", "port_discards_transmitted_total", Counter, 1.0, "Packets to be sent discarded."),
    ("counters/port_xmit_packets", "port_packets_transmitted_total", Counter, 1.0, "Packets sent."),
    ("counters/port_xmit_wait", "port_transmit_wait_total", Counter, 1.0, "Ticks in which there was data and it could not be sent."),
    ("counters/symbol_error", "symbol_error_total", Counter, 1.0, "Minor link errors."),
    ("counters/unicast_rcv_packets", "unicast_packets_received_total", Counter, 1.0, "Unicast packets received."),
    ("counters/unicast_xmit_packets", "unicast_packets_transmitted_total", Counter, 1.0, "Unicast packets sent."),
    ("counters_ext/port_multicast_rcv_packets", "legacy_multicast_packets_received_total", Counter, 1.0, "Multicast packets received."),
    ("counters_ext/port_multicast_xmit_packets", "legacy_multicast_packets_transmitted_total", Counter, 1.0, "Multicast packets sent."),
    ("counters_ext/port_rcv_data_64", "legacy_data_received_bytes_total", Counter, WORD, "Bytes received."),
    ("counters_ext/port_rcv_packets_64", "legacy_packets_received_total", Counter, 1.0, "Packets received."),
    ("counters_ext/port_unicast_rcv_packets", "legacy_unicast_packets_received_total", Counter, 1.0, "Unicast packets received."),
    ("counters_ext/port_unicast_xmit_packets", "legacy_unicast_packets_transmitted_total", Counter, 1.0, "Unicast packets sent."),
    ("counters_ext/port_xmit_data_64", "legacy_data_transmitted_bytes_total", Counter, WORD, "Bytes sent."),
    ("counters_ext/port_xmit_packets_64", "legacy_packets_transmitted_total", Counter, 1.0, "Packets sent."),
    ("hw_counters/duplicate_request", "duplicate_requests_packets_total", Counter, 1.0, "Duplicate requests."),
    ("hw_counters/implied_nak_seq_err", "implied_nak_seq_errors_total", Counter, 1.0, "Requests acknowledged out of sequence."),
    ("hw_counters/local_ack_timeout_err", "local_ack_timeout_errors_total", Counter, 1.0, "Acknowledgements that did not come."),
    ("hw_counters/np_cnp_sent", "np_cnp_packets_sent_total", Counter, 1.0, "Congestion notifications sent."),
    ("hw_counters/np_ecn_marked_roce_packets", "np_ecn_marked_roce_packets_received_total", Counter, 1.0, "Packets marked for congestion."),
    ("hw_counters/out_of_buffer", "out_of_buffer_drops_total", Counter, 1.0, "Packets dropped for want of a buffer."),
    ("hw_counters/out_of_sequence", "out_of_sequence_packets_received_total", Counter, 1.0, "Packets out of sequence."),
    ("hw_counters/packet_seq_err", "packet_sequence_errors_total", Counter, 1.0, "Negative acknowledgements for sequence errors."),
    ("hw_counters/req_cqe_error", "req_cqes_errors_total", Counter, 1.0, "Requester's completions with errors."),
    ("hw_counters/req_cqe_flush_error", "req_cqes_flush_errors_total", Counter, 1.0, "Requester's completions flushed with errors."),
    ("hw_counters/req_remote_access_errors", "req_remote_access_errors_total", Counter, 1.0, "Requester's remote access errors."),
    ("hw_counters/req_remote_invalid_request", "req_remote_invalid_request_errors_total", Counter, 1.0, "Requester's remote invalid requests."),
    ("hw_counters/resp_cqe_error", "resp_cqes_errors_total", Counter, 1.0, "Responder's completions with errors."),
    ("hw_counters/resp_cqe_flush_error", "resp_cqes_flush_errors_total", Counter, 1.0, "Responder's completions flushed with errors."),
    ("hw_counters/resp_local_length_error", "resp_local_length_errors_total", Counter, 1.0, "Responder's local length errors."),
    ("hw_counters/resp_remote_access_errors", "resp_remote_access_errors_total", Counter, 1.0, "Responder's remote access errors."),
    ("hw_counters/rnr_nak_retry_err", "rnr_nak_retry_packets_received_total", Counter, 1.0, "Receiver not ready, retries exceeded."),
    ("hw_counters/roce_adp_retrans", "roce_adp_retransmits_total", Counter, 1.0, "Adaptive retransmissions."),
    ("hw_counters/roce_adp_retrans_to", "roce_adp_retransmits_timeout_total", Counter, 1.0, "Adaptive retransmissions that timed out."),
    ("hw_counters/roce_slow_restart", "roce_slow_restart_used_total", Counter, 1.0, "Times that slow restart was used."),
    ("hw_counters/roce_slow_restart_cnps", "roce_slow_restart_cnps_total", Counter, 1.0, "Congestion notifications of slow restart."),
    ("hw_counters/roce_slow_restart_trans", "roce_slow_restart_total", Counter, 1.0, "Times that slow restart changed its state."),
    ("hw_counters/rp_cnp_handled", "rp_cnp_packets_handled_total", Counter, 1.0, "Congestion notifications that lowered the rate."),
    ("hw_counters/rp_cnp_ignored", "rp_cnp_ignored_packets_received_total", Counter, 1.0, "Congestion notifications ignored."),
    ("hw_counters/rx_atomic_requests", "rx_atomic_requests_total", Counter, 1.0, "Atomic requests received."),
    ("hw_counters/rx_dct_connect", "rx_dct_connect_requests_total", Counter, 1.0, "Connection requests received."),
    ("hw_counters/rx_icrc_encapsulated", "rx_icrc_encapsulated_errors_total", Counter, 1.0, "Packets with a wrong checksum."),
    ("hw_counters/rx_read_requests", "rx_read_requests_total", Counter, 1.0, "Read requests received."),
    ("hw_counters/rx_write_requests", "rx_write_requests_total", Counter, 1.0, "Write requests received."),
];

const BYTES_PER_S_OF_GBIT: f64 = 1e9 / 8.0;

impl Collector for Infiniband {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let class = host.sys_path("class/infiniband");
        for device in list(&class)? {
            let directory = class.join(&device);
            let text = |file: &str| read_attribute(&directory.join(file)).unwrap_or_default();
            let labels = [
                ("device", device.as_str()),
                ("board_id", &text("board_id")),
                ("firmware_version", &text("fw_ver")),
                ("hca_type", &text("hca_type")),
            ];
            out.gauge("node_infiniband_info", "An adapter; always 1.", &labels, 1.0);
            for port in list(&directory.join("ports")).unwrap_or_default() {
                let path = directory.join("ports").join(&port);
                let labels = [("device", device.as_str()), ("port", port.as_str())];
                // `4: ACTIVE`, and `40 Gb/sec (4X QDR)`.
                let leading = |file: &str| {
                    let text = read_attribute(&path.join(file))?;
                    text.split([':', ' ']).next()?.parse::<f64>().ok()
                };
                for (file, name, factor) in [
                    ("state", "state_id", 1.0),
                    ("phys_state", "physical_state_id", 1.0),
                    ("rate", "rate_bytes_per_second", BYTES_PER_S_OF_GBIT),
                ] {
                    if let Some(value) = leading(file) {
                        let help = format!("{file} of the port.");
                        out.gauge(&format!("node_infiniband_{name}"), &help, &labels, value * factor);
                    }
                }
                if let Some(ms) = read_attribute_number(&path.join("hw_counters/lifespan")) {
                    let help = "How old counters may be.";
                    out.gauge("node_infiniband_lifespan_seconds", help, &labels, ms / 1000.0);
                }
                show(out, &path, "node_infiniband_", &labels, COUNTERS);
            }
        }
        Ok(())
    }
}
