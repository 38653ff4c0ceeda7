//! Reads what decides out of a baseline file. Invariant: the parts that are for people may say anything; in those that decide, every
//! key is known and every value checked, and all problems are reported at once.

use assay_model::duration;
use assay_run::{PhaseOutcome, time};
use assay_yaml::{Cx, Diagnostics, Document, MapReader, Node};
use serde_json::{Value, json};

use super::file::{BaselineFile, FORMAT_VERSION};
use crate::{
    measure::{Batches, Figure, Measure, Measured, MeasuredRun, Pairs, Part},
    sla,
    verdict::{PhaseInfo, PhaseSource, RunInfo},
};

/// The parts that nothing decides by.
const FOR_PEOPLE: [&str; 8] = [
    "software",
    "components",
    "scenarios",
    "resources",
    "bottlenecks",
    "optimisations",
    "scaling",
    "findings",
];

/// The runs of a document.
pub(super) fn runs(document: &Document) -> Result<BaselineFile, Diagnostics> {
    let empty = || Diagnostics::file(document.file(), "is empty; `ruleseval baseline RUN` writes a baseline");
    if document.root().is_null() {
        return Err(empty());
    }
    let mut cx = Cx::new(document);
    let file = read(&mut cx, document.root());
    cx.finish()?;
    file.ok_or_else(empty)
}

fn read(cx: &mut Cx<'_>, root: &Node) -> Option<BaselineFile> {
    let mut map = cx.map(root, "a baseline")?;
    let version = map.require(cx, "format_version").and_then(|n| Some((n, cx.integer::<u32>(n)?)));
    if let Some((node, found)) = version.filter(|(_, v)| *v > FORMAT_VERSION) {
        cx.error(
            node,
            format!(
                "has version {found} of the format, this program reads up to {FORMAT_VERSION}; use a later one"
            ),
        );
        return None;
    }
    let manifest = manifest(cx, &mut map);
    for key in FOR_PEOPLE {
        map.get(key);
    }
    let infos = map.require(cx, "runs").and_then(|n| read_runs(cx, n, &manifest));
    let measures = map.require(cx, "measures");
    map.finish(cx);
    let read: Vec<_> = cx.seq(measures?, "measures")?.iter().map(|n| (n, read_measure(cx, n))).collect();
    let mut runs: Vec<MeasuredRun> =
        infos?.into_iter().map(|info| MeasuredRun { info, measured: Vec::new() }).collect();
    for (node, found) in read {
        if let Some((measure, figures)) = found {
            place(cx, node, &measure, figures, &mut runs);
        }
    }
    Some(BaselineFile { runs })
}

/// What of a run's manifest says whether two runs are alike.
fn manifest(cx: &mut Cx<'_>, map: &mut MapReader<'_>) -> Value {
    let at = |node: Option<&Node>, path: &[&str]| {
        let mut found = node;
        for key in path {
            found = found.and_then(|n| n.get(key));
        }
        found.map(Node::to_json).unwrap_or_default()
    };
    let metadata = map.require(cx, "metadata").filter(|n| cx.map(n, "the metadata").is_some());
    let hardware = map.get("hardware").filter(|n| cx.map(n, "the hardware").is_some());
    json!({
        "scenario": at(metadata, &["scenario"]),
        "mode": at(metadata, &["mode"]),
        "target": at(metadata, &["target"]),
        "host": {
            "cpu_model": at(hardware, &["cpu", "model"]),
            "cpus": at(hardware, &["cpu", "processors"]),
            "arch": at(hardware, &["cpu", "architecture"]),
            "memory_bytes": at(hardware, &["memory", "bytes"]),
            "gpus": at(hardware, &["gpu"]),
        },
    })
}

