//! Traces: files that say when requests were made, to be made again at the same instants.
//!
//! Known are the traces of Mooncake, BurstGPT and Azure's LLM services, and access logs; of any other CSV file or file of JSON
//! lines it can be said where its instants are. Invariant: a [`Trace`] was read to its end once: each of its lines has an
//! instant, and they come in order, but for what the window for lines out of order holds.

mod instant;
mod order;
mod row;

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use minijinja::value::Value;

use self::order::InOrder;
pub(crate) use self::{instant::Unit, row::Row};
use super::data::Format;

/// The most wrong lines that are reported.
const MOST_PROBLEMS: usize = 10;
/// The parts of a trace whose rates are kept, at the most.
const MOST_PARTS: usize = 120;
/// The longest that a trace may be: a hundred years.
const MOST_NS: i64 = 100 * 366 * 86_400 * 1_000_000_000;
/// The names under which instants are found, in capitals or not.
const INSTANTS: [&str; 11] = [
    "timestamp",
    "time",
    "arrival_timestamp",
    "arrived_at",
    "@timestamp",
    "ts",
    "t",
    "time_local",
    "time_iso8601",
    "datetime",
    "start",
];

/// A line, if it is about one, and what is wrong.
pub(crate) type Problem = (Option<u64>, String);

/// How a trace is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// The name of the column or the member that has the instants.
    pub(crate) time: Option<String>,
    /// What instants that are numbers count.
    pub(crate) unit: Option<Unit>,
    /// Over what time lines with the same instant are spread.
    pub(crate) spread: Option<Duration>,
    /// From when on, since the first line.
    pub(crate) from: Duration,
    /// Until when, since the first line.
    pub(crate) to: Option<Duration>,
}

/// Where the bytes of a trace are.
#[derive(Clone)]
pub(crate) enum Source {
    Memory(Arc<[u8]>),
    File(PathBuf),
}

/// A trace.
pub(crate) struct Trace {
    /// The file, as the scenario names it.
    pub(crate) file: String,
    source: Source,
    format: Format,
    reading: Reading,
    /// Where instants are, as the first line says.
    time: String,
    unit: Unit,
    /// How many lines wait for earlier ones.
    window: usize,
    /// The instant of the first line of all.
    first_ns: i128,
    /// How many requests there are between `from` and `to`.
    pub(crate) count: u64,
    /// From `from` to the end: so long after the last request as requests are apart on average.
    pub(crate) length: Duration,
    /// The first request.
    pub(crate) first: Arc<Row>,
    rates: Rates,
    /// Instants with more lines than are held at a time.
    crowds: BTreeMap<i128, Crowd>,
}

/// The lines of one instant.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    count: u64,
    /// The next instant of the file.
    next_ns: Option<i128>,
}

/// How many requests there are in each part of a trace, the parts being of one length.
#[derive(Default)]
struct Rates {
    part: Duration,
    counts: Vec<u64>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({}, {} requests in {:?})", self.file, self.count, self.length)
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, &self.reading, self.count) == (&other.file, &other.reading, other.count)
    }
}

impl Trace {
    /// Reads a trace to its end.
    ///
    /// # Errors
    /// The lines that are wrong, at most ten of them.
    pub(crate) fn load(file: &str, source: Source, reading: Reading) -> Result<Self, Vec<Problem>> {
        let Ok(format @ (Format::Csv | Format::JsonLines | Format::Log)) = Format::of(file) else {
            let message = "a trace is a .csv or .jsonl file, or an access log (.log)";
            return Err(vec![(None, message.to_owned())]);
        };
        let row = Row { at: Duration::ZERO, value: Value::UNDEFINED };
        let mut trace = Self {
            file: file.to_owned(),
            source,
            format,
            reading,
            time: String::new(),
            unit: Unit::S,
            window: order::WINDOW,
            first_ns: 0,
            count: 0,
            length: Duration::ZERO,
            first: Arc::new(row),
            rates: Rates::default(),
            crowds: BTreeMap::new(),
        };
        trace.find_instants().map_err(|e| vec![e])?;
        trace.scan()?;
        Ok(trace)
    }

    /// Whether it is what would be read of a file in this way.
    pub(crate) fn is(&self, file: &str, reading: &Reading) -> bool {
        self.file == file && self.reading == *reading
    }

    /// The rate at which requests come, `at` after `from`, each second.
    pub(crate) fn rate_at(&self, at: Duration) -> f64 {
        let part = self.rates.part.as_secs_f64();
        let counts = &self.rates.counts;
        let count = counts.get((at.as_secs_f64() / part) as usize).copied().unwrap_or(0);
        // A trace may be shorter than a part.
        count as f64 / if counts.len() == 1 { self.length.as_secs_f64() } else { part }
    }

