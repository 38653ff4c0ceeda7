//! Queries that nobody should ask: generated ones, many at a time, and the longest of chains.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use assay_testkit::http;

use super::{
    Options, Table,
    rig::{Random, Rig, SERIES},
};
use crate::process::{PEAK, memory_mib};

/// Clients that ask at a time.
const CLIENTS: u64 = 16;
/// Bytes of the longest query.
const LONGEST: usize = 1 << 18;

pub(super) fn run(rig: &Rig, options: &Options, table: &mut Table) -> Result<()> {
    let name = format!(
        "{} generated queries to `ruleseval serve --query.timeout 300ms`, {CLIENTS} at a time",
        options.queries
    );
    table.add(&name, "all answered, 1,000 MiB", generated(rig, options));
    let name = format!("300 operators in a chain over {SERIES} series");
    table.add(&name, "an answer or the limit, 1,000 MiB, 120 s", chain(rig));
    Ok(())
}

fn generated(rig: &Rig, options: &Options) -> Result<(String, bool)> {
    let server = rig.serve(&rig.run, &["--query.timeout", "300ms"]);
    let (next, answers) = (AtomicU64::new(0), Mutex::new(BTreeMap::<String, u64>::new()));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= options.queries {
                        return;
                    }
                    let answer = ask(&server.address, n, options.seed);
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    *answers.entry(answer).or_default() += 1;
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let peak = memory_mib(server.id(), PEAK)?;
    let is_alive = http::get(&server.address, "/-/ready").is_ok_and(|r| r.status == 200);
    let counts: Vec<String> = answers.iter().map(|(answer, n)| format!("{n} × {answer}")).collect();
    let all_answered =
        is_alive && !answers.contains_key("none") && answers.values().sum::<u64>() == options.queries;
    Ok((format!("{peak:.0} MiB; {}", counts.join(", ")), all_answered && peak < 1000.0))
}

/// Asks one query; the answer's status.
fn ask(address: &str, n: u64, seed: u64) -> String {
    let mut random = Random::new(seed.wrapping_add(n.wrapping_mul(0x5851_f42d_4c95_7f2d)));
    let query = expression(&mut random, 5);
    let mut form = format!("query={}", http::encode(&query));
    let path = if random.below(2) == 0 {
        let _ =
            write!(form, "&start=0&end={}&step={}", random.below(2_000_000_000), 1 + random.below(200_000));
        "/api/v1/query_range"
    } else {
        "/api/v1/query"
    };
    match http::post_form(address, path, &form) {
        Ok(response) => response.status.to_string(),
        Err(_) => "none".to_owned(),
    }
}

const SELECTORS: [&str; 6] = [
    "{__name__!=\"\"}",
    "{__name__=~\".*\"}",
    "load_users",
    "{load_step=~\"(a|b|.*)*$\"}",
    "http_client_request_duration_seconds",
    "{__name__=~\"load.+\",load_phase!~\"x{0,50}y\"}",
];
const SPANS: [&str; 7] = ["1ms", "1s", "5m", "1d", "1y", "100y", "9223372036s"];
const OVER_TIME: [&str; 7] = [
    "rate(",
    "max_over_time(",
    "quantile_over_time(0.5, ",
    "stddev_over_time(",
    "absent_over_time(",
    "changes(",
    "deriv(",
];
const OPERATORS: [&str; 12] = [
    " + ",
    " / on () group_left () ",
    " * ignoring (load_phase) ",
    " and ",
    " or ",
    " unless on (load_step) ",
    " == bool ",
    " ^ ",
    " % on (job) group_right (load_step) ",
    " atan2 ",
    " > ",
    " - on (__name__) ",
];

/// A query that is worse than it looks. Few are refused before they are evaluated.
fn expression(random: &mut Random, depth: u64) -> String {
    if depth == 0 || random.below(9) == 0 {
        return match random.below(6) {
            0 => "vector(time())".to_owned(),
            1 => format!("vector({})", random.next()),
            2 => format!(
                "{} @ {} offset {}",
                random.pick(&SELECTORS),
                random.below(1 << 31),
                random.pick(&SPANS)
            ),
            _ => random.pick(&SELECTORS).to_owned(),
        };
    }
    let inner = expression(random, depth - 1);
    let all = match random.below(12) {
        0 | 1 => {
            let (function, range, step) = (random.pick(&OVER_TIME), random.pick(&SPANS), random.pick(&SPANS));
            format!("{function}({inner})[{range}:{step}])")
        }
        2 => format!("{}{}[{}])", random.pick(&OVER_TIME), random.pick(&SELECTORS), random.pick(&SPANS)),
        3 => format!("label_replace({inner}, \"x\", \"$1$1$1$1$1$1$1$1\", \"__name__\", \"(.*)\")"),
        4 => format!("label_join({inner}, \"x\", \"\", \"x\", \"x\", \"__name__\", \"load_step\")"),
        5 => format!("count_values(\"v\", {inner})"),
        6 => format!("topk({}, {inner})", random.pick(&["1e18", "-1", "3"])),
        7 => format!("{} without () ({inner})", random.pick(&["sum", "stddev", "group"])),
        8 => format!("sort_by_label({inner}, \"x\", \"load_step\")"),
        9 => format!("histogram_quantile(scalar({inner}), {})", expression(random, depth - 1)),
        10 => vec![format!("({inner})"); 2 + random.below(40) as usize].join(random.pick(&OPERATORS)),
        _ => format!("{}{inner}{}", "(".repeat(300), ")".repeat(300)),
    };
    // A request has a limit of its own.
    if all.len() < LONGEST { all } else { inner }
}

fn chain(rig: &Rig) -> Result<(String, bool)> {
    let run = rig.wide()?;
    let expression = vec!["x"; 301].join(" + ");
    let tried = rig.try_it(&rig.query(&run, &format!("count({expression})")))?;
    let measured =
        format!("exit {}, {:.0} MiB, {:.1} s", tried.code.unwrap_or(-1), tried.peak_mib, tried.wall_s);
    Ok((measured, tried.is_orderly() && tried.peak_mib < 1000.0 && tried.wall_s < 120.0))
}
