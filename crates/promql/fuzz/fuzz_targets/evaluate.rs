#![no_main]
//! Whatever parses is planned and evaluated within its limits: no panic, nothing held afterwards, no time out of
//! proportion.

use std::{sync::LazyLock, time::Duration};

use assay_promql::{
    Engine, EngineOptions, Limits, Memory,
    promqltest::{MemStorage, parse_metric},
};
use libfuzzer_sys::fuzz_target;

static STORAGE: LazyLock<MemStorage> = LazyLock::new(|| {
    let mut storage = MemStorage::new();
    for (i, name) in ["foo{a=\"b\"}", "foo{a=\"c\",le=\"1\"}", "up", "up{job=\"x\"}"].into_iter().enumerate()
    {
        let metric = parse_metric(name).unwrap();
        for t in 0..40 {
            storage.append(&metric, t * 15_000, (t * 7 % 11) as f64 + i as f64).unwrap();
        }
    }
    storage
});

fuzz_target!(|text: &str| {
    let Ok(expr) = assay_promql::parse(text) else { return };
    let memory = Memory::new(1 << 20);
    let limits = Limits {
        max_samples: 20_000,
        memory: memory.clone(),
        timeout: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    let engine = Engine::new(EngineOptions { limits, ..EngineOptions::default() });
    let _ = engine.instant(&*STORAGE, &expr, 300_000);
    let _ = engine.range(&*STORAGE, &expr, 0, 600_000, 60_000);
    assert_eq!(memory.used(), 0);
});
