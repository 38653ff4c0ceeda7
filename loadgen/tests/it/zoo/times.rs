//! When the pieces of an answer came, in every dialect. Invariant: a frame is written once the client has read the one before,
//! so that what the server notes of a frame is of that frame alone.

use std::time::{Duration, Instant};

use loadgen::sink::requests::RequestsFile;

use super::{
    answers::Answer,
    dialects::{self, Dialect},
    wire::Wire,
};
use crate::server::{Deliveries, Do, Server, ok, run_with};

/// An answer of a dialect, and where its pieces are among the writes of a response.
struct Case {
    dialect: &'static Dialect,
    answer: Answer,
    writes: Vec<Do>,
    content: Vec<usize>,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for dialect in &dialects::ALL {
            // What is plain content in one answer is in all.
            for answer in Answer::all().into_iter().filter(|a| ["reasoning", "tool", "two"].contains(&a.name))
            {
                // Without usage each piece counts as a token.
                let frames = dialect.frames(&answer, false);
                let writes = Wire::PLAIN.actions(dialect, &frames);
                // The head is written before the frames.
                let content: Vec<usize> =
                    (1..).zip(&frames).filter(|(_, frame)| frame.is_content).map(|(i, _)| i).collect();
                if content.len() > 1 {
                    cases.push(Self { dialect, answer, writes, content });
                }
            }
        }
        cases
    }

    fn flow(&self, place: usize) -> String {
        let kind = if self.dialect.is_ndjson { "ndjson" } else { "sse" };
        format!("  - {{name: s{place}, post: /{place}, stream: {kind}}}\n")
    }
}

/// The time between two events of which each is known to lie between two instants.
fn between(from: (Instant, Instant), to: (Instant, Instant)) -> (Duration, Duration) {
    (to.0.saturating_duration_since(from.1), to.1.saturating_duration_since(from.0))
}

#[test]
fn times_of_pieces_are_between_the_write_and_the_read_of_each() {
    let cases = Case::all();
    let deliveries = Deliveries::default();
    let watched = |action: &Do| match action {
        // A piece that is taken for its neighbour is so far off.
        Do::Send(bytes) => {
            [Do::Wait(Duration::from_millis(2)), Do::SendAndWait(bytes.clone(), deliveries.clone())]
        }
        other => panic!("{other:?} in a plain response"),
    };
    let writes: Vec<Vec<Do>> =
        cases.iter().map(|case| case.writes.iter().flat_map(watched).collect()).collect();
    let server = Server::start(move |seen| {
        let place = seen.line().trim_start_matches("POST /").parse::<usize>();
        place.map_or_else(|_| ok(), |place| writes[place].clone())
    });
    let flow: String = cases.iter().enumerate().map(|(i, case)| case.flow(i)).collect();
    // A request after the last: what came before is noted then.
    let scenario = format!(
        "scenario: times\nflow:\n{flow}  - {{name: end, get: /end}}\nphases: {{p: {{executor: per-vu-iterations}}}}\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests.jsonl");
    let file = RequestsFile::create(&path).expect("a file");
    let mut ready = Instant::now();
    let summary = run_with(&server, &scenario, |options| options.outputs.requests = Some(file));
    assert_eq!((summary.requests, summary.errors), (cases.len() as u64 + 1, 0), "{}", summary.to_text());
    let lines = std::fs::read_to_string(&path).expect("was written");
    let (seen, noted) = (server.seen(), deliveries.all());
    let mut noted = noted.as_slice();
    for ((case, seen), line) in cases.iter().zip(&seen).zip(lines.lines()) {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let (own, rest) = noted.split_at(case.writes.len());
        noted = rest;
        let first = own[case.content[0]];
        let last = own[case.content[case.content.len() - 1]];
        let gaps = u32::try_from(case.content.len() - 1).expect("few");
        // The request was sent after the end of the answer before was written, and before its first byte was read.
        let to_first = between((ready, seen.at), first);
        let (least, most) = between(first, last);
        for (what, reported, (least, most)) in [
            ("first chunk", &row["time_to_first_chunk_s"], to_first),
            ("per token", &row["time_per_output_token_s"], (least / gaps, most / gaps)),
        ] {
            let reported = Duration::from_secs_f64(reported.as_f64().expect("a time"));
            // What is written has a whole number of nanoseconds.
            let (least, most) =
                (least.saturating_sub(Duration::from_nanos(2)), most + Duration::from_nanos(2));
            assert!(
                (least..=most).contains(&reported),
                "{} {}, {what}: {reported:?} is not between {least:?} and {most:?}",
                case.dialect.name,
                case.answer.name
            );
        }
        ready = own[case.writes.len() - 1].0;
    }
}
