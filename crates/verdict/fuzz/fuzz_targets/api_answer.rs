#![no_main]
//! An answer of Prometheus' API is read or refused, whole and series by series.

use assay_prom_api::read::{read_query, read_series};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read_query(bytes);
    let _ = read_series(bytes, |_| Ok::<(), ()>(()));
});
