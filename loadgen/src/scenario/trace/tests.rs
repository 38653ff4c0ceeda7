//! Traces of each kind, as they are published, and what is said of wrong ones.

use super::*;

const MOONCAKE: &str = r#"{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
{"timestamp": 3000, "input_length": 7319, "output_length": 490, "hash_ids": [0, 14]}
{"timestamp": 3500, "input_length": 7234, "output_length": 794, "hash_ids": [0]}
"#;
const BURSTGPT: &str =
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,1,3.1,ChatGPT,472,18,490,Conversation log
45,,2.0,ChatGPT,1087,230,1317,API log
";
const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
";
const LOG: &str = r#"1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /a HTTP/1.1" 200 1 "-" "x"
1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /b HTTP/1.1" 200 1 "-" "x"
1.2.3.4 - - [10/Oct/2000:13:55:37 +0000] "-" 408 0
1.2.3.4 - - [10/Oct/2000:13:55:38 +0000] "POST /c HTTP/1.1" 200 1 "-" "x"
1.2.3.4 - - [10/Oct/2000:13:55:37 +0000] "GET /d HTTP/1.1" 200 1 "-" "x"
"#;
const JSON_LOG: &str = r#"{"time_iso8601": "2026-01-31T12:00:00+00:00", "request": "GET /a?x=1 HTTP/1.1"}
{"time_iso8601": "2026-01-31T12:00:02.5+00:00", "request": {"method": "PUT", "uri": "/b"}}
"#;

fn load(file: &str, text: &str, reading: Reading) -> Result<Trace, Vec<Problem>> {
    Trace::load(file, Source::Memory(text.as_bytes().into()), reading)
}

/// The instants in milliseconds, each with a field.
fn rows(file: &str, text: &str, reading: Reading, field: &str) -> Vec<(u128, String)> {
    let trace = load(file, text, reading).unwrap_or_else(|e| panic!("{file}: {e:?}"));
    let mut out = Vec::new();
    let read = trace.rows(|row| {
        let (at, value) = (row.at.as_millis(), Arc::new(row).to_value());
        out.push((at, value.get_attr(field).map(|v| v.to_string()).unwrap_or_default()));
        true
    });
    assert_eq!(read, Ok(()));
    assert_eq!(trace.count as usize, out.len());
    assert_eq!(trace.first.at.as_millis(), out[0].0);
    out
}

fn check(file: &str, text: &str, reading: Reading, field: &str, want: &[(u128, &str)]) {
    let got = rows(file, text, reading, field);
    let got: Vec<(u128, &str)> = got.iter().map(|(at, value)| (*at, value.as_str())).collect();
    assert_eq!(got, want, "{file}");
}

#[test]
fn the_usual_traces_are_read() {
    let plain = Reading::default;
    check("a.jsonl", MOONCAKE, plain(), "input_tokens", &[(0, "6758"), (3000, "7319"), (3500, "7234")]);
    check("a.jsonl", MOONCAKE, plain(), "hash_ids", &[(0, "[0, 1, 2]"), (3000, "[0, 14]"), (3500, "[0]")]);
    check("a.csv", BURSTGPT, plain(), "output_tokens", &[(0, "18"), (40_000, "230")]);
    check("a.csv", BURSTGPT, plain(), "Session ID", &[(0, "1"), (40_000, "")]);
    check("a.csv", AZURE, plain(), "input_tokens", &[(0, "374"), (4314, "396")]);
    check("a.log", LOG, plain(), "path", &[(0, "/a"), (500, "/b"), (1000, "/d"), (2000, "/c")]);
    check("a.log", LOG, plain(), "method", &[(0, "GET"), (500, "GET"), (1000, "GET"), (2000, "POST")]);
    check("a.log", JSON_LOG, plain(), "path", &[(0, "/a?x=1"), (2500, "/b")]);
    check("a.jsonl", JSON_LOG, plain(), "method", &[(0, "GET"), (2500, "PUT")]);
}

#[test]
fn what_is_said_of_a_trace_holds() {
    let s = Duration::from_secs;
    let clipped = Reading { from: s(3), to: Some(s(4)), ..Reading::default() };
    check("a.jsonl", MOONCAKE, clipped, "input_tokens", &[(0, "7319"), (500, "7234")]);
    let own = Reading { time: Some("when".to_owned()), unit: Some(Unit::Us), ..Reading::default() };
    check("a.csv", "when,x\n1000,a\n4000,b\n", own, "x", &[(0, "a"), (3, "b")]);
    let spread = Reading { spread: Some(s(3)), ..Reading::default() };
    check(
        "a.csv",
        "t,x\n1,a\n1,b\n1,c\n9,d\n",
        spread,
        "x",
        &[(0, "a"), (1000, "b"), (2000, "c"), (8000, "d")],
    );
    let trace = load("a.jsonl", MOONCAKE, Reading::default()).expect("a trace");
    assert_eq!((trace.count, trace.length), (3, Duration::from_millis(5250)));
    assert_eq!((trace.rate_at(s(0)), trace.rate_at(s(1)), trace.rate_at(s(3))), (1.0, 0.0, 2.0));
    assert_eq!(trace.highest_rate_per_s(), 2.0);
}

