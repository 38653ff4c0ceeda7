//! A service to put load on: the back end of a clinical assistant that answers questions from passages it found
//! (retrieval-augmented generation).
//!
//! Every stage does its work while it is measured. A question is embedded as hashed n-grams on a bounded pool, all
//! passages that the user may read are compared with it, and the answer is drawn from the best of them. Only the
//! language model's arithmetic is left out: [`llm`] keeps its queue, its batch and its pace, and takes the time
//! that they cost.
//!
//! Invariant: whatever a request waits for is a slot that another request holds; no latency is made up, except
//! where [`Faults`] ask for it.

pub mod auth;
pub mod corpus;
pub mod embed;
mod http;
pub mod llm;
pub mod metrics;
mod options;
mod pipeline;
mod prompt;
mod search;

pub use http::{Service, serve};
pub use options::{Faults, LlmOptions, Role, ServiceOptions, User};
