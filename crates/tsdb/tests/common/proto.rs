//! The messages of remote read, remote write and the protobuf exposition that the tests need, by hand: they
//! are the ground truth, so they share no code with what is tested.
//!
//! Source: Prometheus `prompb/{types,remote}.proto`, client_model `io/prometheus/client/metrics.proto`.

use assay_model::{CounterResetHint, FloatHistogram, Histogram, Labels, Span};

/// A field of a message.
pub enum Field<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

fn varint(data: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let b = data[0];
        *data = &data[1..];
        value |= u64::from(b & 0x7f) << shift;
        if b < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn zigzag(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
}

/// The fields of a message, in order.
pub fn fields(mut data: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut out = Vec::new();
    while !data.is_empty() {
        let key = varint(&mut data);
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut data)),
            1 => {
                let (head, rest) = data.split_at(8);
                data = rest;
                Field::Fixed(u64::from_le_bytes(head.try_into().expect("8 bytes")))
            }
            2 => {
                let n = varint(&mut data) as usize;
                let (head, rest) = data.split_at(n);
                data = rest;
                Field::Bytes(head)
            }
            other => panic!("wire type {other}"),
        };
        out.push((key >> 3, field));
    }
    out
}

/// Builds a message.
#[derive(Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn raw(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub fn int(mut self, field: u64, n: u64) -> Self {
        self.raw(field << 3);
        self.raw(n);
        self
    }

    pub fn signed(self, field: u64, n: i64) -> Self {
        self.int(field, ((n << 1) ^ (n >> 63)) as u64)
    }

    pub fn double(mut self, field: u64, v: f64) -> Self {
        self.raw(field << 3 | 1);
        self.0.extend_from_slice(&v.to_bits().to_le_bytes());
        self
    }

    pub fn bytes(mut self, field: u64, data: &[u8]) -> Self {
        self.raw(field << 3 | 2);
        self.raw(data.len() as u64);
        self.0.extend_from_slice(data);
        self
    }

    pub fn packed_signed(self, field: u64, list: &[i64]) -> Self {
        let mut packed = Self::default();
        for n in list {
            packed.raw(((n << 1) ^ (n >> 63)) as u64);
        }
        self.bytes(field, &packed.0)
    }

    pub fn packed_doubles(self, field: u64, list: &[f64]) -> Self {
        let packed: Vec<u8> = list.iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
        self.bytes(field, &packed)
    }

    pub fn spans(mut self, field: u64, spans: &[Span]) -> Self {
        for s in spans {
            let span = Self::default().signed(1, i64::from(s.offset)).int(2, u64::from(s.length));
            self = self.bytes(field, &span.0);
        }
        self
    }

    pub fn labels(mut self, field: u64, labels: &Labels) -> Self {
        for (name, value) in labels {
            let pair = Self::default().bytes(1, name.as_bytes()).bytes(2, value.as_bytes());
            self = self.bytes(field, &pair.0);
        }
        self
    }
}

fn doubles(data: &[u8]) -> Vec<f64> {
    data.chunks_exact(8).map(|b| f64::from_bits(u64::from_le_bytes(b.try_into().expect("8 bytes")))).collect()
}

fn deltas(mut data: &[u8]) -> Vec<i64> {
    let mut out = Vec::new();
    while !data.is_empty() {
        out.push(zigzag(varint(&mut data)));
    }
    out
}

fn span(data: &[u8]) -> Span {
    let mut span = Span::default();
    for (n, field) in fields(data) {
        match (n, field) {
            (1, Field::Varint(v)) => span.offset = zigzag(v) as i32,
            (2, Field::Varint(v)) => span.length = v as u32,
            _ => {}
        }
    }
    span
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut sum = 0;
    deltas
        .iter()
        .map(|d| {
            sum += d;
            sum as f64
        })
        .collect()
}

/// A `prompb.Histogram`: its time and value, integers turned into floats.
pub fn histogram(data: &[u8]) -> (i64, FloatHistogram) {
    let (mut t, mut h) = (0, FloatHistogram::default());
    for (n, field) in fields(data) {
        match (n, field) {
            (1 | 6, Field::Varint(v)) if n == 1 => h.count = v as f64,
            (6, Field::Varint(v)) => h.zero_count = v as f64,
            (2, Field::Fixed(v)) => h.count = f64::from_bits(v),
            (7, Field::Fixed(v)) => h.zero_count = f64::from_bits(v),
            (3, Field::Fixed(v)) => h.sum = f64::from_bits(v),
            (4, Field::Varint(v)) => h.schema = zigzag(v) as i32,
            (5, Field::Fixed(v)) => h.zero_threshold = f64::from_bits(v),
            (8, Field::Bytes(b)) => h.negative_spans.push(span(b)),
            (9, Field::Bytes(b)) => h.negative_buckets = absolute(&deltas(b)),
            (10, Field::Bytes(b)) => h.negative_buckets = doubles(b),
            (11, Field::Bytes(b)) => h.positive_spans.push(span(b)),
            (12, Field::Bytes(b)) => h.positive_buckets = absolute(&deltas(b)),
            (13, Field::Bytes(b)) => h.positive_buckets = doubles(b),
            (14, Field::Varint(3)) => h.counter_reset_hint = CounterResetHint::Gauge,
            (15, Field::Varint(v)) => t = v as i64,
            (16, Field::Bytes(b)) => h.custom_values = doubles(b),
            _ => {}
        }
    }
    (t, h)
}

/// A `prompb.Histogram` of an integer histogram.
pub fn put_histogram(t: i64, h: &Histogram) -> Message {
    Message::default()
        .int(1, h.count)
        .double(3, h.sum)
        .signed(4, i64::from(h.schema))
        .double(5, h.zero_threshold)
        .int(6, h.zero_count)
        .spans(8, &h.negative_spans)
        .packed_signed(9, &h.negative_buckets)
        .spans(11, &h.positive_spans)
        .packed_signed(12, &h.positive_buckets)
        .int(14, if h.counter_reset_hint == CounterResetHint::Gauge { 3 } else { 0 })
        .int(15, t as u64)
        .packed_doubles(16, &h.custom_values)
}

/// A `prompb.Histogram` of a float histogram.
pub fn put_float_histogram(t: i64, h: &FloatHistogram) -> Message {
    Message::default()
        .double(2, h.count)
        .double(3, h.sum)
        .signed(4, i64::from(h.schema))
        .double(5, h.zero_threshold)
        .double(7, h.zero_count)
        .spans(8, &h.negative_spans)
        .packed_doubles(10, &h.negative_buckets)
        .spans(11, &h.positive_spans)
        .packed_doubles(13, &h.positive_buckets)
        .int(14, if h.counter_reset_hint == CounterResetHint::Gauge { 3 } else { 0 })
        .int(15, t as u64)
        .packed_doubles(16, &h.custom_values)
}
