#![no_main]
//! A HAR file becomes a scenario that loads, or a message; the library itself checks that it loads.

libfuzzer_sys::fuzz_target!(|text: &str| {
    match loadgen::import::har("requests.har", text) {
        Ok(imported) => assert!(!imported.text.is_empty()),
        Err(error) => assert!(!error.to_string().contains("the scenario:"), "{error}"),
    }
});
