//! What a person sees while the load runs. Invariant: a view takes copies and never holds the load up.

mod draw;
pub mod lines;
pub mod terminal;

use crate::{progress::Progress, summary::Summary};

/// Shows a run.
pub trait View: Send {
    /// About once a second, and when a phase begins or ends.
    fn update(&mut self, progress: &Progress);

    /// The run is over; a view that took the terminal gives it back.
    fn finish(&mut self, _summary: &Summary) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl View for Quiet {
    fn update(&mut self, _progress: &Progress) {}
}
