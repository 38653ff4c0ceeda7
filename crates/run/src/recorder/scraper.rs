//! The thread that scrapes.
//!
//! Invariant: a target is asked once in each interval, one request at a time, and once however short the recording is; a slow
//! answer delays no other target. Times are those of the schedule where the scrape began within two milliseconds of it, as in
//! Prometheus (`scrape.ScrapeTimestampTolerance`), which lets the storage pack them well.

use std::{
    io,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use assay_prom_api::http::direct_client;
use reqwest::Client;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::MissedTickBehavior,
};

use super::{
    Sink,
    fetch::fetch,
    target::{History, Target},
};
/// How far a scrape may begin from its scheduled time and still carry it.
const TOLERANCE_MS: i64 = 2;
/// How long the end of a recording waits for targets that were not asked yet.
const FIRST_SCRAPE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Scraper {
    targets: UnboundedSender<Target>,
    thread: JoinHandle<()>,
}

impl Scraper {
    pub(super) fn start(sink: Sink) -> io::Result<Self> {
        let (targets, added) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("scraper".into())
            .spawn(move || runtime.block_on(serve(added, sink)))?;
        Ok(Self { targets, thread })
    }

    /// Scrapes a target from now on; fails where the thread has ended.
    pub(super) fn add(&self, target: Target) -> Result<(), ()> {
        self.targets.send(target).map_err(|_| ())
    }

    /// Ends scraping; a scrape under way is given up, unless it is the target's first, which has a second.
    pub(super) fn stop(self) {
        drop(self.targets);
        if self.thread.join().is_err() {
            tracing::error!("the scraper's thread panicked");
        }
    }
}

/// Runs until no one can add targets any more; the tasks end with the runtime.
async fn serve(mut added: UnboundedReceiver<Target>, sink: Sink) {
    let client = match direct_client() {
        Ok(client) => client,
        Err(cause) => {
            tracing::error!(%cause, "cannot scrape");
            return;
        }
    };
    let mut firsts = Vec::new();
    while let Some(target) = added.recv().await {
        let (done, first) = oneshot::channel();
        firsts.push(first);
        tokio::spawn(scrape_on(client.clone(), target, sink.clone(), done));
    }
    let all = async {
        for first in firsts {
            // Nothing is sent: the other end is dropped.
            let _ = first.await;
        }
    };
    let _ = tokio::time::timeout(FIRST_SCRAPE, all).await;
}

/// `first` is dropped after the first scrape.
async fn scrape_on(client: Client, target: Target, sink: Sink, first: oneshot::Sender<()>) {
    let mut first = Some(first);
    let mut history = History::new(&target);
    let mut schedule = Schedule::new(&target);
    let mut ticks = tokio::time::interval(target.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut failure = Failure::default();
    let mut described = Vec::new();
    loop {
        let tick = ticks.tick().await;
        let t_ms = schedule.time(tick.into_std(), sink.now_ms());
        let begun = Instant::now();
        let result = fetch(&client, &target).await;
        let seconds = begun.elapsed().as_secs_f64();
        failure.note(&target, result.as_ref().err());
        let mut scrape = result.ok();
        if let Some(scrape) = &mut scrape {
            let families = std::mem::take(&mut scrape.families);
            if families != described {
                // A failure comes back from the samples that follow.
                let _ = sink.describe(families.clone());
                described = families;
            }
        }
        if sink.append(history.rows(t_ms, seconds, scrape)).is_err() {
            // Whoever owns the recorder hears of the failure from it.
            return;
        }
        drop(first.take());
    }
}

/// The failure that a target is in: told when it begins, and with its number when it ends.
#[derive(Default)]
struct Failure {
    cause: String,
    count: u64,
    of: String,
}

impl Failure {
    fn note(&mut self, target: &Target, cause: Option<&String>) {
        match cause {
            Some(cause) if *cause == self.cause => self.count += 1,
            Some(cause) => {
                self.end();
                tracing::warn!(job = target.job, url = %target.url, "scrape: {cause}");
                *self = Self { cause: cause.clone(), count: 1, of: target.job.clone() };
            }
            None if self.count > 0 => {
                self.end();
                tracing::info!(job = target.job, url = %target.url, "scrape: the target is back");
            }
            None => {}
        }
    }

    fn end(&mut self) {
        if self.count > 1 {
            tracing::warn!(job = self.of, "scrape: {}, {} times", self.cause, self.count);
        }
        self.count = 0;
        self.cause.clear();
    }
}

/// A recording may end while the target fails.
impl Drop for Failure {
    fn drop(&mut self) {
        self.end();
    }
}

/// Turns ticks into times.
struct Schedule {
    interval_ms: i64,
    /// A tick and its time.
    anchor: Option<(Instant, i64)>,
}

impl Schedule {
    fn new(target: &Target) -> Self {
        Self {
            interval_ms: i64::try_from(target.interval.as_millis()).unwrap_or(i64::MAX).max(1),
            anchor: None,
        }
    }

    /// The time for a scrape that was due at `tick` and begins now.
    fn time(&mut self, tick: Instant, now_ms: i64) -> i64 {
        let Some((first, base_ms)) = self.anchor else {
            self.anchor = Some((tick, now_ms));
            return now_ms;
        };
        let since = i64::try_from(tick.duration_since(first).as_millis()).unwrap_or(i64::MAX);
        // Whole intervals, so that rounding of the ticks cannot add up.
        let steps = (since + self.interval_ms / 2) / self.interval_ms;
        let due_ms = base_ms + steps * self.interval_ms;
        if (now_ms - due_ms).abs() <= TOLERANCE_MS {
            return due_ms;
        }
        now_ms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_is_logged_once_and_then_with_its_number() {
        #[derive(Clone, Default)]
        struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

        impl io::Write for Log {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("no panic").write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let log = Log::default();
        let writer = log.clone();
        let format = tracing_subscriber::fmt::format().without_time().with_target(false).with_level(false);
        let subscriber = tracing_subscriber::fmt()
            .event_format(format)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let target = Target::new("a", "http://h/").expect("a target");
            let (refused, slow) = ("refused".to_owned(), "timed out".to_owned());
            let mut failure = Failure::default();
            for cause in [
                Some(&refused),
                Some(&refused),
                Some(&refused),
                None,
                Some(&refused),
                Some(&slow),
                Some(&slow),
            ] {
                failure.note(&target, cause);
            }
        });
        let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
        let lines: Vec<_> = text.lines().map(|l| l.split(" job=").next().unwrap_or_default()).collect();
        assert_eq!(
            lines,
            [
                "scrape: refused",
                "scrape: refused, 3 times",
                "scrape: the target is back",
                "scrape: refused",
                "scrape: timed out",
                "scrape: timed out, 2 times"
            ]
        );
    }

    #[test]
    fn times_follow_the_schedule_unless_a_scrape_is_late() {
        let mut schedule = Schedule { interval_ms: 1000, anchor: None };
        let zero = Instant::now();
        let mut check = |tick_ms: u64, now_ms: i64, want: i64| {
            assert_eq!(schedule.time(zero + Duration::from_millis(tick_ms), now_ms), want);
        };
        check(0, 500_000, 500_000);
        check(1000, 501_002, 501_000);
        check(2001, 501_999, 502_000);
        check(3000, 503_150, 503_150);
        check(4000, 504_001, 504_000);
        check(9000, 509_001, 509_000);
    }
}
