//! Integer histograms, encoding 2: counts and buckets as differences of differences, the sum as an XOR.
//! Invariant: arithmetic wraps, as the format's does, so that no bytes can make it fail.

use assay_model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::{
    histogram::{Native, Side},
    layout::{Layout, bucket_count},
};
use crate::bits::{
    BitReader, BitWriter, XorWindow, put_varbit_int, put_varbit_uint, take_varbit_int, take_varbit_uint,
};

/// The differences to the sample before.
#[derive(Clone, Debug)]
pub(crate) struct State {
    count: i64,
    zero_count: i64,
    positive: Vec<i64>,
    negative: Vec<i64>,
    sum: XorWindow,
}

impl Default for State {
    fn default() -> Self {
        Self { count: 0, zero_count: 0, positive: vec![], negative: vec![], sum: XorWindow::UNSET }
    }
}

impl Native for Histogram {
    type Count = i64;
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
            positive_buckets: vec![0; bucket_count(&layout.positive) as usize],
            negative_buckets: vec![0; bucket_count(&layout.negative) as usize],
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

    fn absolute(&self, side: Side) -> Vec<i64> {
        let deltas = match side {
            Side::Positive => &self.positive_buckets,
            Side::Negative => &self.negative_buckets,
        };
        let add = |sum: &mut i64, d: &i64| {
            *sum = sum.wrapping_add(*d);
            Some(*sum)
        };
        deltas.iter().scan(0, add).collect()
    }

    fn set_buckets(&mut self, side: Side, spans: &[Span], counts: &[i64]) {
        let difference = |last: &mut i64, c: &i64| Some(c.wrapping_sub(std::mem::replace(last, *c)));
        let deltas = counts.iter().scan(0, difference).collect();
        match side {
            Side::Positive => (self.positive_spans, self.positive_buckets) = (spans.to_vec(), deltas),
            Side::Negative => (self.negative_spans, self.negative_buckets) = (spans.to_vec(), deltas),
        }
    }

    fn put_first(&self, state: &mut State, out: &mut BitWriter) {
        put_varbit_uint(out, self.count);
        put_varbit_uint(out, self.zero_count);
        out.put(self.sum.to_bits(), 64);
        for b in self.positive_buckets.iter().chain(&self.negative_buckets) {
            put_varbit_int(out, *b);
        }
        state.positive = vec![0; self.positive_buckets.len()];
        state.negative = vec![0; self.negative_buckets.len()];
    }

    fn put_next(&self, last: &Self, state: &mut State, out: &mut BitWriter) {
        if assay_model::is_stale(self.sum) {
            out.put(0, 2);
            return state.sum.put(out, self.sum, last.sum);
        }
        let count = self.count.wrapping_sub(last.count) as i64;
        put_varbit_int(out, count.wrapping_sub(state.count));
        let zero_count = self.zero_count.wrapping_sub(last.zero_count) as i64;
        put_varbit_int(out, zero_count.wrapping_sub(state.zero_count));
        (state.count, state.zero_count) = (count, zero_count);
        state.sum.put(out, self.sum, last.sum);
        put_buckets(&self.positive_buckets, &last.positive_buckets, &mut state.positive, out);
        put_buckets(&self.negative_buckets, &last.negative_buckets, &mut state.negative, out);
    }

    fn take_first(&mut self, state: &mut State, reader: &mut BitReader<'_>) {
        state.sum = XorWindow::FULL;
        self.count = take_varbit_uint(reader);
        self.zero_count = take_varbit_uint(reader);
        self.sum = f64::from_bits(reader.take(64));
        for b in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *b = take_varbit_int(reader);
        }
        state.positive = vec![0; self.positive_buckets.len()];
        state.negative = vec![0; self.negative_buckets.len()];
    }

    fn take_next(&mut self, state: &mut State, reader: &mut BitReader<'_>) -> bool {
        state.count = state.count.wrapping_add(take_varbit_int(reader));
        self.count = self.count.wrapping_add(state.count as u64);
        state.zero_count = state.zero_count.wrapping_add(take_varbit_int(reader));
        self.zero_count = self.zero_count.wrapping_add(state.zero_count as u64);
        let sum = state.sum.take(reader);
        self.sum = f64::from_bits(self.sum.to_bits() ^ sum);
        if assay_model::is_stale(self.sum) {
            return false;
        }
        let grown = take_buckets(&mut self.positive_buckets, &mut state.positive, reader)
            | take_buckets(&mut self.negative_buckets, &mut state.negative, reader);
        state.count | state.zero_count | grown == 0 && sum == 0
    }

    fn to_float(&self) -> FloatHistogram {
        Self::to_float(self)
    }
}

fn put_buckets(new: &[i64], old: &[i64], deltas: &mut [i64], out: &mut BitWriter) {
    for ((new, old), last) in new.iter().zip(old).zip(deltas) {
        let delta = new.wrapping_sub(*old);
        put_varbit_int(out, delta.wrapping_sub(*last));
        *last = delta;
    }
}

/// Yields a number that is zero if no bucket changed.
fn take_buckets(buckets: &mut [i64], deltas: &mut [i64], reader: &mut BitReader<'_>) -> i64 {
    let (mut at, mut any) = (0, 0);
    while at < buckets.len() {
        // A bucket that grew by as much as before is a zero, and many stand in a row.
        let zeros = (reader.peek().leading_zeros().min(56) as usize).min(buckets.len() - at);
        for (bucket, delta) in buckets[at..at + zeros].iter_mut().zip(&deltas[at..at + zeros]) {
            *bucket = bucket.wrapping_add(*delta);
            any |= *delta;
        }
        reader.skip(zeros as u32);
        at += zeros;
        if zeros < 56
            && let (Some(bucket), Some(delta)) = (buckets.get_mut(at), deltas.get_mut(at))
        {
            *delta = delta.wrapping_add(take_varbit_int(reader));
            *bucket = bucket.wrapping_add(*delta);
            any |= *delta;
            at += 1;
        }
    }
    any
}
