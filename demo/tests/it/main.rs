//! The service over real HTTP.

#![allow(clippy::unwrap_used)]

mod bounds;
mod client;
mod failures;
mod faults;
mod openai;
mod output;
mod parts;
mod planted;
mod queries;
#[cfg(feature = "minilm")]
mod real_parts;
mod rights;
mod secrets;
mod traces;
