//! Logs to stderr, and traces over OTLP when there is a place for them.
//!
//! Invariant: spans are exported only from this crate's own code, so that the exporter's own requests make none; without
//! an endpoint nothing is collected.

use std::time::Duration;

use anyhow::{Context, Result};
use assay_text::console;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer as _, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Spans kept for the exporter; 200 queries per second for 10 s.
const QUEUED_SPANS: usize = 16_384;

/// What must be ended in order, so that the last spans are sent.
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging, and traces to `otlp` (a base URL) if it is given or in the usual variables. This must be called outside
/// a Tokio runtime, because the exporter's client blocks.
pub(crate) fn start(otlp: Option<&str>) -> Result<Telemetry> {
    let provider = match otlp {
        None if !variable_is_set() => None,
        endpoint => Some(provider(endpoint).context("cannot send traces")?),
    };
    let traces = provider.as_ref().map(|provider| {
        OpenTelemetryLayer::new(provider.tracer("demo"))
            .with_tracked_inactivity(false)
            .with_threads(false)
            .with_location(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(is_ours))
    });
    tracing_subscriber::registry().with(console::log()).with(traces).init();
    Ok(Telemetry { provider })
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("demo") && *metadata.level() <= LevelFilter::INFO
}

fn variable_is_set() -> bool {
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn provider(endpoint: Option<&str>) -> Result<SdkTracerProvider> {
    demo::install_tls();
    let mut exporter = SpanExporter::builder().with_http();
    if let Some(base) = endpoint {
        exporter = exporter.with_endpoint(format!("{}/v1/traces", base.trim_end_matches('/')));
    }
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUED_SPANS)
        .with_scheduled_delay(Duration::from_secs(1))
        .build();
    let processor = BatchSpanProcessor::builder(exporter.build()?).with_batch_config(batches).build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        // Whoever calls decides; what begins here is sampled.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_resource(Resource::builder().with_service_name("demo").build())
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(cause)) = self.provider.take().map(|provider| provider.shutdown()) {
            console::say(format_args!("demo: the last traces could not be sent: {cause}"));
        }
    }
}
