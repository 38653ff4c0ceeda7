#![no_main]
//! An SLA, ours or OpenSLO's, is read or refused; what an objective of one measures is PromQL.

libfuzzer_sys::fuzz_target!(|text: &str| {
    for objective in assay_verdict::sla::parse("sla.yml", text).map(|sla| sla.objectives).unwrap_or_default()
    {
        let measure = objective.require.measure(60_000);
        assert!(assay_promql::parse(&measure).is_ok(), "{measure}");
    }
});
