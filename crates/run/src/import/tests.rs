//! What comes in comes out, whatever the format; what is wrong is said with its place, and leaves nothing.

use assay_model::{Column, Matcher, Queryable as _};

use super::*;
use crate::{Run, export::to_openmetrics};

/// Imports one file and gives back the run as OpenMetrics text without its last line, or the error.
fn check(name: &str, content: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, out) = (dir.path().join(name), dir.path().join("run"));
    fs::write(&file, content).expect("writes");
    if let Err(error) = import(std::slice::from_ref(&file), &out, &ImportOptions::default()) {
        let left: Vec<_> =
            fs::read_dir(dir.path()).expect("lists").filter_map(|e| Some(e.ok()?.file_name())).collect();
        assert_eq!(left, [name], "something is left behind");
        return Err(error.to_string().replace(&file.display().to_string(), name));
    }
    let run = Run::open(&out).expect("opens");
    let manifest = run.manifest.as_ref().expect("described");
    assert_eq!((manifest.outcome.as_ref(), run.cut_short), (Some(&Outcome::Finished), None));
    assert_eq!(run.time_range(), Some((manifest.start_ms, manifest.end_ms.expect("an end"))));
    let mut text = Vec::new();
    to_openmetrics(&run.database, &[], i64::MIN, i64::MAX, &mut text).expect("exports");
    let text = String::from_utf8(text).expect("text");
    Ok(text.strip_suffix("# EOF\n").expect("whole").to_owned())
}

#[test]
fn openmetrics_with_types_exemplars_and_any_order() {
    let text = "# HELP h Durations.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2 1.5 # {trace_id=\"x\"} 0.5 1.25\n\
                h_bucket{le=\"+Inf\"} 3 1.5\nb{x=\"y\"} 1e+06 3\nb{x=\"y\"} NaN 2\nb{x=\"y\"} 7 3\n\
                {\"dotted.name\",\"l.x\"=\"v\"} -0.5 1\n# EOF\n";
    let want = "b{x=\"y\"} NaN 2\nb{x=\"y\"} 1e+06 3\n{\"dotted.name\",\"l.x\"=\"v\"} -0.5 1\n\
                h_bucket{le=\"+Inf\"} 3 1.500\nh_bucket{le=\"1.0\"} 2 1.500\n";
    assert_eq!(check("a.om", text).as_deref(), Ok(want));
    // What was exported comes in as it is.
    assert_eq!(check("b.om", &format!("{want}# EOF\n")).as_deref(), Ok(want));
}

#[test]
fn prometheus_text_has_milliseconds() {
    let text = "# TYPE a counter\na{b=\"c\"} 1 1500\n\na{b=\"c\"} 2 2500\n";
    assert_eq!(check("a.prom", text).as_deref(), Ok("a{b=\"c\"} 1 1.500\na{b=\"c\"} 2 2.500\n"));
}

#[test]
fn answers_of_the_http_api() {
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"up","job":"a"},"values":[[1.5,"1"],[2.5,"+Inf"],[3,"NaN"]]},
        {"metric":{"__name__":"down"},"values":[[1,"0.25"]],"extra":[1]}]},"warnings":["w"]}"#;
    let want = "down 0.25 1\nup{job=\"a\"} 1 1.500\nup{job=\"a\"} +Inf 2.500\nup{job=\"a\"} NaN 3\n";
    assert_eq!(check("a.json", matrix).as_deref(), Ok(want));
    let vector =
        r#"{"data":{"result":[{"metric":{"__name__":"up"},"value":[7,"1"]}],"resultType":"vector"}}"#;
    assert_eq!(check("a.json", vector).as_deref(), Ok("up 1 7\n"));
}

#[test]
fn native_histograms_of_the_http_api() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, out) = (dir.path().join("h.json"), dir.path().join("run"));
    let json = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},
        "histograms":[[1,{"count":"0","sum":"0"}],
                      [2,{"count":"3","sum":"5.5","buckets":[[3,"-0.001","0.001","1"],[0,"1","2","2"]]}]]}]}}"#;
    fs::write(&file, json).expect("writes");
    let imported = import(&[file], &out, &ImportOptions::default()).expect("imports");
    assert_eq!(
        (imported.stats.series, imported.stats.samples, imported.stats.range),
        (1, 2, Some((1000, 2000)))
    );
    let run = Run::open(&out).expect("opens");
    let series = run.database.select(&[Matcher::equal("__name__", "h")], 0, i64::MAX).expect("selects");
    let mut column = Column::default();
    series[0].read(0, i64::MAX, &mut column).expect("reads");
    let h = &column.histograms[1];
    assert_eq!((h.schema, h.count, h.sum, h.zero_count, h.zero_threshold), (0, 3.0, 5.5, 1.0, 0.001));
    assert_eq!((h.positive_spans[0].offset, h.positive_buckets.as_slice()), (1, [2.0].as_slice()));
}

