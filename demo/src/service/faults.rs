//! Planted faults: things that go wrong on purpose, on the command line and while the service runs.
//!
//! Invariant: a fault is one number of one [`Kind`]; without any, nothing in the service is different. The verdicts and
//! findings are tested with these.

pub(crate) mod effects;

use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt as _;
use tokio::{sync::Notify, time::Instant};

use super::metrics::Stage;

/// The kinds in one list: what each is, its name on the command line, and what its number means.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $unit:ident,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        const KINDS: &[(Kind, &str, Unit)] = &[$((Kind::$kind, $name, Unit::$unit),)*];
    };
}

kinds! {
    /// Embedding takes this many times as long.
    SlowEmbed "slow-embed" Factor,
    /// Search takes this many times as long.
    SlowSearch "slow-search" Factor,
    /// The simulated model has only this many slots.
    LlmSlots "llm-slots" Count,
    /// This share of answers stalls before its first token.
    Stalls "stalls" Share,
    /// How long a stall lasts, in seconds.
    StallSeconds "stall-seconds" Seconds,
    /// This share of questions fails before the answer begins.
    Errors "errors" Share,
    /// This share of answers fails in the middle of its stream.
    StreamErrors "stream-errors" Share,
    /// Memory is lost at this many bytes per second.
    MemoryLeak "memory-leak" Bytes,
    /// File descriptors are lost at this many per second.
    FdLeak "fd-leak" Count,
    /// This many threads compute nothing at full speed.
    CpuBurn "cpu-burn" Count,
    /// The service restarts at once and is away for this many seconds.
    Restart "restart" Seconds,
    /// The cache answers nothing.
    CacheOff "cache-off" Switch,
}

/// What the number of a kind means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Factor,
    Share,
    Count,
    Seconds,
    Bytes,
    Switch,
}

/// How long a stall lasts unless `stall-seconds` says.
const STALL: Duration = Duration::from_secs(5);

/// Threads that burn at most.
const MOST_THREADS: f64 = 64.0;

impl Kind {
    /// Its name on the command line and in requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// All kinds, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, ..)| *kind)
    }
}

/// A fault: `slow-search=4`, `memory-leak=500kB`, `cache-off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// How much, in the kind's own unit.
    pub amount: f64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, amount) = match text.split_once('=') {
            Some((name, amount)) => (name.trim(), Some(amount.trim())),
            None => (text.trim(), None),
        };
        let Some((kind, name, unit)) = KINDS.iter().find(|(_, known, _)| *known == name) else {
            let known: Vec<_> = Kind::all().map(Kind::name).collect();
            let near = assay_yaml::nearest(name, known.iter().copied());
            let hint = near.map_or_else(
                || format!("faults are {}", known.join(", ")),
                |near| format!("did you mean {near:?}?"),
            );
            return Err(format!("unknown fault {name:?}; {hint}"));
        };
        let Some(amount) = amount else {
            return match unit {
                Unit::Switch => Ok(Self { kind: *kind, amount: 1.0 }),
                _ => Err(format!("fault {name} needs an amount, such as {name}={}", unit.example())),
            };
        };
        let value = unit.parse(amount).ok_or_else(|| {
            format!(
                "fault {name}: expected {}, found {amount:?}; such as {name}={}",
                unit.describe(),
                unit.example()
            )
        })?;
        Ok(Self { kind: *kind, amount: value })
    }
}

impl Unit {
    fn parse(self, text: &str) -> Option<f64> {
        let (number, scale) = match self {
            Self::Bytes => {
                let units = [("kB", 1e3), ("MB", 1e6), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("B", 1.0)];
                let found = units.iter().find_map(|(u, scale)| Some((text.strip_suffix(u)?, *scale)));
                found.unwrap_or((text, 1.0))
            }
            Self::Seconds => (text.strip_suffix('s').unwrap_or(text), 1.0),
            _ => (text, 1.0),
        };
        let value = number.trim().parse::<f64>().ok()? * scale;
        let range = match self {
            Self::Share | Self::Switch => 0.0..=1.0,
            Self::Factor => 0.0..=1e4,
            Self::Seconds => 0.0..=3600.0,
            Self::Count => 0.0..=1e6,
            Self::Bytes => 0.0..=1e9,
        };
        range.contains(&value).then_some(value)
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Factor => "a factor from 0 to 10000",
            Self::Share => "a share from 0 to 1",
            Self::Count => "a number from 0 to 1000000",
            Self::Seconds => "seconds from 0 to 3600",
            Self::Bytes => "bytes per second up to 1 GB",
            Self::Switch => "0 or 1",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Factor => "4",
            Self::Share => "0.1",
            Self::Count | Self::Seconds => "2",
            Self::Bytes => "500kB",
            Self::Switch => "1",
        }
    }
}

/// The faults planted now, and what they cost.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planted: Mutex<BTreeMap<Kind, Planted>>,
    restart: Notify,
    lost: effects::Lost,
}

