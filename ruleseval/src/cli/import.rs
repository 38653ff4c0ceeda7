//! `ruleseval import`.

use std::path::PathBuf;

use assay_run::import::{ImportFormat, ImportOptions, import};
use clap::ValueEnum;

/// Make a run of series from files.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// OpenMetrics or Prometheus text with times, answers of the HTTP API, or VictoriaMetrics' JSON lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The run directory to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The format; by default each file is looked into
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The scenario's name in the run's description; by default the first file's name
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Store classic histograms as native ones with custom buckets, too, as Prometheus' scrape option does
    #[arg(long)]
    convert_classic_histograms_to_nhcb: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    #[value(name = "openmetrics")]
    OpenMetrics,
    Text,
    #[value(name = "json")]
    PrometheusJson,
    #[value(name = "victoriametrics")]
    VictoriaMetrics,
}

/// Imports.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let format = args.format.map(|f| match f {
        Format::OpenMetrics => ImportFormat::OpenMetrics,
        Format::Text => ImportFormat::Text,
        Format::PrometheusJson => ImportFormat::PrometheusJson,
        Format::VictoriaMetrics => ImportFormat::VictoriaMetrics,
    });
    let options = ImportOptions {
        format,
        scenario: args.scenario.clone(),
        convert_classic_histograms: args.convert_classic_histograms_to_nhcb,
    };
    let imported = import(&args.files, &args.out, &options)?;
    super::export::tell(&imported);
    Ok(0)
}