#[test]
fn lines_of_one_instant_stay_before_those_of_the_next() {
    let s = Duration::from_secs;
    // A log with fractions of seconds, whose lines would be spread beyond the next one.
    let line =
        |second: &str| format!("{{\"time\": \"2026-01-31T12:00:0{second}Z\", \"path\": \"/{second}\"}}\n");
    let text: String = ["0.1", "0.1", "0.2", "5"].map(line).concat();
    let want: [(u128, &str); 4] = [(0, "/0.1"), (50, "/0.1"), (100, "/0.2"), (4900, "/5")];
    check("a.log", &text, Reading::default(), "path", &want);
    let spread = Reading { spread: Some(s(9)), ..Reading::default() };
    check("a.csv", "t,x\n1,a\n1,b\n3,c\n", spread, "x", &[(0, "a"), (1000, "b"), (2000, "c")]);
    // What is left out by `from` is left out wherever it is.
    let clipped = Reading { spread: Some(s(9)), from: s(1), ..Reading::default() };
    check("a.csv", "t,x\n1,a\n1,b\n3,c\n", clipped, "x", &[(0, "b"), (1000, "c")]);
}

#[test]
fn an_instant_with_more_lines_than_are_held_is_spread_evenly() {
    let lines = 3 * order::WINDOW + 5;
    let text = format!("t\n{}2\n", "1\n".repeat(lines));
    let reading = Reading { spread: Some(Duration::from_secs(60)), ..Reading::default() };
    let trace = load("a.csv", &text, reading).expect("a trace");
    let mut at = Vec::new();
    trace
        .rows(|row| {
            at.push(row.at.as_secs_f64());
            true
        })
        .expect("the same file");
    assert_eq!(at.len(), lines + 1);
    for (i, at) in at.iter().enumerate() {
        assert!((at - i as f64 / lines as f64).abs() < 1e-6, "line {i} at {at}");
    }
}

#[test]
fn long_traces_keep_their_rates_in_little() {
    let text: String = (0..100_000).map(|i| format!("{}\n", i as f64 / 10.0)).collect();
    let trace = load("a.csv", &format!("t\n{text}"), Reading::default()).expect("a trace");
    assert!(trace.rates.counts.len() <= MOST_PARTS);
    assert!((trace.rate_at(Duration::from_secs(5000)) - 10.0).abs() < 0.1);
    assert!((trace.length.as_secs_f64() - 10_000.0).abs() < 0.1);
}

#[test]
fn wrong_lines_are_told_of_together_and_by_number() {
    let wrong = |file: &str, text: &str, want: &[(Option<u64>, &str)]| {
        let problems = load(file, text, Reading::default()).expect_err(file);
        assert_eq!(problems.len(), want.len(), "{problems:?}");
        for ((line, message), (want_line, part)) in problems.iter().zip(want) {
            assert_eq!(line, want_line, "{message}");
            assert!(message.contains(part), "{message}");
        }
    };
    wrong(
        "a.jsonl",
        "{\"timestamp\": 0}\n{\"timestamp\": \n{\"timestamp\": \"soon\"}\n{\"time\": 1}\n",
        &[
            (Some(2), "not a line of JSON"),
            (Some(3), "is not an instant"),
            (Some(4), "there is no \"timestamp\""),
        ],
    );
    wrong("a.csv", "t,x\n1,a\n2\n3,c,d\n", &[(Some(3), "record"), (Some(4), "record")]);
    wrong(
        "a.csv",
        "a,b\n1,2\n",
        &[(Some(2), "no column is known to have instants (a, b); name it: time: NAME")],
    );
    wrong("a.log", &format!("{LOG}nonsense\n"), &[(Some(6), "common or combined format")]);
    wrong("a.txt", "1\n", &[(None, "a trace is a .csv or .jsonl file")]);
    wrong("a.csv", "t\n", &[(None, "no rows")]);
    wrong(
        "a.csv",
        "t\n1\n1e12\n",
        &[(None, "it is 31688 years; say what the instants count: unit: ms, us or ns")],
    );
    wrong("a.csv", "t\n1\n1e300\n", &[(Some(3), "is not an instant")]);
    // A line that belongs far above: more than the window holds.
    let late: String = (1..=order::WINDOW + 10).map(|i| format!("{i}\n")).collect();
    wrong("a.csv", &format!("t\n{late}0\n"), &[(Some(order::WINDOW as u64 + 12), "sort the file by time")]);
    let many = "{}\n".repeat(50);
    assert_eq!(
        load("a.jsonl", &format!("{{\"t\":1}}\n{many}"), Reading::default()).expect_err("wrong").len(),
        10
    );
    let empty = Reading { from: Duration::from_secs(9), ..Reading::default() };
    let none = load("a.jsonl", MOONCAKE, empty).expect_err("nothing is left");
    assert!(none[0].1.contains("no request between from and to"), "{none:?}");
}
