//! What parses prints, in both forms, to what parses to the same.
#![no_main]

use assay_promql::{parse, pretty};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(expr) = parse(text) else { return };
    let printed = expr.to_string();
    for form in [printed.clone(), pretty(&expr)] {
        let again = parse(&form).unwrap_or_else(|e| panic!("{text:?} printed as {form:?}: {e}"));
        assert_eq!(again.to_string(), printed, "{text:?} printed as {form:?}");
    }
});
