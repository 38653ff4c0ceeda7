//! Messages on standard error, as `key=value` pairs or as JSON.

use std::fmt;

use tracing::{Event, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Starts logging, once for the process.
pub(crate) fn start(level: &str, format: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    match format {
        "json" => builder.json().flatten_event(true).with_target(false).init(),
        _ => builder.event_format(Logfmt).init(),
    }
}

/// `time=2026-01-02T03:04:05.678Z level=INFO msg="listening" address=127.0.0.1:9100`.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        let time = jiff::Timestamp::now();
        write!(writer, "time={time:.3} level={} msg={:?}", event.metadata().level(), pairs.message)?;
        writeln!(writer, "{}", pairs.rest)
    }
}

/// An event's message, and its other fields as ` key=value`.
#[derive(Default)]
struct Pairs {
    message: String,
    rest: String,
}

impl tracing::field::Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        let text = format!("{value:?}");
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{text}"),
            name if text.is_empty() || text.contains([' ', '"', '=']) => {
                write!(self.rest, " {name}={text:?}")
            }
            name => write!(self.rest, " {name}={text}"),
        };
    }
}
