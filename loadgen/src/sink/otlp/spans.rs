//! Spans to an OTLP receiver. Invariant: a span goes out once, with the resource and the scope that the
//! metrics have; what did not fit between two pushes is counted where it was dropped.

use assay_model::expo::MetricFamily;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as OtlpSpan, Status,
        span::{Event, SpanKind},
        status::StatusCode,
    },
};
use prost::Message as _;

use super::{exporter::Exporter, resource, settings::Settings};
use crate::{
    sink::{MetricsSink, SinkError},
    trace::{
        Tracer,
        span::{BATCH, Span, Value},
    },
};

/// The span was sampled; and it is known that its parent is not remote.
const FLAGS: u32 = 0x01 | 0x100;

/// Pushes the spans of a run, once a second, and writes them where the run keeps them.
pub struct SpanSink {
    /// To where they are pushed, if to anywhere.
    exporter: Option<Exporter>,
    tracer: Tracer,
    instance: String,
}

impl SpanSink {
    /// Starts pushing what `tracer` collects; without settings, the run's own file has it alone.
    ///
    /// # Errors
    /// Where a file that the settings name cannot be read, or the system gives no thread.
    pub fn start(settings: Option<&Settings>, tracer: Tracer, instance: &str) -> Result<Self, SinkError> {
        let exporter = settings.map(Exporter::start).transpose()?;
        Ok(Self { exporter, tracer, instance: instance.to_owned() })
    }

    fn send(&mut self) {
        let spans = self.tracer.take();
        self.tracer.write(&spans);
        if let Some(exporter) = &self.exporter {
            for batch in spans.chunks(BATCH) {
                exporter.send(request(batch, &self.instance));
            }
        }
    }
}

impl MetricsSink for SpanSink {
    fn push(&mut self, _t_ms: i64, _families: &[MetricFamily]) -> Result<(), SinkError> {
        self.send();
        Ok(())
    }

    fn failures(&self) -> u64 {
        self.exporter.as_ref().map_or(0, Exporter::failures)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.exporter.as_ref().map(Exporter::notes).unwrap_or_default();
        notes.extend(self.tracer.note());
        let (made, dropped) = self.tracer.counts();
        if dropped > 0 {
            notes.push(format!(
                "traces: {dropped} of {made} spans were dropped, for more came within a second than can wait; lower --trace-sample"
            ));
        }
        notes
    }

    fn end(&mut self) {
        self.send();
        self.exporter.iter().for_each(Exporter::end);
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.exporter.as_mut().map_or(Ok(()), Exporter::finish)
    }
}

fn request(spans: &[Span], instance: &str) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans {
        scope: Some(resource::scope()),
        spans: spans.iter().map(span).collect(),
        ..ScopeSpans::default()
    }];
    let resource = Some(resource::resource(instance));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
    .encode_to_vec()
}

fn span(span: &Span) -> OtlpSpan {
    let events = span
        .events
        .iter()
        .map(|(name, at_ns)| Event { time_unix_nano: *at_ns, name: (*name).to_owned(), ..Event::default() })
        .collect();
    let code = if span.is_error { StatusCode::Error } else { StatusCode::Unset };
    OtlpSpan {
        trace_id: span.trace_id.to_be_bytes().to_vec(),
        span_id: span.span_id.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|p| p.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: FLAGS,
        name: span.name.clone(),
        kind: if span.is_client { SpanKind::Client } else { SpanKind::Internal } as i32,
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns.max(span.start_ns),
        attributes: span.attributes.iter().map(attribute).collect(),
        events,
        status: Some(Status { code: code as i32, ..Status::default() }),
        ..OtlpSpan::default()
    }
}

fn attribute((key, value): &(&'static str, Value)) -> KeyValue {
    match value {
        Value::Text(text) => resource::text(key, text),
        Value::Number(number) => resource::number(key, *number),
    }
}