#[derive(Clone, Copy, Debug)]
struct Planted {
    amount: f64,
    until: Option<Instant>,
}

impl Faults {
    /// Plants faults, each for a while or until they are cleared.
    pub(crate) fn plant(&self, faults: &[Fault], during: Option<Duration>) {
        let until = during.map(|during| Instant::now() + during);
        let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults {
            planted.insert(fault.kind, Planted { amount: fault.amount, until });
            if fault.kind == Kind::Restart {
                self.restart.notify_one();
            }
        }
    }

    /// Clears all faults. What has leaked stays lost until a restart, as in real life.
    pub(crate) fn clear(&self) {
        self.planted.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The faults planted now.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let now = Instant::now();
        let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        planted.retain(|_, p| p.until.is_none_or(|until| now < until));
        planted.iter().map(|(kind, p)| Fault { kind: *kind, amount: p.amount }).collect()
    }

    fn amount(&self, kind: Kind) -> Option<f64> {
        let planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        let found = planted.get(&kind)?;
        found.until.is_none_or(|until| Instant::now() < until).then_some(found.amount)
    }

    /// How many times as long the stage takes.
    pub(crate) fn factor(&self, stage: Stage) -> f64 {
        let kind = match stage {
            Stage::Embed => Kind::SlowEmbed,
            Stage::Search => Kind::SlowSearch,
            Stage::Auth | Stage::Prompt | Stage::Generate => return 1.0,
        };
        self.amount(kind).unwrap_or(1.0)
    }

    /// The model's slots, when a fault takes some away.
    pub(crate) fn llm_slots(&self) -> Option<usize> {
        self.amount(Kind::LlmSlots).map(|n| n as usize)
    }

    /// Whether the next answer stalls, and for how long.
    pub(crate) fn stall(&self, rng: &mut impl rand::Rng) -> Option<Duration> {
        let stalls = self.happens(Kind::Stalls, rng);
        stalls.then(|| self.amount(Kind::StallSeconds).map_or(STALL, Duration::from_secs_f64))
    }

    /// Whether something that happens to a share of requests happens to this one.
    pub(crate) fn happens(&self, kind: Kind, rng: &mut impl rand::Rng) -> bool {
        self.amount(kind).is_some_and(|share| rng.random::<f64>() < share)
    }

    pub(crate) fn cache_is_off(&self) -> bool {
        self.amount(Kind::CacheOff).is_some_and(|on| on > 0.0)
    }

    /// Completes when a restart is asked for, with how long it takes; the fault is then over.
    pub(crate) async fn restart_asked(&self) -> Duration {
        loop {
            self.restart.notified().await;
            let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(fault) = planted.remove(&Kind::Restart) {
                return Duration::from_secs_f64(fault.amount);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::SmallRng};

    use super::*;

    #[test]
    fn faults_are_read_and_what_is_wrong_is_said() {
        let fault = |kind, amount| Ok(Fault { kind, amount });
        assert_eq!("slow-search=4".parse(), fault(Kind::SlowSearch, 4.0));
        assert_eq!("memory-leak = 500kB".parse(), fault(Kind::MemoryLeak, 500e3));
        assert_eq!("stall-seconds=1.5s".parse(), fault(Kind::StallSeconds, 1.5));
        assert_eq!("cache-off".parse(), fault(Kind::CacheOff, 1.0));
        let error = |text: &str| text.parse::<Fault>().unwrap_err();
        assert_eq!(error("slow-serch=2"), "unknown fault \"slow-serch\"; did you mean \"slow-search\"?");
        assert_eq!(error("errors"), "fault errors needs an amount, such as errors=0.1");
        let share = "fault errors: expected a share from 0 to 1, found \"2\"; such as errors=0.1";
        assert_eq!(error("errors=2"), share);
        assert!(error("errors=nan").contains("found"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_ends_when_its_time_is_over() {
        let faults = Faults::default();
        let mut rng = SmallRng::seed_from_u64(1);
        faults.plant(&["errors=1".parse().unwrap()], Some(Duration::from_secs(10)));
        faults.plant(&["slow-embed=3".parse().unwrap()], None);
        assert!(faults.happens(Kind::Errors, &mut rng) && !faults.happens(Kind::StreamErrors, &mut rng));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!faults.happens(Kind::Errors, &mut rng));
        assert_eq!(faults.list(), ["slow-embed=3".parse().unwrap()]);
        assert_eq!((faults.factor(Stage::Embed), faults.factor(Stage::Search)), (3.0, 1.0));
        faults.clear();
        assert_eq!(faults.factor(Stage::Embed), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_is_asked_for_once() {
        let faults = Faults::default();
        faults.plant(&["restart=2".parse().unwrap()], None);
        assert_eq!(faults.restart_asked().await, Duration::from_secs(2));
        assert_eq!(faults.list(), []);
    }
}
