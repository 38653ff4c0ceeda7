//! What happens each second of a run: tallies are collected, series published, the view told. Invariant: what a worker tallied is
//! taken once.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::{HISTORY, Run, SecondTally, Worker, families};
use crate::progress::{PhaseState, Progress};

impl Run {
    /// Takes what the workers tallied since the last time into the totals of phase `index`.
    pub(super) fn collect(&mut self, index: usize, start: Instant) {
        let born_ms = self.last_ms;
        let mut second = SecondTally::new();
        let (totals, mut requests) = (&mut self.totals[index], Vec::new());
        for worker in &self.workers {
            {
                let mut tally = worker.tally.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut *tally, &mut self.spare);
            }
            second.add(&self.spare);
            requests.push(self.spare.take_requests());
            totals.tally.merge(&self.spare, born_ms);
            self.spare.clear();
        }
        if let Some(recording) = &mut self.recording {
            recording.take(&totals.phase.name, requests);
        }
        totals.users = self.workers.iter().map(Worker::active).sum();
        let into = start.elapsed();
        totals.rate_target = match &totals.phase.executor {
            executor if into < executor.duration() => {
                executor.target_rate_per_s(into).map(|rate| self.shard.of_rate(rate))
            }
            _ => totals.rate_target.map(|_| 0.0),
        };
        let users = totals.users;
        self.note_second(second, users);
    }

    pub(super) fn note_second(&mut self, second: SecondTally, users: i64) {
        let now = Instant::now();
        let took = now - self.window.at;
        let cpu: Vec<Duration> = self.workers.iter().map(Worker::cpu).collect();
        if took > Duration::from_millis(500) {
            for (now, before) in cpu.iter().zip(&self.window.worker_cpu) {
                let share = now.saturating_sub(*before).as_secs_f64() / took.as_secs_f64();
                self.busiest = self.busiest.max(share);
            }
            self.window.worker_cpu.clone_from(&cpu);
            self.window.at = now;
            let seconds = took.as_secs_f64();
            let at = self.started.elapsed();
            self.window.history.push_back(second.finish(at, seconds, users));
            if self.window.history.len() > HISTORY {
                self.window.history.pop_front();
            }
        } else if let Some(last) = self.window.history.back_mut() {
            // The rest of a phase that ended inside a second.
            last.requests += second.requests as f64;
        }
        self.facts.cpu_s = cpu.iter().map(Duration::as_secs_f64).sum();
        self.facts.export_failures = self.publisher.export_failures();
        self.facts.export_delay = self.publisher.export_delay();
    }

    /// Publishes all series as they stand.
    pub(super) fn publish(&mut self, may_be_left_out: bool) {
        let t_ms = self.next_ms();
        self.publish_at(t_ms, may_be_left_out);
    }

    pub(super) fn publish_at(&self, t_ms: i64, may_be_left_out: bool) {
        if self.publisher.has_sinks() {
            let families = families(&self.scenario, &self.facts, &self.totals);
            self.publisher.values(t_ms, families, may_be_left_out);
        }
    }

    pub(super) fn show(&mut self, index: usize, start: Instant) {
        let phases = self
            .phases
            .iter()
            .enumerate()
            .map(|(i, phase)| PhaseState {
                name: phase.name.clone(),
                executor: phase.executor.name(),
                warmup: phase.warmup,
                length: phase.executor.duration(),
                elapsed: match self.times.get(i) {
                    None => None,
                    Some((from, Some(to))) => Some(*to - *from),
                    Some(_) => Some(start.elapsed()),
                },
                is_over: self.times.get(i).is_some_and(|t| t.1.is_some()),
            })
            .collect();
        let progress = Progress::new(
            &self.scenario,
            &self.target.shown,
            phases,
            index,
            self.started.elapsed(),
            self.is_paused,
            &self.totals,
            &self.window.history,
        );
        self.view.update(&progress);
    }
}
