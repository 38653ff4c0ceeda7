//! What command line and environment come to.

use super::*;

fn resolve(
    signal: Signal,
    given: &Given,
    variables: &[(&str, &str)],
) -> Result<Option<Settings>, SettingsError> {
    Settings::resolve(signal, given, |name| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    })
}

#[track_caller]
fn check_url(signal: Signal, otlp: Option<&str>, variables: &[(&str, &str)], want: Option<&str>) {
    let given = Given { endpoint: otlp.map(str::to_owned), ..Given::default() };
    let got = resolve(signal, &given, variables).expect("valid");
    assert_eq!(got.as_ref().map(|s| s.url.as_str()), want);
}

const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[test]
fn endpoints_are_found_where_the_specification_has_them() {
    use Signal::{Metrics, Traces};
    check_url(Metrics, None, &[], None);
    check_url(Metrics, None, &[(ALL, "")], None);
    check_url(Metrics, None, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], None);
    check_url(Metrics, None, &[(ALL, "http://a:1")], Some("http://a:1/v1/metrics"));
    check_url(Metrics, None, &[(ALL, "http://a:1/x/")], Some("http://a:1/x/v1/metrics"));
    check_url(Traces, None, &[(ALL, "http://a:1")], Some("http://a:1/v1/traces"));
    // A signal's own is used as it is.
    check_url(Metrics, None, &[(ALL, "http://a:1"), (METRICS, "http://b:2/in")], Some("http://b:2/in"));
    check_url(Metrics, None, &[(METRICS, "http://b:2")], Some("http://b:2/"));
    check_url(Metrics, Some("http://c:3"), &[(METRICS, "http://b:2/in")], Some("http://c:3/v1/metrics"));
    check_url(Traces, Some("http://c:3"), &[], Some("http://c:3/v1/traces"));
    check_url(Traces, Some("http://c:3"), &[(TRACES, "http://t:9/v1/traces")], Some("http://t:9/v1/traces"));
    check_url(Metrics, Some("http://c:3"), &[(TRACES, "http://t:9")], Some("http://c:3/v1/metrics"));
    check_url(Metrics, Some("http://c:3/v1/metrics"), &[], Some("http://c:3/v1/metrics"));
    check_url(Traces, Some("http://c:3/v1/metrics"), &[], Some("http://c:3/v1/traces"));
    let given = Given { traces_endpoint: Some("http://d:4/t".to_owned()), ..Given::default() };
    let got = resolve(Traces, &given, &[(TRACES, "http://t:9")]).expect("valid").expect("an endpoint");
    assert_eq!(got.url.as_str(), "http://d:4/t");
}

#[test]
fn grpc_has_no_path_and_needs_no_scheme() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    check_url(Signal::Metrics, None, &[grpc, (ALL, "http://a:4317")], Some("http://a:4317/"));
    check_url(Signal::Metrics, None, &[grpc, (ALL, "a:4317")], Some("https://a:4317/"));
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    check_url(Signal::Metrics, None, &[grpc, insecure, (ALL, "a:4317")], Some("http://a:4317/"));
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc");
    let of = |signal| resolve(signal, &Given::default(), &[own, (ALL, "http://a:1")]);
    let protocol = |signal| of(signal).expect("valid").expect("an endpoint").protocol;
    assert_eq!(protocol(Signal::Traces), Protocol::Grpc);
    assert_eq!(protocol(Signal::Metrics), Protocol::HttpProtobuf);
    let given = Given { protocol: Some(Protocol::HttpProtobuf), ..Given::default() };
    let got = resolve(Signal::Traces, &given, &[own, (ALL, "http://a:1")]);
    assert_eq!(got.expect("valid").expect("an endpoint").protocol, Protocol::HttpProtobuf);
}

#[test]
fn headers_are_decoded_and_never_shown() {
    let variables = [
        (ALL, "http://a:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "X-Org=one, authorization=Basic%20abc%3D"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-org=two"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let got = resolve(Signal::Metrics, &Given::default(), &variables).expect("valid").expect("an endpoint");
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(got.headers, [pair("authorization", "Basic abc="), pair("x-org", "two")]);
    assert_eq!((got.timeout, got.gzip), (Duration::from_millis(1500), true));
    assert!(!format!("{got:?}").contains("abc"), "{got:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let check = |name: &str, value: &str, want: &str| {
        let variables = [(ALL, "http://a:1"), (name, value)];
        let got =
            resolve(Signal::Metrics, &Given::default(), &variables).map(drop).expect_err("wrong").to_string();
        assert!(got.starts_with(name) && got.contains(want), "{got}");
        assert!(!got.contains("s3cret"), "{got}");
    };
    check("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "use http/protobuf or grpc");
    check("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "use gzip or none");
    check("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds");
    check("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "key=value");
    check("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://x", "neither http nor https");
    check("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "c.pem", "set both");
}
