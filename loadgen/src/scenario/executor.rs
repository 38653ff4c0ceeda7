//! Executors, with k6's names and options: how the iterations of a phase are started.
//!
//! An executor is one file that implements `Executes`, and one line in the list below. Invariant: all times are
//! lengths from the start of the phase, and what an executor does follows from its options and the seed alone.

mod line;
mod schedule;

use std::{fmt, ops::Range, time::Duration};

use assay_model::duration::format as length;
use assay_yaml::{
    MapReader,
    shape::{Case, Key},
};

pub(crate) use self::schedule::Schedule;
pub use self::{line::Stage, schedule::Arrivals};
use super::parse::Parser;

/// An executor: its options, and what follows from them.
pub(in crate::scenario) trait Executes: Clone + fmt::Debug + PartialEq {
    /// k6's name.
    const NAME: &'static str;
    /// What it does, in a sentence of Markdown.
    const ABOUT: &'static str;
    /// Its options.
    const KEYS: &'static [Key];

    /// Reads its options from a phase; what is wrong with them is reported to the parser.
    fn read(parser: &mut Parser<'_>, options: &mut MapReader<'_>) -> Option<Self>;

    /// Its load in a few words, such as `5 users for 10m`.
    fn describe(&self) -> String;

    /// How long iterations are started; for an executor that counts iterations, at most.
    fn duration(&self) -> Duration;

    /// The most users there may be at a time.
    fn max_users(&self) -> u32;

    /// The same with every time multiplied by `scale`; numbers of users and rates of iterations stay.
    fn scaled(&self, scale: f64) -> Self;

    /// Who starts iterations, and when.
    fn plan(&self) -> Plan<'_>;
}

/// Who starts the iterations of a phase.
pub(crate) enum Plan<'e> {
    /// A closed model: each user starts its next iteration when the last has ended.
    Users {
        /// When a user, by its index from 0, starts iterations: disjoint, ascending, ends not in.
        active: Box<dyn Fn(u32) -> Vec<Range<Duration>> + 'e>,
        /// How many iterations there are.
        budget: Budget,
    },
    /// An open model: a schedule starts iterations, whichever user is free.
    Schedule(Schedule),
    /// An open model: a trace says when iterations start, and with what.
    Replay(&'e Replay),
}

impl Plan<'_> {
    /// Whether iterations start whether earlier ones have ended or not.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Schedule(_) | Self::Replay(_))
    }
}

/// How many iterations the users of a phase may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// As many as there is time for.
    Unlimited,
    /// So many each.
    PerUser(u64),
    /// So many of all users together.
    Shared(u64),
}

/// Declares the modules of the executors, the enum of them, and the one place that knows them all.
macro_rules! executors {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module; pub use $module::$name;)+

        /// How iterations are started in a phase.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Executor {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),+
        }

        $(impl From<$name> for Executor {
            fn from(executor: $name) -> Self {
                Self::$name(executor)
            }
        })+

        /// The names of all executors.
        pub(crate) const NAMES: &[&str] = &[$($name::NAME),+];

        /// What each executor adds to the keys of a phase.
        pub(in crate::scenario) const CASES: &[Case] =
            &[$(Case { name: $name::NAME, about: $name::ABOUT, keys: $name::KEYS }),+];

        impl Executor {
            /// Reads the options of the executor with this name; `None` if there is none, or if they are wrong.
            pub(super) fn read(
                name: &str,
                parser: &mut Parser<'_>,
                options: &mut MapReader<'_>,
            ) -> Option<Self> {
                $(if name == $name::NAME {
                    return $name::read(parser, options).map(Self::$name);
                })+
                None
            }

            /// k6's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $name::NAME),+ }
            }

            /// Its load in a few words, such as `5 users for 10m`.
            #[must_use]
            pub fn describe(&self) -> String {
                match self { $(Self::$name(e) => e.describe()),+ }
            }

            /// How long iterations are started; for an executor that counts iterations, at most.
            #[must_use]
            pub fn duration(&self) -> Duration {
                match self { $(Self::$name(e) => e.duration()),+ }
            }

            /// The most users there may be at a time.
            #[must_use]
            pub fn max_users(&self) -> u32 {
                match self { $(Self::$name(e) => e.max_users()),+ }
            }

            /// The same with every time multiplied by `scale`; numbers of users and rates of iterations stay.
            #[must_use]
            pub fn scaled(&self, scale: f64) -> Self {
                match self { $(Self::$name(e) => Self::$name(e.scaled(scale))),+ }
            }

            /// Who starts iterations, and when.
            pub(crate) fn plan(&self) -> Plan<'_> {
                match self { $(Self::$name(e) => e.plan()),+ }
            }
        }
    };
}

executors! {
    constant_vus::ConstantVus,
    ramping_vus::RampingVus,
    constant_arrival_rate::ConstantArrivalRate,
    ramping_arrival_rate::RampingArrivalRate,
    per_vu_iterations::PerVuIterations,
    shared_iterations::SharedIterations,
    replay::Replay,
}

impl Executor {
    /// The rate of iterations that the schedule asks for `at` into the phase, each second; `None` if users set
    /// the pace.
    #[must_use]
    pub fn target_rate_per_s(&self, at: Duration) -> Option<f64> {
        match self.plan() {
            Plan::Schedule(schedule) => Some(schedule.rate_at(at)),
            Plan::Replay(replay) => Some(replay.rate_at(at)),
            Plan::Users { .. } => None,
        }
    }

    /// The users that are to be there `at` into the phase; `None` if a schedule sets the pace.
    #[must_use]
    pub fn target_users(&self, at: Duration) -> Option<u32> {
        let Plan::Users { active, .. } = self.plan() else { return None };
        let present = (0..self.max_users()).filter(|user| active(*user).iter().any(|r| r.contains(&at)));
        u32::try_from(present.count()).ok()
    }

    /// The load that is asked for `at` into the phase, in words: users, or iterations each second.
    #[must_use]
    pub fn load_at(&self, at: Duration) -> String {
        if let Some(present) = self.target_users(at) {
            return users(present);
        }
        let rate = format!("{:.3}", self.target_rate_per_s(at).unwrap_or(0.0));
        rate.trim_end_matches('0').trim_end_matches('.').to_owned() + "/s"
    }
}

/// `1 user`, `5 users`.
fn users(n: u32) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
