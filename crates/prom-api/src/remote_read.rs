//! Prometheus' remote read, as a server answers it: requests decoded, samples and chunks encoded.
//!
//! Source: Prometheus `prompb/{remote,types}.proto`, `storage/remote/{codec,chunked}.go`, v3.14. The messages of a client are
//! in `assay-run`. Invariant: values keep their bits, stale markers too.

use assay_model::{
    Column, CounterResetHint, FloatHistogram, Labels, MatchOp, Matcher, Span, is_stale,
    wire::{Field, WireError, Writer, fields},
};

/// A request that unpacks to more than this is refused.
const MOST_BYTES: usize = 32 << 20;

/// What a client asks for.
#[derive(Debug, Default)]
pub struct ReadRequest {
    /// The queries.
    pub queries: Vec<ReadQuery>,
    /// Whether the client prefers chunks, one series after another, to one message of samples.
    pub chunks: bool,
}

/// One query: the series that match, with their samples of `[start_ms, end_ms]`, both ends in.
#[derive(Debug, Default)]
pub struct ReadQuery {
    /// The first time.
    pub start_ms: i64,
    /// The last time.
    pub end_ms: i64,
    /// What series must match.
    pub matchers: Vec<Matcher>,
}

/// A chunk as a client gets it.
#[derive(Clone, Copy, Debug)]
pub struct ReadChunk<'a> {
    /// Its first and last time.
    pub span_ms: (i64, i64),
    /// Its encoding's number.
    pub encoding: u8,
    /// Its bytes.
    pub data: &'a [u8],
}

impl ReadRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// If it is not one.
    pub fn decode(body: &[u8]) -> Result<Self, String> {
        let length = snap::raw::decompress_len(body).map_err(|e| e.to_string())?;
        if length > MOST_BYTES {
            return Err(format!("the request is {length} bytes long"));
        }
        let message = snap::raw::Decoder::new().decompress_vec(body).map_err(|e| e.to_string())?;
        let (mut out, mut types, mut wrong) = (Self::default(), Vec::new(), None);
        fields(&message, |number, field| {
            match number {
                1 => out.queries.push(query(field, &mut wrong)?),
                2 => varints(field, &mut types)?,
                _ => {}
            }
            Ok(())
        })
        .map_err(|e| e.to_string())?;
        // The first type that is known; none means samples.
        match types.iter().find(|t| matches!(t, 0 | 1)) {
            Some(kind) => out.chunks = *kind == 1,
            None if types.is_empty() => {}
            None => return Err("server does not support any of the requested response types".to_owned()),
        }
        wrong.map_or(Ok(out), Err)
    }
}

fn varints(field: Field<'_>, out: &mut Vec<u64>) -> Result<(), WireError> {
    match field {
        Field::Varint(v) => out.push(v),
        _ => {
            let mut reader = assay_model::wire::Reader::new(field.bytes()?);
            while !reader.is_empty() {
                out.push(reader.varint()?);
            }
        }
    }
    Ok(())
}

