#![no_main]
//! A curl command becomes a scenario that loads, or a message; the library itself checks that it loads.

libfuzzer_sys::fuzz_target!(|text: &str| {
    match loadgen::import::curl(text) {
        Ok(imported) => assert!(!imported.text.is_empty()),
        Err(error) => assert!(!error.to_string().contains("the scenario:"), "{error}"),
    }
});
