//! Float histograms, encoding 3: every number is an XOR with the one before it. Invariant: each number has a
//! window of its own, and a stale marker leaves those of the buckets alone.

use assay_model::{CounterResetHint, FloatHistogram, Span};

use super::{
    histogram::{Native, Side},
    layout::{Layout, bucket_count},
};
use crate::bits::{BitReader, BitWriter, XorWindow};

/// The windows of all numbers.
#[derive(Clone, Debug)]
pub(crate) struct State {
    count: XorWindow,
    zero_count: XorWindow,
    sum: XorWindow,
    positive: Vec<XorWindow>,
    negative: Vec<XorWindow>,
}

impl Default for State {
    fn default() -> Self {
        let unset = XorWindow::UNSET;
        Self { count: unset, zero_count: unset, sum: unset, positive: vec![], negative: vec![] }
    }
}

impl Native for FloatHistogram {
    type Count = f64;
    type State = State;

    fn hint(&self) -> CounterResetHint {
        self.counter_reset_hint
    }

    fn set_hint(&mut self, hint: CounterResetHint) {
        self.counter_reset_hint = hint;
    }

    fn sum(&self) -> f64 {
        self.sum
    }

    fn stale(sum: f64) -> Self {
        Self { sum, ..Self::default() }
    }

    fn layout(&self) -> Layout {
        Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive: self.positive_spans.clone(),
            negative: self.negative_spans.clone(),
            custom_values: self.custom_values.clone(),
        }
    }

    fn zero(layout: &Layout) -> Self {
        Self {
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            positive_buckets: vec![0.0; bucket_count(&layout.positive) as usize],
            negative_buckets: vec![0.0; bucket_count(&layout.negative) as usize],
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            custom_values: layout.custom_values.clone(),
            ..Self::default()
        }
    }

    fn counts_less(&self, before: &Self) -> bool {
        self.count < before.count || self.zero_count < before.zero_count
    }

    fn spans(&self, side: Side) -> &[Span] {
        match side {
            Side::Positive => &self.positive_spans,
            Side::Negative => &self.negative_spans,
        }
    }

    fn absolute(&self, side: Side) -> Vec<f64> {
        match side {
            Side::Positive => self.positive_buckets.clone(),
            Side::Negative => self.negative_buckets.clone(),
        }
    }

    fn set_buckets(&mut self, side: Side, spans: &[Span], counts: &[f64]) {
        let (spans, counts) = (spans.to_vec(), counts.to_vec());
        match side {
            Side::Positive => (self.positive_spans, self.positive_buckets) = (spans, counts),
            Side::Negative => (self.negative_spans, self.negative_buckets) = (spans, counts),
        }
    }

    fn put_first(&self, state: &mut State, out: &mut BitWriter) {
        for v in [self.count, self.zero_count, self.sum] {
            out.put(v.to_bits(), 64);
        }
        for v in self.positive_buckets.iter().chain(&self.negative_buckets) {
            out.put(v.to_bits(), 64);
        }
        state.positive = vec![XorWindow::UNSET; self.positive_buckets.len()];
        state.negative = vec![XorWindow::UNSET; self.negative_buckets.len()];
    }

    fn put_next(&self, last: &Self, state: &mut State, out: &mut BitWriter) {
        state.count.put(out, self.count, last.count);
        state.zero_count.put(out, self.zero_count, last.zero_count);
        state.sum.put(out, self.sum, last.sum);
        if assay_model::is_stale(self.sum) {
            return;
        }
        put_buckets(&self.positive_buckets, &last.positive_buckets, &mut state.positive, out);
        put_buckets(&self.negative_buckets, &last.negative_buckets, &mut state.negative, out);
    }

    fn take_first(&mut self, state: &mut State, reader: &mut BitReader<'_>) {
        for v in [&mut self.count, &mut self.zero_count, &mut self.sum] {
            *v = f64::from_bits(reader.take(64));
        }
        for v in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *v = f64::from_bits(reader.take(64));
        }
        let full = XorWindow::FULL;
        (state.count, state.zero_count, state.sum) = (full, full, full);
        state.positive = vec![full; self.positive_buckets.len()];
        state.negative = vec![full; self.negative_buckets.len()];
    }

    fn take_next(&mut self, state: &mut State, reader: &mut BitReader<'_>) -> bool {
        let mut changed = take(&mut self.count, &mut state.count, reader)
            | take(&mut self.zero_count, &mut state.zero_count, reader)
            | take(&mut self.sum, &mut state.sum, reader);
        if assay_model::is_stale(self.sum) {
            return false;
        }
        let positive = self.positive_buckets.iter_mut().zip(&mut state.positive);
        for (v, window) in positive.chain(self.negative_buckets.iter_mut().zip(&mut state.negative)) {
            changed |= take(v, window, reader);
        }
        changed == 0
    }

    fn to_float(&self) -> FloatHistogram {
        self.clone()
    }
}

fn put_buckets(new: &[f64], old: &[f64], windows: &mut [XorWindow], out: &mut BitWriter) {
    for ((new, old), window) in new.iter().zip(old).zip(windows) {
        window.put(out, *new, *old);
    }
}

/// Yields the bits that changed.
fn take(value: &mut f64, window: &mut XorWindow, reader: &mut BitReader<'_>) -> u64 {
    let changed = window.take(reader);
    *value = f64::from_bits(value.to_bits() ^ changed);
    changed
}
