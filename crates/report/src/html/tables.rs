//! Tables of figures: requests, streams, stages, energy. Invariant: a cell has its number in addition to its text, so that a
//! reader may sort by it and copy it with all its digits.

use super::plot::Frame;
use assay_verdict::{
    tables::{CheckCount, EnergyRow, ErrorCount, Spread, StageRow, StepRow, Tables},
    units,
};
use serde::Serialize;

/// A table of the page.
#[derive(Serialize)]
pub(super) struct Table {
    /// The heading; empty under one that says it.
    pub(super) title: &'static str,
    /// What it is called where it has no heading.
    pub(super) label: &'static str,
    pub(super) note: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// What a cell shows, and the number it stands for; a text has none.
#[derive(Serialize)]
pub(super) struct Cell {
    text: String,
    number: Option<f64>,
    warn: bool,
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), number: None, warn: false }
    }

    pub(super) fn number(value: f64, unit: &str) -> Self {
        Self::numbered(units::quantity(value, unit), value)
    }

    pub(super) fn numbered(text: String, value: f64) -> Self {
        Self { text, number: value.is_finite().then_some(value), warn: false }
    }

    /// A whole number, or nearly one where it was worked out from samples far apart.
    fn count(value: f64) -> Self {
        let text =
            if (value - value.round()).abs() < 0.01 { format!("{value:.0}") } else { units::digits(value) };
        Self::numbered(text, value)
    }

    pub(super) fn maybe(value: Option<f64>, cell: impl Fn(f64) -> Self) -> Self {
        value.map_or_else(|| Self::text("–"), cell)
    }

    pub(super) fn warn(mut self, warn: bool) -> Self {
        self.warn = warn;
        self
    }
}

/// The tables that have any rows, by the section they are in.
#[derive(Serialize)]
pub(super) struct Sections {
    requests: Vec<Table>,
    failures: Vec<Table>,
    energy: Vec<Table>,
    stages: Vec<Table>,
}

/// All tables of a verdict.
pub(super) fn of(tables: &Tables, frame: &Frame<'_>) -> Sections {
    let with_rows = |list: Vec<Table>| list.into_iter().filter(|t| !t.rows.is_empty()).collect();
    Sections {
        requests: with_rows(vec![
            requests_of(&tables.steps),
            scheduled_of(&tables.steps),
            streams_of(&tables.steps),
            checks_of(&tables.steps),
        ]),
        failures: with_rows(vec![Table {
            title: "",
            label: "Failures",
            note: "When the first and the last of them were counted, to a sixtieth of the phase.",
            head: vec!["phase", "step", "class", "requests", "of all", "from", "to"],
            rows: tables.steps.iter().flat_map(|row| failures(row, frame)).collect(),
        }]),
        energy: with_rows(vec![Table {
            title: "",
            label: "Energy",
            note: "All that the scraped counters of a kind used in the phase, idle use included.",
            head: vec!["phase", "of", "energy", "per request", "per output token"],
            rows: tables.energy.iter().map(energy).collect(),
        }]),
        stages: with_rows(vec![Table {
            title: "",
            label: "Stages",
            note: "As the service measures itself. The share is of the time of all stages; at p50 and p99, of the sum of all stages' p50 or \
                   p99, which is an estimate, since percentiles do not add up.",
            head: vec![
                "phase",
                "stage",
                "runs",
                "share",
                "mean",
                "p50",
                "share at p50",
                "p95",
                "p99",
                "share at p99",
                "greatest",
            ],
            rows: tables.stages.iter().map(|row| stages(row, &tables.stages)).collect(),
        }]),
    }
}

fn requests_of(steps: &[StepRow]) -> Table {
    Table {
        title: "By phase and step",
        label: "Requests",
        note: "Times are from the first byte sent; least and greatest are as measured, or bounds of the outermost \
               buckets where the generator does not say them. Failed requests are in them.",
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
        rows: steps.iter().map(requests).collect(),
    }
}

fn scheduled_of(steps: &[StepRow]) -> Table {
    Table {
        title: "From the schedule",
        label: "Times from the schedule",
        note: "Times from the instant that the schedule asked for, where they differ from those above by more than one in \
               twenty.",
        head: vec!["phase", "step", "mean", "p50", "p90", "p95", "p99", "p99.9", "greatest"],
        rows: steps.iter().filter_map(scheduled).collect(),
    }
}

