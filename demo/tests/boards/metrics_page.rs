//! `docs/metrics.md`: every metric that the tools emit, with its type, unit and labels. `UPDATE_GOLDEN=1` rewrites it.
//!
//! Invariant: what is listed was seen: in a run, on the demo service's `/metrics`, or in the exporter's golden files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use assay_model::{
    Labels, MetricType, Queryable as _,
    expo::{Dialect, MetricFamily, parse_families},
};
use loadgen::measure::names::INSTRUMENTS;

use super::short_run;

/// Labels that every series has, from what scrapes or pushes.
const COMMON: [&str; 3] = ["__name__", "job", "instance"];
/// Label values without which the table would be that of one machine.
const ROW_LIMIT: usize = 14;

/// A row of a table.
struct Row {
    kind: MetricType,
    unit: String,
    help: String,
    labels: BTreeSet<String>,
}

type Table = BTreeMap<String, Row>;

#[test]
fn the_page_of_metrics_is_true() {
    let folder = tempfile::tempdir().expect("a folder");
    // Arrival rates, streams and the service's own pages; every instrument takes part.
    let run = assay_run::Run::open(&short_run(folder.path(), "sweep", "0.03")).expect("opens");
    let mut labels = BTreeMap::<(String, String), BTreeSet<String>>::new();
    for series in run.database.select(&[], i64::MIN, i64::MAX).expect("selects") {
        let found = series.labels();
        let job = found.get("job").unwrap_or_default().to_owned();
        labels.entry((job, found.metric_name().to_owned())).or_default().extend(names(found));
    }
    let of = |job: &str, name: &str| labels.get(&(job.to_owned(), name.to_owned())).cloned();

    let mut load = Table::new();
    for instrument in INSTRUMENTS {
        let labels = of("loadgen", instrument.prometheus);
        let labels = labels.unwrap_or_else(|| panic!("{} was not emitted", instrument.prometheus));
        let (unit, help) = (unit(instrument.prometheus).to_owned(), instrument.help.to_owned());
        load.insert(instrument.prometheus.to_owned(), Row { kind: instrument.kind, unit, help, labels });
    }
    let mut demo = Table::new();
    for ((job, name), labels) in labels.iter().filter(|((job, _), _)| job == "demo") {
        let Some(described) = run.database.metadata(name) else { continue };
        assert_eq!(job, "demo");
        let (kind, help) = (described.metric_type, described.help);
        demo.insert(name.clone(), Row { kind, unit: unit(name).to_owned(), help, labels: labels.clone() });
    }
    assert!(demo.len() > 15, "{} metrics of demo", demo.len());

    let mut text = HEAD.to_owned();
    section(&mut text, "loadgen", "", &load);
    section(&mut text, "demo", "", &demo);
    section(&mut text, "exporter: the host", HOST, &golden_file("metrics.txt"));
    section(&mut text, "exporter: GPUs", GPU, &golden_file("gpu.txt"));
    assay_testkit::golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"), &text);
}

const HEAD: &str = "# Metrics\n\n\
    <!-- Written by `UPDATE_GOLDEN=1 cargo test -p assay-demo --test boards metrics`. -->\n\n\
    What the tools emit, as Prometheus names it; every series also has `job` and `instance`. Histograms are native; where classic\n\
    buckets are asked for, they add `_bucket`, `_sum` and `_count`. Over OTLP the names are the same with dots for underscores, without the unit and `_total`.\n";
const HOST: &str = "Under node_exporter's names; what a host does not have is left out. Collectors that are off by default are in \
    [exporter.md](exporter.md).\n\n";
const GPU: &str = "Under dcgm-exporter's names; units and meanings are in [gpu.md](gpu.md).\n\n";

fn names(labels: &Labels) -> BTreeSet<String> {
    labels.iter().map(|(name, _)| name.to_owned()).filter(|name| !COMMON.contains(&name.as_str())).collect()
}

fn golden_file(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/tests/golden").join(name);
    let text = std::fs::read_to_string(path).expect("reads");
    let families = parse_families(&text, Dialect::Text).expect("is an exposition");
    families.into_iter().map(|family| (family.name.clone(), row(family))).collect()
}

fn row(family: MetricFamily) -> Row {
    let labels = family.metrics.iter().flat_map(|metric| names(&metric.labels)).collect();
    Row { kind: family.metric_type, unit: unit(&family.name).to_owned(), help: family.help, labels }
}

/// The unit that a name ends in, by Prometheus' conventions.
fn unit(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total").trim_end_matches("_info");
    let units = [
        ("_per_second", "1/s"),
        ("_seconds", "s"),
        ("_bytes", "bytes"),
        ("_ratio", "ratio"),
        ("_celsius", "°C"),
        ("_watts", "W"),
        ("_watt", "W"),
        ("_joules", "J"),
        ("_volts", "V"),
        ("_volt", "V"),
        ("_amps", "A"),
        ("_ampere", "A"),
        ("_hertz", "Hz"),
        ("_rpm", "1/min"),
        ("_percent", "%"),
        ("_ms", "ms"),
        ("_packets", "packets"),
    ];
    units.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit)
}

fn section(text: &mut String, title: &str, words: &str, table: &Table) {
    let _ = write!(
        text,
        "\n## {title}\n\n{words}| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
    );
    for (name, row) in table {
        let kind = match row.kind {
            MetricType::Unknown => String::new(),
            kind => kind.as_str().to_owned(),
        };
        let mut labels: Vec<String> = row.labels.iter().take(ROW_LIMIT).map(|l| format!("`{l}`")).collect();
        if row.labels.len() > ROW_LIMIT {
            labels.push("…".to_owned());
        }
        let help = row.help.replace('|', "\\|").replace('<', "&lt;");
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {} | {help} |", row.unit, labels.join(", "));
    }
}
