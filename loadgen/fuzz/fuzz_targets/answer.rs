#![no_main]
//! The JSON of a model server, whole or as an event, is understood or not, and no more.

libfuzzer_sys::fuzz_target!(|text: &str| loadgen::fuzzing::answer(text));
