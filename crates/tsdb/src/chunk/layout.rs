//! What all histograms of one chunk share: schema, zero threshold, spans, custom bounds. Invariant: the number
//! of buckets of a layout that was read is at most the number of bits of its chunk.

use assay_model::{Span, histogram::CUSTOM_BUCKETS_SCHEMA};

use crate::{
    bits::{BitReader, BitWriter, put_varbit_int, put_varbit_uint, take_varbit_int, take_varbit_uint},
    error::Damage,
};

/// The layout of a chunk of histograms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Vec<Span>,
    pub(crate) negative: Vec<Span>,
    pub(crate) custom_values: Vec<f64>,
}

/// How many buckets some spans cover.
pub(crate) fn bucket_count(spans: &[Span]) -> u64 {
    spans.iter().map(|s| u64::from(s.length)).sum()
}

impl Layout {
    pub(crate) fn put(&self, out: &mut BitWriter) {
        put_zero_threshold(out, self.zero_threshold);
        put_varbit_int(out, i64::from(self.schema));
        for spans in [&self.positive, &self.negative] {
            put_varbit_uint(out, spans.len() as u64);
            for span in spans {
                put_varbit_uint(out, u64::from(span.length));
                put_varbit_int(out, i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            put_varbit_uint(out, self.custom_values.len() as u64);
            for bound in &self.custom_values {
                put_custom_bound(out, *bound);
            }
        }
    }

    /// Reads a layout from a chunk of `bits` bits.
    pub(crate) fn take(reader: &mut BitReader<'_>, bits: usize) -> Result<Self, Damage> {
        let zero_threshold = take_zero_threshold(reader);
        let schema = take_varbit_int(reader) as i32;
        let positive = take_spans(reader, bits)?;
        let negative = take_spans(reader, bits)?;
        let mut custom_values = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            for _ in 0..limited(take_varbit_uint(reader), bits, "custom bounds")? {
                custom_values.push(take_custom_bound(reader));
            }
        }
        limited(bucket_count(&positive) + bucket_count(&negative), bits, "buckets")?;
        if reader.overrun() {
            return Err(Damage::new(bits / 8, "a histogram chunk ends within its layout"));
        }
        Ok(Self { schema, zero_threshold, positive, negative, custom_values })
    }
}

fn limited(n: u64, bits: usize, what: &str) -> Result<u64, Damage> {
    if n > bits as u64 {
        return Err(Damage::new(3, format!("{n} {what} in a histogram chunk of {} bytes", bits / 8)));
    }
    Ok(n)
}

fn take_spans(reader: &mut BitReader<'_>, bits: usize) -> Result<Vec<Span>, Damage> {
    let mut spans = Vec::new();
    for _ in 0..limited(take_varbit_uint(reader), bits, "spans")? {
        let length = limited(take_varbit_uint(reader), bits, "buckets in a span")? as u32;
        spans.push(Span { offset: take_varbit_int(reader) as i32, length });
    }
    Ok(spans)
}

/// One byte where the threshold is 0 or a power of two from 2^-243 to 2^10, else nine.
fn put_zero_threshold(out: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    let (exponent, mantissa) = ((bits >> 52) as i64 - 1022, bits & ((1 << 52) - 1));
    if threshold == 0.0 {
        out.put(0, 8);
    } else if threshold > 0.0 && mantissa == 0 && (-242..=11).contains(&exponent) {
        out.put((exponent + 243) as u64, 8);
    } else {
        out.put(255, 8);
        out.put(bits, 64);
    }
}

fn take_zero_threshold(reader: &mut BitReader<'_>) -> f64 {
    match reader.byte() {
        0 => 0.0,
        255 => f64::from_bits(reader.take(64)),
        b => f64::from_bits(((i64::from(b) - 243 + 1022) as u64) << 52),
    }
}

/// Multiples of 0.001 from 0 to 33554.430 as integers plus one, anything else as a zero bit and 64 bits.
fn put_custom_bound(out: &mut BitWriter, bound: f64) {
    let scaled = bound * 1000.0;
    let whole = scaled.round() / 1000.0 == bound;
    if (0.0..=33_554_430.0).contains(&scaled) && whole {
        put_varbit_uint(out, scaled.round() as u64 + 1);
    } else {
        out.put_bit(false);
        out.put(bound.to_bits(), 64);
    }
}

fn take_custom_bound(reader: &mut BitReader<'_>) -> f64 {
    match take_varbit_uint(reader) {
        0 => f64::from_bits(reader.take(64)),
        n => (n - 1) as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_come_back() {
        let spans = vec![Span { offset: -3, length: 2 }, Span { offset: 500, length: 0 }];
        for zero_threshold in [0.0, 2f64.powi(-128), 2f64.powi(-243), 1024.0, 2048.0, 1e-9, f64::MIN_POSITIVE]
        {
            for schema in [-4, 0, 8, CUSTOM_BUCKETS_SCHEMA] {
                let custom = schema == CUSTOM_BUCKETS_SCHEMA;
                let layout = Layout {
                    schema,
                    zero_threshold,
                    positive: spans.clone(),
                    negative: if custom { vec![] } else { spans.clone() },
                    custom_values: if custom {
                        vec![-1.0, 0.0, 0.005, 0.1, 2.5, 1e9, 1.0 / 3.0]
                    } else {
                        vec![]
                    },
                };
                let mut out = BitWriter::default();
                layout.put(&mut out);
                let bytes = out.finish();
                let got = Layout::take(&mut BitReader::new(&bytes), bytes.len() * 8);
                assert_eq!(got, Ok(layout));
            }
        }
        let mut out = BitWriter::default();
        put_zero_threshold(&mut out, 2f64.powi(-128));
        // The byte that Prometheus' documentation gives for the default threshold.
        assert_eq!(out.finish(), [116]);
    }
}
