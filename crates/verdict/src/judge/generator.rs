//! Whether the generator itself kept load from being offered. Invariant: what a slow target causes is never the
//! generator's fault.

use assay_model::{Matcher, duration};

use crate::{
    source::{Source, SourceError, one_number},
    units,
    verdict::Window,
};

/// How late the generator may be, at the 99th percentile, before the load is not what was planned.
const LATE_S: f64 = 1.0;
/// The part of its iterations that it may drop while its users have time.
pub(crate) const DROPPED: f64 = 0.01;

/// What the generator did wrong in a window.
pub(super) fn fault(window: &Window, source: &dyn Source) -> Result<Option<String>, SourceError> {
    let range = duration::format_ms(window.len_ms());
    let of_phase = window
        .phase
        .as_ref()
        .map_or_else(String::new, |p| format!("{{{}}}", Matcher::equal(assay_run::plan::PHASE_LABEL, p)));
    let number = |expression: &str| {
        let expression = expression.replace("PHASE", &of_phase).replace("RANGE", &range);
        one_number(source, &expression, window.end_ms)
    };
    if let Some(lag) =
        number("histogram_quantile(0.99, sum(increase(load_schedule_lag_secondsPHASE[RANGE])))")?
        && lag > LATE_S
    {
        let lag = units::quantity(lag, "s");
        return Ok(Some(format!(
            "the generator started requests up to {lag} late (p99): the load was not offered as planned"
        )));
    }
    let Some(dropped) = Dropped::of(number)?.filter(|d| d.is_idle) else { return Ok(None) };
    Ok(Some(format!(
        "the generator dropped {} iterations while the target was idle: raise the number of users, or give the generator a host of its own",
        units::digits(dropped.count.round())
    )))
}

/// Iterations that never began, more than may be.
pub(crate) struct Dropped {
    pub(crate) count: f64,
    /// Those that began.
    pub(crate) done: f64,
    /// The most users, and how many requests were in flight on average.
    pub(crate) users: f64,
    pub(crate) in_flight: f64,
    /// Whether the users had time for more.
    pub(crate) is_idle: bool,
}

impl Dropped {
    /// The count of them; in expressions `PHASE` stands for a matcher in braces or nothing, `RANGE` for the window's length.
    pub(crate) const COUNT: &'static str = "sum(increase(load_iterations_dropped_totalPHASE[RANGE]))";

    /// Those of a window, of which `number` answers expressions.
    pub(crate) fn of(
        number: impl Fn(&str) -> Result<Option<f64>, SourceError>,
    ) -> Result<Option<Self>, SourceError> {
        let count = number(Self::COUNT)?.unwrap_or(0.0);
        if count < 0.5 {
            return Ok(None);
        }
        let done = number("sum(increase(load_iterations_totalPHASE[RANGE]))")?.unwrap_or(0.0);
        let users = number("sum(max_over_time(load_usersPHASE[RANGE]))")?;
        let in_flight = number(
            "histogram_sum(sum(rate(http_client_request_duration_secondsPHASE[RANGE]))) or sum(rate(http_client_request_duration_seconds_sumPHASE[RANGE]))",
        )?;
        let is_idle = users.zip(in_flight).is_some_and(|(users, busy)| busy < users / 2.0);
        let (users, in_flight) = (users.unwrap_or(0.0), in_flight.unwrap_or(0.0));
        Ok((count > DROPPED * (done + count)).then_some(Self { count, done, users, in_flight, is_idle }))
    }
}
