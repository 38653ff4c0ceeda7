//! Times range queries over a data directory: `timings DIR START_S END_S STEP_S QUERY…`, each query three times,
//! the fastest in milliseconds.

use std::{path::Path, time::Instant};

use assay_promql::{Engine, parse};
use assay_tsdb::{Database, OpenOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, start, end, step, queries @ ..] = args.as_slice() else {
        return Err("usage: timings DIR START_S END_S STEP_S QUERY…".into());
    };
    let (start, end, step): (i64, i64, i64) = (start.parse()?, end.parse()?, step.parse()?);
    let opened = Instant::now();
    let database = Database::open(Path::new(dir), OpenOptions::default())?;
    println!("open {:.1} ms", opened.elapsed().as_secs_f64() * 1e3);
    let engine = Engine::default();
    for query in queries {
        let expr = parse(query).map_err(|e| format!("{query}: {e:?}"))?;
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let begun = Instant::now();
            engine.range(&database, &expr, start * 1000, end * 1000, step * 1000)?;
            best = best.min(begun.elapsed().as_secs_f64() * 1e3);
        }
        println!("{best:8.1} ms  {query}");
    }
    Ok(())
}