fn read_runs(cx: &mut Cx<'_>, node: &Node, manifest: &Value) -> Option<Vec<RunInfo>> {
    let items = cx.seq(node, "runs")?;
    if items.is_empty() {
        cx.error(node, "a baseline needs at least one run");
        return None;
    }
    let all: Vec<_> = items.iter().map(|n| read_run(cx, n, manifest)).collect();
    let runs: Vec<RunInfo> = all.into_iter().collect::<Option<_>>()?;
    for (i, run) in runs.iter().enumerate() {
        if runs[..i].iter().any(|r| r.source == run.source) {
            cx.error(&items[i], format!("duplicate run {:?}", run.source));
        }
    }
    Some(runs)
}

fn read_run(cx: &mut Cx<'_>, node: &Node, manifest: &Value) -> Option<RunInfo> {
    let mut map = cx.map(node, "a run")?;
    let name = map.require(cx, "name").and_then(|n| cx.string(n));
    let span = read_span(cx, &mut map);
    let outcome = map.get("outcome").and_then(|n| cx.string(n));
    let phases = map.get("phases").map_or(Some(Vec::new()), |n| {
        let items = cx.seq(n, "phases")?;
        let all: Vec<_> = items.iter().map(|n| read_phase(cx, n)).collect();
        all.into_iter().collect()
    });
    map.finish(cx);
    let (start_ms, end_ms) = span?;
    let phases: Vec<PhaseInfo> = phases?;
    Some(RunInfo {
        source: name?,
        scenario: manifest["scenario"].as_str().map(str::to_owned),
        start_ms,
        end_ms,
        phases_from: if phases.is_empty() { PhaseSource::None } else { PhaseSource::Manifest },
        phases,
        outcome,
        manifest: manifest.clone(),
        ..RunInfo::default()
    })
}

fn read_phase(cx: &mut Cx<'_>, node: &Node) -> Option<PhaseInfo> {
    let mut map = cx.map(node, "a phase")?;
    let name = map.require(cx, "name").and_then(|n| cx.string(n));
    let span = read_span(cx, &mut map);
    let planned = map.get("planned").map(|n| cx.duration_ms(n));
    let warmup = map.get("warmup").map_or(Some(false), |n| cx.boolean(n));
    map.finish(cx);
    let (start_ms, end_ms) = span?;
    Some(PhaseInfo {
        name: name?,
        start_ms,
        end_ms,
        warmup: warmup?,
        outcome: PhaseOutcome::Finished,
        planned_ms: match planned {
            Some(planned) => Some(planned?),
            None => None,
        },
    })
}

/// The keys `start` and `end`.
fn read_span(cx: &mut Cx<'_>, map: &mut MapReader<'_>) -> Option<(i64, i64)> {
    let mut read = |cx: &mut Cx<'_>, key| {
        let node = map.require(cx, key)?;
        let found = cx.string(node).and_then(|text| time::parse(&text));
        if found.is_none() {
            cx.error(
                node,
                format!("expected a time such as 2026-11-23T13:00:00Z, found {}", node.describe()),
            );
        }
        Some((node, found?))
    };
    let (start, end) = (read(cx, "start"), read(cx, "end"));
    let ((_, start_ms), (node, end_ms)) = (start?, end?);
    if end_ms < start_ms {
        cx.error(node, "ends before its start");
        return None;
    }
    Some((start_ms, end_ms))
}

/// A figure with the name of its run, and where it stands.
type Placed<'a> = (&'a Node, String, Figure);

