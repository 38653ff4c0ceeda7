//! What a person sees while the load runs. Invariant: a view takes copies and never holds the load up.

mod draw;
pub mod lines;
pub mod terminal;

pub use crate::progress::{Quiet, View};