    /// The highest rate of a part, each second.
    pub(crate) fn highest_rate_per_s(&self) -> f64 {
        let parts =
            (0..self.rates.counts.len()).map(|i| self.rate_at(self.rates.part.mul_f64(i as f64 + 0.5)));
        parts.fold(0.0, f64::max)
    }

    /// Gives the requests in order, with their times since `from`, until there are enough.
    ///
    /// # Errors
    /// The line that is wrong, where the file is no longer as it was.
    pub(crate) fn rows(&self, mut take: impl FnMut(Row) -> bool) -> Result<(), Problem> {
        let spread = self.spread();
        let mut same: Vec<(i128, Value)> = Vec::new();
        let (mut given, mut wants_more) = (0, true);
        // Gives the lines that are held, all of one instant; `given` of it went before.
        let mut give = |same: &mut Vec<(i128, Value)>, given: &mut u64, next_ns: Option<i128>| -> bool {
            let Some(&(ns, _)) = same.first() else { return true };
            let small = Crowd { count: same.len() as u64, next_ns };
            let crowd = self.crowds.get(&ns).copied().unwrap_or(small);
            let gap = crowd.next_ns.map_or(spread, |next| between(ns, next).min(spread));
            same.drain(..).all(|(_, value)| {
                let at = between(self.first_ns, ns) + gap.mul_f64(*given as f64 / crowd.count.max(1) as f64);
                *given += 1;
                if at < self.reading.from {
                    return true;
                }
                if self.reading.to.is_some_and(|to| at >= to) {
                    return false;
                }
                take(Row { at: at - self.reading.from, value })
            })
        };
        let mut rows = InOrder::new(self.window, |_, ns, value| {
            let is_next = same.first().is_some_and(|(known, _)| *known != ns);
            if spread.is_zero() || is_next || same.len() >= order::WINDOW {
                wants_more = give(&mut same, &mut given, Some(ns));
            }
            if is_next {
                given = 0;
            }
            same.push((ns, value));
            wants_more
        });
        let mut problem = None;
        self.read(&mut |line, instant| match instant {
            Ok((ns, value)) => rows.push(line, ns, value),
            Err(e) => {
                problem = Some((Some(line), e));
                false
            }
        })?;
        rows.finish().map_err(|(line, e)| (Some(line), e))?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        if wants_more {
            give(&mut same, &mut given, None);
        }
        Ok(())
    }

    /// Lines of a log have whole seconds, within which requests were not all at once.
    fn spread(&self) -> Duration {
        let of_format = if self.format == Format::Log { Duration::from_secs(1) } else { Duration::ZERO };
        self.reading.spread.unwrap_or(of_format)
    }