fn streams_of(steps: &[StepRow]) -> Table {
    Table {
        title: "Streams",
        label: "Streams",
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
        rows: steps.iter().filter_map(streams).collect(),
    }
}

fn checks_of(steps: &[StepRow]) -> Table {
    Table {
        title: "Checks of the answers",
        label: "Checks",
        note: "What the scenario asks of each answer, in addition to its status.",
        head: vec!["phase", "step", "check", "answers", "passed", "failed", "failed of all"],
        rows: steps.iter().flat_map(checks).collect(),
    }
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

fn failures(row: &StepRow, frame: &Frame<'_>) -> Vec<Vec<Cell>> {
    let clock = |t: Option<i64>| t.map_or_else(|| "–".to_owned(), |t| frame.clock(t));
    let one = |error: &ErrorCount| {
        vec![
            phase(row.phase.as_ref(), row.warmup),
            Cell::text(&row.step),
            Cell::text(&error.class),
            Cell::count(error.requests),
            Cell::number(error.requests / row.requests, "ratio"),
            Cell::text(&clock(error.span_ms.map(|s| s.0))),
            Cell::text(&clock(error.span_ms.map(|s| s.1))),
        ]
    };
    row.errors.iter().map(one).collect()
}

fn checks(row: &StepRow) -> Vec<Vec<Cell>> {
    let one = |check: &CheckCount| {
        let all = check.passed + check.failed;
        (all > 0.0).then(|| {
            vec![
                phase(row.phase.as_ref(), row.warmup),
                Cell::text(&row.step),
                Cell::text(&check.check),
                Cell::count(all),
                Cell::count(check.passed),
                Cell::count(check.failed).warn(check.failed > 0.0),
                Cell::number(check.failed / all, "ratio"),
            ]
        })
    };
    row.checks.iter().filter_map(one).collect()
}

fn stages(row: &StageRow, all: &[StageRow]) -> Vec<Cell> {
    let of_all = |pick: fn(&Spread) -> f64| {
        let sum: f64 = all.iter().filter(|r| r.phase == row.phase).map(|r| pick(&r.duration)).sum();
        Cell::maybe((sum > 0.0).then(|| pick(&row.duration) / sum), |v| Cell::number(v, "ratio"))
    };
    let time = |v: f64| Cell::number(v, "s");
    let spread = &row.duration;
    vec![
        phase(row.phase.as_ref(), row.warmup),
        Cell::text(&row.stage),
        Cell::count(row.runs),
        Cell::number(row.share, "ratio"),
        time(spread.mean),
        time(spread.p50),
        of_all(|s| s.p50),
        time(spread.p95),
        time(spread.p99),
        of_all(|s| s.p99),
        time(spread.greatest),
    ]
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
        let frame = Frame { start_ms: 0, end_ms: 1, phases: &[] };
        let Sections { requests, failures, energy, stages } = of(&tables, &frame);
        assert_eq!([requests.len(), failures.len(), energy.len(), stages.len()], [4, 1, 1, 1]);
        for table in requests.iter().chain(&failures).chain(&energy).chain(&stages) {
            for row in &table.rows {
                assert_eq!(row.len(), table.head.len(), "{}", table.label);
            }
        }
        assert!(of(&Tables::default(), &frame).requests.is_empty());
    }

    #[test]
    fn what_is_no_number_is_text() {
        let mut tables = testing::verdict(Status::Fail).tables;
        tables.steps[0].duration = tables.steps[0].duration.map(|s| Spread { mean: f64::NAN, ..s });
        let row = requests(&tables.steps[0]);
        let mean = &row[6];
        assert_eq!((mean.text.as_str(), mean.number), ("NaN", None));
    }

    #[test]
    fn numbers_are_kept_behind_their_texts() {
        let cell = Cell::count(180.004);
        assert_eq!((cell.text.as_str(), cell.number), ("180", Some(180.004)));
        assert_eq!(Cell::count(12.4).text, "12.4");
        assert_eq!(Cell::maybe(None, Cell::count).text, "–");
    }
}
