//! Which trace a user is in (W3C Trace Context). Invariant: the decision to sample follows from the trace's
//! id alone, as OpenTelemetry's `TraceIdRatioBased` has it, so that every party comes to the same one.

use http::HeaderValue;

/// The trace of an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: u128,
    /// The iteration's span.
    pub(crate) span_id: u64,
    pub(crate) is_sampled: bool,
}

impl Context {
    pub(super) fn new(trace_id: u128, span_id: u64, bound: u64) -> Self {
        Self { trace_id, span_id, is_sampled: is_sampled(trace_id, bound) }
    }

    /// The header that names to a service its parent `span_id`.
    pub(super) fn header(&self, span_id: u64) -> Option<HeaderValue> {
        let flags = u8::from(self.is_sampled);
        HeaderValue::try_from(format!("00-{:032x}-{span_id:016x}-{flags:02x}", self.trace_id)).ok()
    }
}

/// What the number from a trace's id has to be below for `ratio` of all traces.
pub(super) fn sampling_bound(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64
}

/// The lower 63 random bits of the id decide.
fn is_sampled(trace_id: u128, bound: u64) -> bool {
    (trace_id as u64) >> 1 < bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_form_that_w3c_gives_it() {
        let context = Context { trace_id: 0xab, span_id: 7, is_sampled: true };
        let header = context.header(0xf0).expect("valid");
        assert_eq!(header, "00-000000000000000000000000000000ab-00000000000000f0-01");
        let header = Context { is_sampled: false, ..context }.header(1).expect("valid");
        assert_eq!(header, "00-000000000000000000000000000000ab-0000000000000001-00");
    }

    #[test]
    fn the_share_of_sampled_traces_is_the_ratio_and_the_same_ids_stay_sampled() {
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        let ids: Vec<u128> = (0..20_000)
            .map(|_| {
                x = crate::seed::mix(x);
                u128::from(x)
            })
            .collect();
        let share = |ratio: f64| ids.iter().filter(|id| is_sampled(**id, sampling_bound(ratio))).count();
        assert_eq!((share(0.0), share(1.0)), (0, ids.len()));
        // Four standard deviations of 20,000 draws.
        assert!((share(0.25) as i64 - 5000).abs() < 245, "{}", share(0.25));
        let at = |ratio| sampling_bound(ratio);
        assert!(ids.iter().all(|id| !is_sampled(*id, at(0.1)) || is_sampled(*id, at(0.3))));
    }
}
