//! What traces say of the slowest requests. Invariant: what is asked is what a run with such a file says.

use crate::{
    causes::found_with,
    healthy::ALL,
    world::{T0_MS, World},
};

#[test]
fn the_slowest_requests_wait_for_what_their_traces_say() {
    // 400 requests of 200 ms in the steady phase; one in fifty waits for the database.
    let traces = |slow: usize| -> String {
        let span = |trace: usize, id: u64, parent: u64, name: &str, from_ms: i64, to_ms: i64| {
            let ns = |ms: i64| (T0_MS + 30_000 + 200 * trace as i64 + ms) * 1_000_000;
            format!(
                r#"{{"traceId":"{:032x}","spanId":"{id:016x}","parentSpanId":"{}","name":"{name}","startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[{}]}}"#,
                trace + 1,
                if parent == 0 { String::new() } else { format!("{parent:016x}") },
                ns(from_ms),
                ns(to_ms),
                if parent == 0 { r#"{"key":"load.step","value":{"stringValue":"query"}}"# } else { "" }
            )
        };
        (0..400)
            .map(|trace| {
                let wait = if trace % slow == 0 { 2_000 } else { (trace % 7) as i64 };
                let spans = [
                    span(trace, 1, 0, "POST /query", 0, 200 + wait),
                    span(trace, 2, 1, "POST /query", 5, 195 + wait),
                    span(trace, 3, 2, "embed", 10, 60),
                    span(trace, 4, 2, "SELECT", 60, 90 + wait),
                    span(trace, 5, 2, "chat", 90 + wait, 190 + wait),
                ];
                format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"rag"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(",")) + "\n"
            })
            .collect()
    };
    let of = |slow: usize| {
        let found = found_with(&World::default(), ALL, &traces(slow));
        found.into_iter().find(|f| f.id == "B004")
    };
    let found = of(50).expect("is found");
    assert_eq!((found.subject.as_str(), found.severity.as_str()), ("SELECT (rag)", "info"));
    let saves = found.action.as_ref().and_then(|a| a.saves).expect("is estimated");
    assert!((0.8..0.95).contains(&saves), "{found:?}");
    assert!(
        (found.evidence[0].after - 1.6).abs() < 0.5 && found.evidence[0].before.is_some_and(|b| b < 0.05),
        "{found:?}"
    );
    assert!(of(1_000_000).is_none(), "one slow request is none");
}
