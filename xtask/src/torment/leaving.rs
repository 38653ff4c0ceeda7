//! Clients that leave during their query: how soon its place is free for the next, whatever the query is at.
//!
//! Invariant: on a quiet machine that is [`QUIET_MS`], whatever the query does.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use assay_testkit::http;

use super::{
    Table,
    clients::send,
    quiet::around,
    rig::{Rig, SERIES},
};

/// What is allowed on a quiet machine.
const QUIET_MS: f64 = 100.0;
/// How often a client leaves each query.
const TRIES: usize = 7;
/// How often it is asked whether the one place is taken.
const MOST_ASKED: usize = 500;

/// A range query, or one at an instant if there is no step, that takes seconds at one kind of work.
struct Long {
    work: &'static str,
    expression: String,
    is_wide: bool,
    steps: u32,
}

fn queries() -> Vec<Long> {
    let long = |work, expression: &str, steps| Long {
        work,
        expression: expression.to_owned(),
        is_wide: false,
        steps,
    };
    // No expression may be more than 500 operators deep.
    let links = |from: usize, link: &dyn Fn(usize) -> String| {
        format!("({})", (from..from + 400).map(link).collect::<Vec<_>>().join(" + "))
    };
    let chain = |link: &dyn Fn(usize) -> String| {
        (0..2000).step_by(400).map(|from| links(from, link)).collect::<Vec<_>>().join(" + ")
    };
    vec![
        long("sorting", "mad_over_time(vector(time() * 7919 % 99991)[20d:1s])", 10_000),
        long("sliding", "quantile_over_time(0.5, vector(time() * 7919 % 99991)[20d:1s])", 10_000),
        long("regression", "deriv(vector(time() % 7)[20d:1s])", 10_000),
        Long {
            work: "functions of a long column",
            expression: (0..200)
                .map(|n| format!("count_over_time((sin(vector(time() + {n})) ^ 1.5 > 2)[40d:1s])"))
                .collect::<Vec<_>>()
                .join(" or "),
            is_wide: false,
            steps: 0,
        },
        Long {
            work: "matching and grouping",
            expression: chain(&|n| format!("sum by (v) (count_values(\"v\", vector(time() + {n})))")),
            is_wide: false,
            steps: 500,
        },
        Long {
            work: "reading series",
            expression: chain(&|n| format!("count(x offset {n}ms)")),
            is_wide: true,
            steps: 0,
        },
        Long {
            work: "labels",
            expression: chain(&|n| format!("count(label_replace(x, \"a{n}\", \"$1\", \"i\", \"(.*)\"))")),
            is_wide: true,
            steps: 0,
        },
        Long {
            work: "sorting by label",
            expression: chain(&|n| format!("count(sort_by_label(x, \"a{n}\", \"i\"))")),
            is_wide: true,
            steps: 0,
        },
    ]
}

pub(super) fn run(rig: &Rig, table: &mut Table) -> Result<()> {
    let wide = rig.wide()?;
    for long in queries() {
        let run = if long.is_wide { wide.as_path() } else { rig.run.as_path() };
        let (times, allowed) = around(QUIET_MS, || leave(rig, run, &long))?;
        let outcome = times.map(|times| {
            let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
            let measured = format!("{median:.0} ms, at most {longest:.0} ms of {TRIES}");
            (measured, longest < allowed.ms)
        });
        let over = if long.is_wide { format!(" over {SERIES} series") } else { String::new() };
        let case = format!("a client leaves during its query: {}{over}", long.work);
        let limit = format!("its place is free in {}", allowed.text);
        table.add(&case, &limit, outcome);
    }
    Ok(())
}

/// The milliseconds from a client's leaving to the next one's answer, ascending.
fn leave(rig: &Rig, run: &Path, long: &Long) -> Result<Vec<f64>> {
    let server = rig.serve(run, &["--query.max-concurrency", "1"]);
    let short = |more: &str| format!("query={}&{more}", http::encode("vector(1)"));
    let query = http::encode(&long.expression);
    let (path, form) = match long.steps {
        0 => ("/api/v1/query", format!("query={query}")),
        steps => (
            "/api/v1/query_range",
            format!("query={query}&start=1767225600&end={}&step=1", 1_767_225_600 + steps),
        ),
    };
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let client = send(&server, path, &form)?;
        // The one place is taken.
        let mut asked = 0;
        while http::post_form(&server.address, "/api/v1/query", &short("timeout=50ms"))?.status != 503 {
            asked += 1;
            ensure!(asked < MOST_ASKED, "the query did not last: {}", long.expression);
        }
        // It is in the midst of it.
        thread::sleep(Duration::from_millis(300));
        let left = Instant::now();
        drop(client);
        let next = http::post_form(&server.address, "/api/v1/query", &short("timeout=60s"))?;
        ensure!(next.status == 200, "{}", next.text());
        times.push(left.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
