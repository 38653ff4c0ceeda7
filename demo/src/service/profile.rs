//! Profiles: how long stages take beyond what they take by themselves, and how fast the simulated model is.
//!
//! Invariant: a draw never exceeds its distribution's `max`; with a `total`, generation takes what embedding and
//! search leave of it, so that a whole query keeps the total's bound too.

mod draw;
mod parse;

use std::{path::Path, sync::Arc, time::Duration};

use assay_yaml::{Diagnostics, Document};
use rand::rngs::SmallRng;

pub use self::draw::Delay;
use super::options::LlmOptions;

const REFERENCE: &str = include_str!("../../profiles/reference.yml");
const LAPTOP: &str = include_str!("../../profiles/laptop.yml");

/// A profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// How long a login takes, and an answer from the cache.
    pub api: Option<Delay>,
    /// How long embedding takes.
    pub embed: Option<Delay>,
    /// How long a search takes.
    pub search: Option<Delay>,
    /// How long generation takes; by the model's pace alone when absent.
    pub generate: Option<Delay>,
    /// How long embedding, search and generation take together; goes before `generate`.
    pub total: Option<Delay>,
    /// Questions embedded at once, and searches run at once.
    pub slots: StageSlots,
    /// The simulated model.
    pub llm: LlmOptions,
}

/// How many requests a stage works on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSlots {
    /// Questions embedded.
    pub embed: usize,
    /// Searches.
    pub search: usize,
}

/// What the stages of one query take; `None` for what they take by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// A login, or an answer from the cache.
    pub api: Option<Duration>,
    /// Embedding.
    pub embed: Option<Duration>,
    /// Search.
    pub search: Option<Duration>,
    /// Generation, when nothing else runs.
    pub generate: Option<Duration>,
}

impl Profile {
    /// The shipped profile in which nothing is delayed.
    #[must_use]
    pub fn laptop() -> Arc<Self> {
        Arc::new(Self::shipped("laptop", LAPTOP).unwrap_or_else(|_| Self::undelayed()))
    }

    /// A shipped profile by its name, or one from a file.
    ///
    /// # Errors
    /// All that is wrong with the file, each problem with its position.
    pub fn load(name_or_path: &str) -> Result<Arc<Self>, Diagnostics> {
        let profile = match name_or_path {
            "reference" => Self::shipped("reference", REFERENCE)?,
            "laptop" => Self::shipped("laptop", LAPTOP)?,
            path => parse::profile(&Document::read(Path::new(path))?)?,
        };
        Ok(Arc::new(profile))
    }

    fn shipped(name: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::profile(&Document::parse(format!("{name}.yml"), text)?)
    }

    /// No delays, and the model's default pace.
    #[must_use]
    pub fn undelayed() -> Self {
        Self {
            name: "undelayed".to_owned(),
            api: None,
            embed: None,
            search: None,
            generate: None,
            total: None,
            slots: StageSlots { embed: 2, search: 2 },
            llm: LlmOptions::default(),
        }
    }

    /// What the stages of the next query take.
    pub fn draw(&self, rng: &mut SmallRng) -> Draw {
        let mut one = |delay: &Option<Delay>| delay.as_ref().map(|d| d.draw(rng));
        let (api, embed, search) = (one(&self.api), one(&self.embed), one(&self.search));
        let own = one(&self.generate);
        let rest = one(&self.total).map(|total| {
            total.saturating_sub(embed.unwrap_or_default()).saturating_sub(search.unwrap_or_default())
        });
        Draw { api, embed, search, generate: rest.or(own) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// One row of the table of expected times, in milliseconds: bands of p50, p95 and p99, and the limit.
    struct Expected {
        name: &'static str,
        bands: [(f64, f64); 3],
        limit: f64,
        of: fn(&Draw) -> Duration,
    }

    const EXPECTED: [Expected; 5] = [
        Expected {
            name: "embedding",
            bands: [(65.0, 75.0), (120.0, 140.0), (150.0, 190.0)],
            limit: 200.0,
            of: |d| d.embed.unwrap(),
        },
        Expected {
            name: "search",
            bands: [(150.0, 200.0), (300.0, 400.0), (400.0, 500.0)],
            limit: 500.0,
            of: |d| d.search.unwrap(),
        },
        Expected {
            name: "LLM",
            bands: [(2500.0, 3000.0), (4200.0, 4800.0), (4800.0, 5000.0)],
            limit: 5000.0,
            of: |d| d.generate.unwrap(),
        },
        Expected {
            name: "API",
            bands: [(10.0, 20.0), (40.0, 60.0), (70.0, 95.0)],
            limit: 100.0,
            of: |d| d.api.unwrap(),
        },
        Expected {
            name: "end to end",
            bands: [(2700.0, 3200.0), (4300.0, 4900.0), (4900.0, 5000.0)],
            limit: 5000.0,
            of: |d| d.embed.unwrap() + d.search.unwrap() + d.generate.unwrap(),
        },
    ];

    #[test]
    fn a_thousand_draws_of_reference_meet_the_table_to_a_tenth() {
        let profile = Profile::load("reference").unwrap();
        for seed in 1..=20 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let draws: Vec<Draw> = (0..1000).map(|_| profile.draw(&mut rng)).collect();
            for row in &EXPECTED {
                let mut ms: Vec<f64> = draws.iter().map(|d| (row.of)(d).as_secs_f64() * 1000.0).collect();
                ms.sort_by(f64::total_cmp);
                assert!(ms[999] < row.limit, "{}: {} ms", row.name, ms[999]);
                for ((low, high), rank) in row.bands.iter().zip([499, 949, 989]) {
                    let value = ms[rank];
                    assert!(
                        (low * 0.9..=high * 1.1).contains(&value),
                        "seed {seed}, {}: {value} ms is not within a tenth of {low} to {high}",
                        row.name
                    );
                }
            }
        }
    }

    #[test]
    fn laptop_delays_nothing() {
        assert_eq!(Profile::laptop().draw(&mut SmallRng::seed_from_u64(1)), Draw::default());
    }
}
