//! Any text as a series' line: values or an error with a place, never more memory than its own limit.
#![no_main]

use assay_promql::promqltest::{SequenceValue, notation, parse_series_line, parse_series_values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Repetitions are bounded, but ten million values are too slow for a fuzzer.
    if text.split('x').skip(1).any(|n| n.bytes().take_while(u8::is_ascii_digit).count() > 4) {
        return;
    }
    match parse_series_line(text) {
        Err(e) => assert!(e.at <= text.len() && text.is_char_boundary(e.at)),
        Ok((_, values)) => {
            for value in values.iter().take(10) {
                if let SequenceValue::Histogram { value, .. } = value {
                    parse_series_values(&notation(value)).expect("what we write, we read");
                }
            }
        }
    }
});
