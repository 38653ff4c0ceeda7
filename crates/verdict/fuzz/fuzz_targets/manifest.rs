#![no_main]
//! A `run.json` is read or refused, and what was read is written as something that reads back the same.

use assay_run::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::from_json(bytes, "run.json".into()) else { return };
    let written = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(Manifest::from_json(&written, "run.json".into()).unwrap(), manifest);
});