fn read_measure<'a>(cx: &mut Cx<'_>, node: &'a Node) -> Option<(Measure, Vec<Placed<'a>>)> {
    let mut map = cx.map(node, "a measure")?;
    let part = map.require(cx, "part").and_then(|n| read_part(cx, n));
    let name = map.require(cx, "name").and_then(|n| cx.string(n));
    // An empty text is a text here, and null is none.
    let text = |node: Option<&Node>| node.and_then(Node::as_str).unwrap_or_default().to_owned();
    let (sla, unit) = (text(map.get("sla")), text(map.get("unit")));
    let measure = map.require(cx, "measure").and_then(|n| read_expression(cx, n));
    let comparison = map.require(cx, "comparison").and_then(|n| read_comparison(cx, n));
    let limit = map.get("limit").map(|n| cx.number(n));
    let phases = map.get("phases").map_or(Some(Vec::new()), |n| cx.strings(n));
    let figures = map.require(cx, "figures").and_then(|n| {
        let list = cx.seq(n, "figures")?;
        let read = |n: &'a Node| read_figure(cx, n).map(|(run, figure)| (n, run, figure));
        Some(list.iter().filter_map(read).collect())
    });
    map.finish(cx);
    let measure = Measure {
        part: part?,
        sla,
        name: name?,
        unit,
        measure: measure?,
        comparison: comparison?,
        limit: limit.flatten(),
        phases: phases?,
    };
    Some((measure, figures?))
}

/// Gives each figure to its run.
fn place(
    cx: &mut Cx<'_>,
    node: &Node,
    measure: &Measure,
    figures: Vec<Placed<'_>>,
    runs: &mut [MeasuredRun],
) {
    if runs.iter().any(|r| r.of(measure).is_some()) {
        cx.error(node, format!("duplicate {} {:?}", measure.part.as_str(), measure.name));
        return;
    }
    for run in runs.iter_mut() {
        run.measured.push(Measured { measure: measure.clone(), figures: Vec::new() });
    }
    for (node, name, figure) in figures {
        let known = runs.iter_mut().find(|r| r.info.source == name).and_then(|r| r.measured.last_mut());
        match known {
            Some(measured) => measured.figures.push(figure),
            None => cx.error(node, format!("no run is named {name:?}")),
        }
    }
}

fn read_part(cx: &mut Cx<'_>, node: &Node) -> Option<Part> {
    let found = Part::ALL.into_iter().find(|p| node.as_str() == Some(p.as_str()));
    if found.is_none() {
        cx.error(node, format!("expected objective, step or stage, found {}", node.describe()));
    }
    found
}

fn read_comparison(cx: &mut Cx<'_>, node: &Node) -> Option<String> {
    const KNOWN: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
    let text = node.as_str().filter(|t| KNOWN.contains(t));
    if text.is_none() {
        cx.error(node, format!("expected one of {}, found {}", KNOWN.join(", "), node.describe()));
    }
    text.map(str::to_owned)
}

fn read_expression(cx: &mut Cx<'_>, node: &Node) -> Option<String> {
    let text = cx.string(node)?;
    match sla::check_measure(&text) {
        Ok(()) => Some(text),
        Err(problems) => {
            problems.into_iter().for_each(|(offset, message)| cx.error_in(node, offset, message));
            None
        }
    }
}

fn read_figure(cx: &mut Cx<'_>, node: &Node) -> Option<(String, Figure)> {
    let mut map = cx.map(node, "a figure")?;
    let run = map.require(cx, "run").and_then(|n| cx.string(n));
    let phase = map.get("phase").and_then(|n| cx.string(n));
    let length = map.require(cx, "length").and_then(|n| cx.duration_ms(n));
    let labels = map.get("labels").map_or(Some(Pairs::new()), |n| cx.string_map(n, "labels"));
    let value = map.get("value").map(|n| number(cx, n));
    let batches = map.get("batches").map_or(Some(Vec::new()), |n| {
        let all: Vec<_> = cx.seq(n, "batches")?.iter().map(|n| read_batches(cx, n)).collect();
        all.into_iter().collect()
    });
    map.finish(cx);
    let mut labels = labels?;
    labels.sort();
    let value = match value {
        Some(value) => Some(value?),
        None => None,
    };
    Some((run?, Figure { phase, labels, value, length_ms: length?, batches: batches? }))
}

