//! What leaves the program over OTLP, and the percentile files, from arguments and environment. Invariant: what is
//! wrong with them is said before the load starts.

use loadgen::{
    Outputs, Tracer,
    sink::{
        otlp::{Given, OtlpSink, Settings, Signal, SpanSink},
        requests::RequestsFile,
    },
    summary,
};

use super::RunArguments;

/// Adds the sinks that were asked for.
pub(super) fn start(arguments: &RunArguments, instance: &str, outputs: &mut Outputs) -> Result<(), String> {
    let given = Given {
        endpoint: arguments.otlp.clone(),
        traces_endpoint: arguments.otlp_traces.clone(),
        protocol: arguments.otlp_protocol,
    };
    let variable = |name: &str| std::env::var(name).ok();
    if let Some(settings) = Settings::resolve(Signal::Metrics, &given, variable).map_err(|e| e.to_string())? {
        let sink = OtlpSink::start(&settings, instance).map_err(|e| e.to_string())?;
        outputs.sinks.push(Box::new(sink));
    }
    if let Some(ratio) = arguments.trace_sample {
        let settings = Settings::resolve(Signal::Traces, &given, variable).map_err(|e| e.to_string())?;
        if settings.is_none() && arguments.record.is_none() && !arguments.judge {
            return Err("--trace-sample: there is no place for the traces; give --record, --otlp or --otlp-traces, or set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned());
        }
        let tracer = Tracer::new(ratio);
        let sink = SpanSink::start(settings.as_ref(), tracer.clone(), instance).map_err(|e| e.to_string())?;
        outputs.sinks.push(Box::new(sink));
        outputs.tracer = Some(tracer);
    }
    if let Some(path) = &arguments.requests {
        let file = RequestsFile::create(path).map_err(|e| format!("--requests {e}"))?;
        outputs.requests = Some(file);
    }
    if let Some(directory) = &arguments.hgrm {
        summary::prepare_hgrm(directory).map_err(|e| format!("--hgrm {}: {e}", directory.display()))?;
        outputs.hgrm = Some(directory.clone());
    }
    Ok(())
}