#[test]
fn lines_of_victoria_metrics() {
    let lines = "{\"metric\":{\"__name__\":\"a\",\"x\":\"y\"},\"values\":[1,2.5,null],\"timestamps\":[1000,2000,3000]}\n\
                 {\"metric\":{\"__name__\":\"b\"},\"values\":[\"Infinity\",-3],\"timestamps\":[1,2]}\n";
    let want = "a{x=\"y\"} 1 1\na{x=\"y\"} 2.5 2\na{x=\"y\"} NaN 3\nb +Inf 0.001\nb -3 0.002\n";
    assert_eq!(check("a.jsonl", lines).as_deref(), Ok(want));
}

#[test]
fn what_is_wrong_has_a_place() {
    for (name, content, want) in [
        (
            "a.om",
            "a 1 1\nb{c=\"d} 1 1\na x 1\na 1\n# EOF\n",
            "a.om:2:2: a quoted text has no closing quote\na.om:3:3: \"x\" is not a number; write for example 1.5, NaN or +Inf\na.om:4:2: the sample has no time; an import wants one behind each value",
        ),
        (
            "a.prom",
            "a 1 1\nb-c 1 1\n",
            "a.prom:2:2: a metric's name is made of letters, digits, _ and :, not first a digit; quote any other inside the braces",
        ),
        ("a.prom", "", "a.prom: holds no samples"),
        ("a.om", "# EOF\n", "a.om: holds no samples"),
        ("a.json", "{\"status\":\"error\",\"error\":\"bad\"}", "a.json:1:32: the answer is an error: bad"),
        (
            "a.json",
            "{\"status\":\"success\",\n\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"2\"]}}",
            "a.json:2:30: resultType is \"scalar\", which has no series; ask for a matrix or a vector",
        ),
        (
            "a.json",
            "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1,2]]}]}}",
            "a.json:1:88: invalid type: integer `2`, expected a number in quotes",
        ),
        (
            "a.jsonl",
            "{\"metric\":{\"__name__\":\"a\"},\"values\":[1],\"timestamps\":[]}\n",
            "a.jsonl:1:1: a has 1 values and 0 timestamps",
        ),
        (
            "a.jsonl",
            "{\"metric\":{\"__name__\":\"a\"},\"values\":[1",
            "a.jsonl:1:38: EOF while parsing a list",
        ),
    ] {
        assert_eq!(check(name, content), Err(want.to_owned()));
    }
}

#[test]
fn a_place_that_is_taken_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, out) = (dir.path().join("a.prom"), dir.path().join("run"));
    fs::write(&file, "a 1 1\n").expect("writes");
    fs::create_dir(&out).expect("makes");
    import(std::slice::from_ref(&file), &out, &ImportOptions::default()).expect("an empty directory will do");
    let error = import(&[file], &out, &ImportOptions::default()).expect_err("refused");
    assert!(matches!(error, ImportError::Exists { .. }), "{error}");
}

/// Blocks are cut at any line, and a line at the cut is neither lost nor split.
#[test]
fn a_file_of_many_blocks_is_whole() {
    use std::fmt::Write as _;
    let (series, steps) = (40, 6000);
    let mut text = String::from("# TYPE requests counter\n");
    for step in 0..steps {
        for s in 0..series {
            let _ = writeln!(
                text,
                "requests_total{{instance=\"127.0.0.1:{s:05}\",path=\"/query\"}} {} {step}",
                step * s
            );
        }
    }
    text.push_str("# EOF\n");
    assert!(text.len() > 3 << 22, "{} bytes are not many blocks", text.len());
    let dir = tempfile::tempdir().expect("a directory");
    let (file, out) = (dir.path().join("a.om"), dir.path().join("run"));
    fs::write(&file, text).expect("writes");
    let stats = import(&[file], &out, &ImportOptions::default()).expect("imports").stats;
    assert_eq!((stats.series, stats.samples, stats.late, stats.duplicates), (series, series * steps, 0, 0));
    let run = Run::open(&out).expect("opens");
    let mut column = Column::default();
    for (s, series) in run.database.select(&[], i64::MIN, i64::MAX).expect("selects").iter().enumerate() {
        column.clear();
        series.read(i64::MIN, i64::MAX, &mut column).expect("reads");
        assert!(column.times.iter().copied().eq((0..steps as i64).map(|t| t * 1000)));
        assert!(column.values.iter().copied().eq((0..steps).map(|t| (t * s as u64) as f64)));
    }
}
