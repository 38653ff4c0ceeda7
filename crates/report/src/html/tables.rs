//! Tables of figures: requests, streams, stages, energy. Invariant: a cell has its number in addition to its text, so that a
//! reader may sort by it and copy it with all its digits.

use assay_verdict::{
    tables::{EnergyRow, ErrorCount, Spread, StageRow, StepRow, Tables},
    units,
};
use serde::Serialize;

/// A table of the page.
#[derive(Serialize)]
pub(super) struct Table {
    title: &'static str,
    note: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// What a cell shows, and the number it stands for; a text has none.
#[derive(Serialize)]
struct Cell {
    text: String,
    number: Option<f64>,
    warn: bool,
}

impl Cell {
    fn text(text: &str) -> Self {
        Self { text: text.to_owned(), number: None, warn: false }
    }

    fn number(value: f64, unit: &str) -> Self {
        Self { text: units::quantity(value, unit), number: Some(value), warn: false }
    }

    /// A whole number, or nearly one where it was worked out from samples far apart.
    fn count(value: f64) -> Self {
        let text =
            if (value - value.round()).abs() < 0.01 { format!("{value:.0}") } else { units::digits(value) };
        Self { text, number: Some(value), warn: false }
    }

    fn maybe(value: Option<f64>, cell: impl Fn(f64) -> Self) -> Self {
        value.map_or_else(|| Self::text("–"), cell)
    }

