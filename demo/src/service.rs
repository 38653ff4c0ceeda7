//! A service to put load on: the back end of a clinical assistant that answers questions from passages it found
//! (retrieval-augmented generation).
//!
//! Every stage does its work while it is measured. A question is embedded, by feature hashing or by MiniLM; the passages
//! that the user may read are compared with it, in process or in CyborgDB; the answer is written by a language model
//! elsewhere, or drawn from the best passages at the pace of a simulated one, whose queue and batch are real.
//!
//! Invariant: whatever a request waits for is a slot that another request holds; no latency is made up, except as a
//! [`Profile`] or a planted [`Fault`] says.

mod auth;
mod cache;
pub mod corpus;
pub mod embed;
mod failure;
mod faults;
mod gate;
mod http;
mod llm;
pub mod metrics;
mod options;
mod parts;
mod patients;
mod pipeline;
mod profile;
mod prompt;
mod role;
mod search;

pub use self::{
    embed::EmbedderKind,
    faults::{Fault, Kind as FaultKind},
    http::{Service, serve},
    llm::RemoteOptions,
    options::{CacheOptions, Limits, LlmOptions, ServiceOptions, Timeouts, User},
    profile::{Delay, Draw, Profile, StageSlots},
    role::{Right, Role},
    search::cyborgdb::CyborgDbOptions,
};
