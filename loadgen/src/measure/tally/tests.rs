//! Tallies add up.

use super::*;

fn measured(ms: u64, error: Option<ErrorClass>) -> Measured {
    let duration = Duration::from_millis(ms);
    Measured {
        step: 0,
        user: 0,
        sent_at: Instant::now(),
        outcome: Outcome { status: Some(200), error },
        duration,
        latency: duration * 2,
        parts: Parts { sending: Some(duration), ..Parts::default() },
        is_good: error.is_none(),
        received: 10,
        sent: 1,
        generation: Some(Generation {
            duration,
            tokens: Tokens { output: Some(3), ..Tokens::default() },
            ..Generation::default()
        }),
    }
}

#[test]
fn merged_tallies_are_the_tally_of_everything() {
    let new = || Tally::new(&[true], 1);
    let (mut a, mut b, mut whole) = (new(), new(), new());
    for ms in 1..500 {
        let m = measured(ms, (ms % 7 == 0).then_some(ErrorClass::Reset));
        whole.request(&m);
        whole.check(0, ms % 2 == 0);
        let part = if ms % 3 == 0 { &mut a } else { &mut b };
        part.request(&m);
        part.check(0, ms % 2 == 0);
    }
    let mut merged = new();
    merged.merge(&a, 5);
    merged.merge(&b, 6);
    assert_eq!(merged.steps[0].counts(), (499, 71));
    assert_eq!(merged.checks, whole.checks);
    assert_eq!((merged.steps[0].good, merged.steps[0].received), (428, 4990));
    let sums = |t: &Tally| {
        let s = &t.steps[0];
        let stream = s.stream.as_ref().expect("a stream");
        let total: f64 = s.outcomes.iter().map(|o| o.latency.sum()).sum();
        (s.parts[3].count(), stream.output_tokens.sum(), (total * 1e6).round())
    };
    assert_eq!(sums(&merged), sums(&whole));
    assert!(merged.steps[0].outcomes.iter().all(|o| o.born_ms == 5));
    a.clear();
    let before = merged.steps[0].counts();
    merged.merge(&a, 7);
    assert_eq!(merged.steps[0].counts(), before);
}