    fn warn(mut self, warn: bool) -> Self {
        self.warn = warn;
        self
    }
}

/// The tables that have any rows.
pub(super) fn of(tables: &Tables) -> Vec<Table> {
    let all = [
        Table {
            title: "Requests",
            note: "Times are from the first byte sent; least and greatest are bounds of the outermost buckets. Failed requests \
                   are in them.",
            head: vec![
                "phase",
                "step",
                "requests",
                "per second",
                "failed",
                "least",
                "mean",
                "p50",
                "p90",
                "p95",
                "p99",
                "p99.9",
                "greatest",
            ],
            rows: tables.steps.iter().map(requests).collect(),
        },
        Table {
            title: "From the schedule",
            note: "Times from the instant that the schedule asked for, where they differ from those above by more than one in \
                   twenty.",
            head: vec!["phase", "step", "mean", "p50", "p90", "p95", "p99", "p99.9", "greatest"],
            rows: tables.steps.iter().filter_map(scheduled).collect(),
        },
        Table {
            title: "Streams",
            note: "Time to the first content, and between pieces of content.",
            head: vec![
                "phase",
                "step",
                "first p50",
                "first p95",
                "first p99",
                "gap p50",
                "gap p95",
                "gap p99",
                "tokens in",
                "tokens out",
                "out per second",
            ],
            rows: tables.steps.iter().filter_map(streams).collect(),
        },
        Table {
            title: "Failures",
            note: "",
            head: vec!["phase", "step", "class", "requests", "of all"],
            rows: tables.steps.iter().flat_map(failures).collect(),
        },
        Table {
            title: "Stages",
            note: "As the service measures itself. The share is of the time of all stages.",
            head: vec!["phase", "stage", "runs", "share", "mean", "p50", "p95", "p99", "greatest"],
            rows: tables.stages.iter().map(stages).collect(),
        },
        Table {
            title: "Energy",
            note: "All that the scraped counters of a kind used in the phase, idle use included.",
            head: vec!["phase", "of", "energy", "per request", "per output token"],
            rows: tables.energy.iter().map(energy).collect(),
        },
    ];
    all.into_iter().filter(|t| !t.rows.is_empty()).collect()
}

fn phase(phase: Option<&String>, warmup: bool) -> Cell {
    let name = phase.map_or("whole run", String::as_str);
    Cell::text(&if warmup { format!("{name} (warm-up)") } else { name.to_owned() })
}

/// The cells of a spread in seconds, a dash each where there is none.
fn seconds(spread: Option<&Spread>, picks: &[fn(&Spread) -> f64]) -> Vec<Cell> {
    picks.iter().map(|pick| Cell::maybe(spread.map(pick), |v| Cell::number(v, "s"))).collect()
}

/// The columns from the middle of a spread upwards.
const UPPER: [fn(&Spread) -> f64; 7] =
    [|s| s.mean, |s| s.p50, |s| s.p90, |s| s.p95, |s| s.p99, |s| s.p999, |s| s.greatest];

fn requests(row: &StepRow) -> Vec<Cell> {
    let duration = row.duration.as_ref();
    let mut cells = vec![
        phase(row.phase.as_ref(), row.warmup),
        Cell::text(&row.step),
        Cell::count(row.requests).warn(row.requests == 0.0),
        Cell::number(row.per_second, ""),
        Cell::count(row.failed).warn(row.failed > 0.0),
    ];
    cells.extend(seconds(duration, &[|s| s.least]));
    cells.extend(seconds(duration, &UPPER));
    cells
}

fn scheduled(row: &StepRow) -> Option<Vec<Cell>> {
    let (from_sent, latency) = (row.duration?, row.latency?);
    let differs = |a: f64, b: f64| (a - b).abs() > 0.05 * a.max(b);
    if !differs(from_sent.mean, latency.mean) && !differs(from_sent.p99, latency.p99) {
        return None;
    }
    let mut cells = vec![phase(row.phase.as_ref(), row.warmup), Cell::text(&row.step)];
    cells.extend(seconds(Some(&latency), &UPPER));
    Some(cells)
}

fn streams(row: &StepRow) -> Option<Vec<Cell>> {
    const SHOWN: [fn(&Spread) -> f64; 3] = [|s| s.p50, |s| s.p95, |s| s.p99];
    let first = row.first_chunk.as_ref()?;
    // Requests by requests per second: how long the phase was.
    let per_second = row.output_tokens.map(|n| n * row.per_second / row.requests).filter(|v| v.is_finite());
    let mut cells = vec![phase(row.phase.as_ref(), row.warmup), Cell::text(&row.step)];
    cells.extend(seconds(Some(first), &SHOWN));
    cells.extend(seconds(row.output_chunk.as_ref(), &SHOWN));
    cells.extend([
        Cell::maybe(row.input_tokens, Cell::count),
        Cell::maybe(row.output_tokens, Cell::count),
        Cell::maybe(per_second, |v| Cell::number(v, "")),
    ]);
    Some(cells)
}

fn failures(row: &StepRow) -> Vec<Vec<Cell>> {
    let one = |error: &ErrorCount| {
        vec![
            phase(row.phase.as_ref(), row.warmup),
            Cell::text(&row.step),
            Cell::text(&error.class),
            Cell::count(error.requests),
            Cell::number(error.requests / row.requests, "ratio"),
        ]
    };
    row.errors.iter().map(one).collect()
}

fn stages(row: &StageRow) -> Vec<Cell> {
    let mut cells = vec![
        phase(row.phase.as_ref(), row.warmup),
        Cell::text(&row.stage),
        Cell::count(row.runs),
        Cell::number(row.share, "ratio"),
    ];
    cells
        .extend(seconds(Some(&row.duration), &[|s| s.mean, |s| s.p50, |s| s.p95, |s| s.p99, |s| s.greatest]));
    cells
}

fn energy(row: &EnergyRow) -> Vec<Cell> {
    let joules = |v: f64| Cell::number(v, "J");
    vec![
        phase(row.phase.as_ref(), row.warmup),
        Cell::text(&row.what),
        joules(row.joules),
        Cell::maybe(row.per_request, joules),
        Cell::maybe(row.per_output_token, joules),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::{testing, verdict::Status};

    #[test]
    fn every_row_has_a_cell_for_each_heading() {
        let mut tables = testing::verdict(Status::Fail).tables;
        tables.steps[0].latency = tables.steps[0].duration.map(|s| Spread { p99: s.p99 * 2.0, ..s });
        let all = of(&tables);
        assert_eq!(all.iter().map(|t| t.title).collect::<Vec<_>>().len(), 6);
        for table in &all {
            for row in &table.rows {
                assert_eq!(row.len(), table.head.len(), "{}", table.title);
            }
        }
        assert_eq!(of(&Tables::default()).len(), 0);
    }

    #[test]
    fn numbers_are_kept_behind_their_texts() {
        let cell = Cell::count(180.004);
        assert_eq!((cell.text.as_str(), cell.number), ("180", Some(180.004)));
        assert_eq!(Cell::count(12.4).text, "12.4");
        assert_eq!(Cell::maybe(None, Cell::count).text, "–");
    }
}