fn read_batches(cx: &mut Cx<'_>, node: &Node) -> Option<Batches> {
    let mut map = cx.map(node, "batches")?;
    let length = map.require(cx, "length").and_then(|n| {
        let found = cx.duration_ms(n)?;
        if found == 0 {
            cx.error(n, format!("a batch must be longer than {}", duration::format_ms(0)));
        }
        Some(found)
    });
    let values = map.require(cx, "values").and_then(|n| {
        let all: Vec<_> = cx.seq(n, "numbers")?.iter().map(|n| number(cx, n)).collect();
        all.into_iter().collect::<Option<Vec<f64>>>()
    });
    map.finish(cx);
    Some(Batches { length_ms: length?, values: values? })
}

/// A finite number.
fn number(cx: &mut Cx<'_>, node: &Node) -> Option<f64> {
    let found = node.as_str().and_then(|t| t.parse::<f64>().ok()).filter(|v| v.is_finite());
    if found.is_none() {
        cx.error(node, format!("expected a number, found {}", node.describe()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "format_version: 1
metadata: {scenario: s, mode: all}
notes_of_ours: x
runs:
  - {name: a, start: '2026-11-23T13:00:00Z', end: '2026-11-23T13:10:00Z'}
measures:
  - part: objective
    name: p99
    measure: max(a)
    comparison: <
    figures:
      - {run: a, length: 10m, value: 1}
";

    fn problems(text: &str) -> String {
        let document = match Document::parse("b.yaml", text) {
            Ok(document) => document,
            Err(e) => return e.to_string(),
        };
        runs(&document).err().map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn problems_have_their_places() {
        let right = RIGHT.replace("notes_of_ours: x\n", "");
        assert_eq!(problems(&right), "");
        assert!(
            problems(RIGHT).starts_with("b.yaml:3:1: unknown key \"notes_of_ours\""),
            "{}",
            problems(RIGHT)
        );
        for (from, to, want) in [
            ("value: 1", "value: .nan", "b.yaml:11:38: expected a number, found \".nan\""),
            ("value: 1", "value: [1]", "b.yaml:11:38: expected a number, found a list"),
            ("length: 10m", "length: ten", "b.yaml:11:26: expected a duration"),
            ("run: a,", "run: c,", "b.yaml:11:9: no run is named \"c\""),
            ("max(a)", "max(a", "b.yaml:8:19: unclosed left parenthesis"),
            ("comparison: <", "comparison: less", "b.yaml:9:17: expected one of <"),
            ("part: objective", "part: objectiv", "b.yaml:6:11: expected objective, step or stage"),
            ("format_version: 1", "format_version: 9", "b.yaml:1:17: has version 9 of the format"),
            ("'2026-11-23T13:10:00Z'", "noon", "b.yaml:4:51: expected a time"),
            ("'2026-11-23T13:10:00Z'", "'2026-11-23T12:10:00Z'", "b.yaml:4:51: ends before its start"),
            (
                "runs:\n  - {",
                "runs:\n  - {nmae: x, ",
                "b.yaml:4:6: unknown key \"nmae\" in a run; did you mean \"name\"?",
            ),
            ("measures:\n", "measures:\n- {\n", "b.yaml:"),
        ] {
            let text = right.replace(from, to);
            assert_ne!(text, right, "{from}");
            let found = problems(&text);
            assert!(found.contains(want), "{from} as {to}: {found}");
        }
        let several =
            problems(&right.replace("value: 1", "value: x").replace("comparison: <", "comparison: ~"));
        assert_eq!(several.lines().count(), 2, "{several}");
        let both = problems(&right.replace("13:00:00Z", "noon").replace("value: 1", "value: x"));
        assert!(both.contains(":4:22: expected a time") && both.contains(":11:38: "), "{both}");
        assert!(problems("").contains("is empty"), "{}", problems(""));
        assert!(problems("[1]").contains("b.yaml:1:1: expected a baseline"), "{}", problems("[1]"));
    }
}
