#![no_main]
//! A response of HTTP/1.1: its head is found at the same place however much of it has come, and a chunked body gives
//! the same bytes however it is cut; the first byte says where.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| loadgen::fuzzing::response(bytes));
