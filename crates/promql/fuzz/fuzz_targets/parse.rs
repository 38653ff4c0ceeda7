//! Any bytes as an expression: a tree or errors, each error with a place inside the text.
#![no_main]

use assay_promql::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match parse(&text) {
        Ok(expr) => expr.walk(&mut |e| {
            let span = e.span();
            assert!(span.start <= span.end && text.get(span).is_some());
        }),
        Err(errors) => {
            assert!(!errors.list().is_empty());
            for e in errors.list() {
                assert!(e.span.start <= e.span.end && e.span.end <= text.len());
                assert!(!e.message.is_empty());
            }
        }
    }
});