fn query(field: Field<'_>, wrong: &mut Option<String>) -> Result<ReadQuery, WireError> {
    let mut out = ReadQuery::default();
    fields(field.bytes()?, |number, field| {
        match number {
            1 => out.start_ms = field.varint()? as i64,
            2 => out.end_ms = field.varint()? as i64,
            3 => {
                let (mut op, mut name, mut value) = (0, "", "");
                fields(field.bytes()?, |number, field| {
                    match number {
                        1 => op = field.varint()?,
                        2 => name = field.text()?,
                        3 => value = field.text()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                let op = match op {
                    0 => Ok(MatchOp::Equal),
                    1 => Ok(MatchOp::NotEqual),
                    2 => Ok(MatchOp::Regex),
                    3 => Ok(MatchOp::NotRegex),
                    other => Err(format!("invalid matcher type {other}")),
                };
                match op.and_then(|op| Matcher::new(op, name, value).map_err(|e| e.to_string())) {
                    Ok(matcher) => out.matchers.push(matcher),
                    Err(e) => *wrong = Some(e),
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(out)
}

/// The message of samples: for each query its series.
#[derive(Debug, Default)]
pub struct Samples {
    results: Writer,
    result: Writer,
}

impl Samples {
    /// Adds a series to the result of the current query.
    pub fn series(&mut self, labels: &Labels, column: &Column) {
        self.result.message(1, |w| {
            write_labels(w, labels);
            for (t_ms, value) in column.times.iter().zip(&column.values) {
                w.message(2, |w| {
                    w.double(1, *value);
                    w.uint(2, *t_ms as u64);
                });
            }
            for (t_ms, h) in column.histogram_times.iter().zip(&column.histograms) {
                w.message(4, |w| write_histogram(w, *t_ms, h));
            }
        });
    }

    /// Ends the result of the current query.
    pub fn end_query(&mut self) {
        let result = std::mem::take(&mut self.result);
        self.results.bytes(1, &result.out);
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// If it is too long for snappy.
    pub fn finish(self) -> Result<Vec<u8>, String> {
        snap::raw::Encoder::new().compress_vec(&self.results.out).map_err(|e| e.to_string())
    }
}

/// A frame of the stream of chunks: some of the chunks of one series.
#[must_use]
pub fn frame(query: usize, labels: &Labels, chunks: &[ReadChunk<'_>]) -> Vec<u8> {
    let mut message = Writer::default();
    message.message(1, |w| {
        write_labels(w, labels);
        for chunk in chunks {
            w.message(2, |w| {
                w.uint(1, chunk.span_ms.0 as u64);
                w.uint(2, chunk.span_ms.1 as u64);
                w.uint(3, u64::from(chunk.encoding));
                w.bytes(4, chunk.data);
            });
        }
    });
    message.uint(2, query as u64);
    let mut out = Writer::default();
    out.varint(message.out.len() as u64);
    out.out.extend_from_slice(&crc32c::crc32c(&message.out).to_be_bytes());
    out.out.append(&mut message.out);
    out.out
}

fn write_labels(w: &mut Writer, labels: &Labels) {
    for (name, value) in labels {
        w.message(1, |w| {
            w.text(1, name);
            w.text(2, value);
        });
    }
}

fn write_histogram(w: &mut Writer, t_ms: i64, h: &FloatHistogram) {
    w.present_double(2, h.count);
    w.double(3, h.sum);
    w.sint(4, i64::from(h.schema));
    w.double(5, h.zero_threshold);
    w.present_double(7, h.zero_count);
    write_spans(w, 8, &h.negative_spans);
    w.packed_double(10, &h.negative_buckets);
    write_spans(w, 11, &h.positive_spans);
    w.packed_double(13, &h.positive_buckets);
    let hint = match h.counter_reset_hint {
        // What a stale marker knows of resets means nothing.
        _ if is_stale(h.sum) => 0,
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    w.uint(14, hint);
    w.uint(15, t_ms as u64);
    w.packed_double(16, &h.custom_values);
}

fn write_spans(w: &mut Writer, number: u64, spans: &[Span]) {
    for span in spans {
        w.message(number, |w| {
            w.sint(1, i64::from(span.offset));
            w.uint(2, u64::from(span.length));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut message = Writer::default();
        fill(&mut message);
        snap::raw::Encoder::new().compress_vec(&message.out).expect("compresses")
    }

    #[test]
    fn requests_are_read() {
        let request = body(|w| {
            w.message(1, |w| {
                w.uint(1, 5);
                w.uint(2, 10);
                w.message(3, |w| {
                    w.uint(1, 2);
                    w.text(2, "job");
                    w.text(3, "a|b");
                });
            });
            w.uint(2, 7);
            w.uint(2, 1);
        });
        let read = ReadRequest::decode(&request).expect("reads");
        assert!(read.chunks);
        let query = &read.queries[0];
        assert_eq!(
            (query.start_ms, query.end_ms, query.matchers[0].to_string()),
            (5, 10, "job=~\"a|b\"".to_owned())
        );
        let wrong = |fill: fn(&mut Writer)| ReadRequest::decode(&body(fill)).expect_err("is wrong");
        assert!(wrong(|w| w.uint(2, 9)).contains("response types"));
        let matcher = |w: &mut Writer| {
            w.message(1, |w| {
                w.message(3, |w| {
                    w.uint(1, 2);
                    w.text(3, "(");
                });
            });
        };
        assert!(!wrong(matcher).is_empty());
        assert!(ReadRequest::decode(b"x").is_err());
    }

    #[test]
    fn frames_have_their_length_and_checksum() {
        let labels = Labels::from_pairs([("__name__", "up")]);
        let chunk = ReadChunk { span_ms: (1, 2), encoding: 1, data: &[0, 1] };
        let frame = frame(1, &labels, &[chunk]);
        let (length, rest) = (usize::from(frame[0]), &frame[1..]);
        assert_eq!(rest.len(), length + 4);
        assert_eq!(rest[..4], crc32c::crc32c(&rest[4..]).to_be_bytes());
    }
}
