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
//! unchanged; the kernel's files are read and parsed here, through the paths given, and nothing is executed; no scrape
//! waits for what hangs.

pub mod collector;
mod exporter;
mod families;
mod filter;
#[cfg(target_os = "linux")]
mod groups;
pub mod host;
mod options;
mod own;
#[cfg_attr(not(target_os = "linux"), path = "process/elsewhere.rs")]
pub mod process;
mod push;
mod server;
mod settings;
pub mod sys;
mod web;
mod worker;

pub use exporter::{Exporter, SelectError, Selection};
pub use families::{Conflict, ConflictReason, Families};
pub use filter::Filter;
pub use host::{Failure, Host, Paths};
pub use options::{Options, OptionsError};
pub use push::{PushOptions, push};
pub use server::{ServeOptions, bind, serve};
pub use settings::{Flag, Kind, Settings};
pub use web::{WebConfig, WebConfigError};