    fn open(&self) -> Result<Box<dyn BufRead + '_>, Problem> {
        Ok(match &self.source {
            Source::Memory(bytes) => Box::new(&**bytes),
            Source::File(path) => {
                let file = std::fs::File::open(path).map_err(|e| (None, format!("cannot be read: {e}")))?;
                Box::new(BufReader::with_capacity(1 << 16, file))
            }
        })
    }

    /// Gives each line with its instant, in nanoseconds since whatever the file counts from.
    fn read(&self, take: &mut dyn FnMut(u64, Result<(i128, Value), String>) -> bool) -> Result<(), Problem> {
        self.format.read(self.open()?, &mut |line, row| {
            let with_instant = row.and_then(|value| Ok((self.instant(&value)?, value)));
            match with_instant {
                // A client that said nothing, or spoke something else than HTTP.
                Ok((_, value)) if self.format == Format::Log && row::path(&value).is_none() => true,
                read => take(line, read),
            }
        })?;
        Ok(())
    }

    fn instant(&self, value: &Value) -> Result<i128, String> {
        let found = value.get_attr(&self.time).unwrap_or_default();
        if found.is_undefined() {
            return Err(format!("there is no {:?}", self.time));
        }
        instant::parse(&found, self.unit).ok_or_else(|| {
            format!("{:?} is not an instant: expected a number, or a time such as 2026-01-31 12:00:00.5, found {found}", self.time)
        })
    }

    /// Where the instants are, by the first line.
    fn find_instants(&mut self) -> Result<(), Problem> {
        let mut first = None;
        let columns = self.format.read(self.open()?, &mut |line, row| {
            first = Some((line, row));
            false
        })?;
        let (line, row) = first.ok_or_else(|| (None, "the trace has no rows".to_owned()))?;
        let row = row.map_err(|e| (Some(line), e))?;
        let mut names: Vec<String> = columns;
        if names.is_empty() {
            names = row
                .try_iter()
                .into_iter()
                .flatten()
                .filter_map(|key| Some(key.as_str()?.to_owned()))
                .collect();
        }
        let has = |name: &str| names.iter().any(|n| n == name);
        self.time = match &self.reading.time {
            Some(name) if has(name) => name.clone(),
            Some(name) => {
                let known = names.join(", ");
                return Err((
                    Some(line),
                    format!("there is no {name:?} that could be the instant; there are: {known}"),
                ));
            }
            None => {
                let find = |known: &str| names.iter().find(|n| n.eq_ignore_ascii_case(known)).cloned();
                let found = INSTANTS.iter().find_map(|known| find(known));
                found.ok_or_else(|| {
                    let message = format!(
                        "no column is known to have instants ({}); name it: time: NAME",
                        names.join(", ")
                    );
                    (Some(line), message)
                })?
            }
        };
        let is_mooncake = has("input_length") && self.time == "timestamp";
        self.unit = self.reading.unit.unwrap_or(if is_mooncake { Unit::Ms } else { Unit::S });
        Ok(())
    }

    /// Reads all lines, and what is known of the trace by that.
    fn scan(&mut self) -> Result<(), Vec<Problem>> {
        let mut problems: Vec<Problem> = Vec::new();
        let (mut first_ns, mut last_ns, mut is_sorted) = (None, i128::MIN, true);
        let (mut own_ns, mut own, mut crowds) = (i128::MIN, Crowd::default(), BTreeMap::new());
        let mut order = InOrder::new(order::WINDOW, |_, ns, _| {
            first_ns.get_or_insert(ns);
            if own_ns != ns {
                note_crowd(&mut crowds, own_ns, Crowd { next_ns: Some(ns), ..own });
                (own_ns, own) = (ns, Crowd::default());
            }
            own.count += 1;
            true
        });
        let read = self.read(&mut |line, row| match row {
            Ok((ns, _)) => {
                is_sorted &= ns >= last_ns;
                last_ns = last_ns.max(ns);
                order.push(line, ns, Value::UNDEFINED)
            }
            Err(e) => {
                problems.push((Some(line), e));
                problems.len() < MOST_PROBLEMS
            }
        });
        problems.extend(order.finish().err().map(|(line, e)| (Some(line), e)));
        problems.extend(read.err());
        note_crowd(&mut crowds, own_ns, own);
        let span_ns = last_ns.saturating_sub(first_ns.unwrap_or(last_ns));
        if span_ns > i128::from(MOST_NS) {
            let years = span_ns as f64 / 1e9 / 86_400.0 / 365.25;
            let message = format!(
                "from the first line to the last it is {years:.0} years; say what the instants count: unit: ms, us or ns"
            );
            problems.push((None, message));
        }
        let Some(first_ns) = first_ns.filter(|_| problems.is_empty()) else {
            if problems.is_empty() {
                problems.push((None, "the trace has no requests".to_owned()));
            }
            return Err(problems);
        };
        (self.first_ns, self.crowds) = (first_ns, crowds);
        self.window = if is_sorted { 0 } else { order::WINDOW };
        let (mut count, mut last, mut first, mut rates) = (0u64, Duration::ZERO, None, Rates::default());
        self.rows(|row| {
            count += 1;
            last = row.at;
            rates.note(row.at);
            first.get_or_insert_with(|| Arc::new(row));
            true
        })
        .map_err(|e| vec![e])?;
        let Some(first) = first else {
            return Err(vec![(None, "there is no request between from and to".to_owned())]);
        };
        let gap = match count {
            1 => Duration::from_secs(1),
            _ => (last - first.at).div_f64((count - 1) as f64).max(Duration::from_millis(1)),
        };
        (self.count, self.length, self.first, self.rates) = (count, last + gap, first, rates);
        Ok(())
    }
}

/// From one instant to a later one.
fn between(ns: i128, later_ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(later_ns - ns).unwrap_or(0))
}

/// Remembers an instant with more lines than are held at a time.
fn note_crowd(crowds: &mut BTreeMap<i128, Crowd>, ns: i128, crowd: Crowd) {
    if crowd.count > order::WINDOW as u64 {
        crowds.insert(ns, crowd);
    }
}

impl Rates {
    fn note(&mut self, at: Duration) {
        if self.part.is_zero() {
            self.part = Duration::from_secs(1);
        }
        while at.as_secs_f64() / self.part.as_secs_f64() >= MOST_PARTS as f64 {
            self.part *= 2;
            self.counts = self.counts.chunks(2).map(|two| two.iter().sum()).collect();
        }
        let index = (at.as_secs_f64() / self.part.as_secs_f64()) as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
    }
}

#[cfg(test)]
mod tests;
