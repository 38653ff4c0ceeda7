//! Query results for people and spreadsheets. Invariant: CSV keeps every digit; a table may round.

use assay_model::{Column, Labels, Value, number::format_f};
use assay_promql::QueryValue;
use assay_text::{Clean, document};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use assay_verdict::units;

/// How to print a result.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    /// Columns; a series over time becomes a sparkline with its least, mean, greatest and last value.
    Table {
        /// The width to fit.
        width: u16,
    },
    /// `time,series,value`, a line for each sample.
    Csv,
}

/// The result as text, with a newline at the end unless it is empty.
#[must_use]
pub fn render(value: &QueryValue, layout: Layout) -> String {
    match layout {
        Layout::Csv => csv(value),
        Layout::Table { width } => match value {
            QueryValue::Scalar(_, v) => format!("{}\n", format_f(*v)),
            QueryValue::String(_, text) => format!("{}\n", Clean(text)),
            QueryValue::Vector(list) => {
                let rows = list.iter().map(|s| (&s.labels, vec![text_of(&s.value)]));
                table(&["series", "value"], rows, width)
            }
            QueryValue::Matrix(list) => {
                let rows = list.iter().map(|s| (&s.labels, over_time(&s.samples)));
                table(&["series", "", "least", "mean", "greatest", "last"], rows, width)
            }
        },
    }
}

fn table<'a>(header: &[&str], rows: impl Iterator<Item = (&'a Labels, Vec<String>)>, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width).set_header(header.iter().copied());
    let mut empty = true;
    for (labels, cells) in rows {
        empty = false;
        let mut row = vec![Cell::new(Clean(labels))];
        row.extend(cells.into_iter().map(|c| Cell::new(c).set_alignment(CellAlignment::Right)));
        table.add_row(row);
    }
    // A value that is wrapped may begin a line in its middle.
    if empty { "no series\n".to_owned() } else { document(table.trim_fmt()) + "\n" }
}

/// A sparkline and four figures; of histograms their number.
fn over_time(samples: &Column) -> Vec<String> {
    let values: Vec<f64> = samples.values.iter().copied().filter(|v| v.is_finite()).collect();
    if values.is_empty() {
        let count = samples.histograms.len();
        let what = if count > 0 { format!("{count} histograms") } else { "no numbers".to_owned() };
        return vec![what];
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let last = values.last().copied().unwrap_or_default();
    let mut out = vec![sparkline(&values, least, greatest)];
    out.extend([least, mean, greatest, last].map(units::digits));
    out
}

fn sparkline(values: &[f64], least: f64, greatest: f64) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = values.len().min(40);
    (0..width)
        .map(|i| {
            let value = values[i * values.len() / width];
            let part = if greatest > least { (value - least) / (greatest - least) } else { 0.0 };
            LEVELS[((part * 7.0).round() as usize).min(7)]
        })
        .collect()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Float(v) => format_f(*v),
        Value::Histogram(h) => format!("histogram, count {}, sum {}", format_f(h.count), format_f(h.sum)),
    }
}

fn csv(value: &QueryValue) -> String {
    let mut out = String::from("time,series,value\n");
    let mut line = |t_ms: i64, series: &str, text: &str| {
        let time = api_time(t_ms);
        out.push_str(&format!("{time},{},{}\n", quoted(series), quoted(text)));
    };
    match value {
        QueryValue::Scalar(t, v) => line(*t, "", &format_f(*v)),
        QueryValue::String(t, text) => line(*t, "", text),
        QueryValue::Vector(list) => {
            for s in list {
                line(s.t_ms, &s.labels.to_string(), &text_of(&s.value));
            }
        }
        QueryValue::Matrix(list) => {
            for s in list {
                let series = s.labels.to_string();
                for (t, v) in s.samples.times.iter().zip(&s.samples.values) {
                    line(*t, &series, &format_f(*v));
                }
                for (t, h) in s.samples.histogram_times.iter().zip(&s.samples.histograms) {
                    line(*t, &series, &text_of(&Value::Histogram(h.clone())));
                }
            }
        }
    }
    document(out)
}

fn api_time(t_ms: i64) -> String {
    assay_prom_api::json::seconds(t_ms).to_string()
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_promql::{InstantSample, RangeSeries};

    #[test]
    fn csv_keeps_every_digit_and_quotes() {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "x,y")]);
        let value =
            QueryValue::Vector(vec![InstantSample { labels, t_ms: 1_500, value: Value::Float(0.1 + 0.2) }]);
        assert_eq!(
            render(&value, Layout::Csv),
            "time,series,value\n1.5,\"a{b=\"\"x,y\"\"}\",0.30000000000000004\n"
        );
    }

    #[test]
    fn a_series_over_time_becomes_a_line() {
        let samples =
            Column { times: vec![0, 1, 2, 3], values: vec![0.0, 1.0, 2.0, 7.0], ..Column::default() };
        let value =
            QueryValue::Matrix(vec![RangeSeries { labels: Labels::from_pairs([("a", "b")]), samples }]);
        let text = render(&value, Layout::Table { width: 100 });
        assert!(text.contains("▁▂▃█") && text.contains("2.5"), "{text}");
        assert_eq!(render(&QueryValue::Matrix(Vec::new()), Layout::Table { width: 80 }), "no series\n");
    }
}
