//! Messages on standard error, as `key=value` pairs or as JSON.

use std::{fmt, io};

use assay_text::{Clean, document};
use tracing::{Event, Subscriber, field::Field, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Starts logging, once for the process.
pub(crate) fn start(level: &str, format: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    // A log that cannot be written, such as on a full disk, would be reported on standard error, with a panic.
    let builder =
        tracing_subscriber::fmt().with_max_level(level).log_internal_errors(false).with_writer(io::stderr);
    match format {
        "json" => builder
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(|| CleanJson(io::stderr()))
            .init(),
        _ => builder.event_format(Logfmt).init(),
    }
}

/// JSON leaves characters that steer a terminal as they are; they can be written otherwise. An event is one write.
struct CleanJson<W>(W);

impl<W: io::Write> io::Write for CleanJson<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(document(String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
        let Pairs { message, rest } = pairs;
        let line = format!("time={time:.3} level={} msg={message:?}{rest}", event.metadata().level());
        writeln!(writer, "{}", Clean(line))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use assay_testkit::hostile::{HOSTILE, assert_clean};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_logged_does_not_steer_a_terminal() {
        let written = Written::default();
        let log = |json: bool| {
            let writer = written.clone();
            let builder = tracing_subscriber::fmt().with_max_level(LevelFilter::INFO);
            let subscriber: Box<dyn Subscriber + Send + Sync> = if json {
                Box::new(
                    builder
                        .json()
                        .flatten_event(true)
                        .with_writer(move || CleanJson(writer.clone()))
                        .finish(),
                )
            } else {
                Box::new(builder.event_format(Logfmt).with_writer(move || writer.clone()).finish())
            };
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(file = HOSTILE, path = %HOSTILE, "{HOSTILE}");
            });
            let text = String::from_utf8(std::mem::take(&mut *written.0.lock().unwrap())).unwrap();
            assert!(text.lines().count() == 1 && text.contains("title"), "{text}");
            assert_clean("the log", &text);
        };
        log(false);
        log(true);
    }
}
