//! `demo profile`: what a profile's stages take, drawn and not served. Invariant: the same seed prints the same table.

use anyhow::{Result, anyhow};
use assay_text::console;
use demo::service::{Draw, Profile};
use rand::{SeedableRng as _, rngs::SmallRng};
use std::{fmt::Write as _, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct ProfileArguments {
    /// reference, laptop, or a file
    #[arg(default_value = "reference", value_name = "NAME|FILE")]
    profile: String,
    /// How many requests are drawn
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    draws: u32,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

type Component = (&'static str, fn(&Draw) -> Option<Duration>);

const COMPONENTS: [Component; 5] = [
    ("embed", |d| d.embed),
    ("search", |d| d.search),
    ("generate", |d| d.generate),
    ("api", |d| d.api),
    ("total", |d| Some(d.embed.unwrap_or_default() + d.search.unwrap_or_default() + d.generate?)),
];

pub(super) fn run(arguments: &ProfileArguments) -> Result<u8> {
    let profile = Profile::load(&arguments.profile).map_err(|problems| anyhow!("{problems}"))?;
    let mut rng = SmallRng::seed_from_u64(arguments.seed);
    let draws: Vec<Draw> = (0..arguments.draws).map(|_| profile.draw(&mut rng)).collect();
    let mut out = format!("{:<10}{:>10}{:>10}{:>10}{:>10}  ms\n", "stage", "p50", "p95", "p99", "max");
    for (name, of) in COMPONENTS {
        let mut ms: Vec<f64> = draws.iter().filter_map(of).map(|d| d.as_secs_f64() * 1000.0).collect();
        ms.sort_by(f64::total_cmp);
        let Some(max) = ms.last() else {
            writeln!(out, "{name:<10}{:>40}", "what it takes by itself")?;
            continue;
        };
        let rank = |share: f64| ms[((share * ms.len() as f64).ceil() as usize).clamp(1, ms.len()) - 1];
        writeln!(out, "{name:<10}{:>10.1}{:>10.1}{:>10.1}{max:>10.1}", rank(0.5), rank(0.95), rank(0.99))?;
    }
    console::print(&out)?;
    Ok(0)
}
