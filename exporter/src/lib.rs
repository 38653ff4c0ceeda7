//! Host and GPU metrics under the names of node_exporter and dcgm-exporter.
//!
//! [`Exporter::gather`] reads the host once and gives metric families; [`serve`] shows them over HTTP. A program
//! that embeds the exporter makes one [`Exporter`] and keeps it, because collectors remember what they must
//! (a CPU counter shown once never runs backwards, a mount that hangs is not asked again).
//!
//! ```
//! use exporter::{Exporter, Options};
//!
//! let exporter = Exporter::new(Options::default());
//! let families = exporter.gather();
//! assert!(families.iter().any(|family| family.name == "node_memory_MemTotal_bytes"));
//! ```
//!
//! Invariants: names, labels, types and units are node_exporter 1.11's, so that its dashboards and alerts work
//! unchanged; the kernel's files are read and parsed here, through the paths given, and nothing is executed.

mod adjtimex;
pub mod collector;
mod exporter;
mod families;
mod filter;
pub mod host;
mod options;
pub mod process;
mod server;
mod web;

pub use exporter::{Exporter, SelectError, Selection};
pub use families::Families;
pub use filter::Filter;
pub use host::{Failure, Host, Paths};
pub use options::{
    DISKS_EXCLUDED, FILESYSTEM_TYPES_EXCLUDED, MOUNT_POINTS_EXCLUDED, NETSTAT_FIELDS, Options, OptionsError,
    VMSTAT_FIELDS,
};
pub use server::{ServeOptions, serve};
pub use web::{WebConfig, WebConfigError};
