//! The alert timeline for a terminal. Invariant: a column is the same moment in every line.

use assay_text::Page;
use assay_verdict::{
    units,
    verdict::{AlertInstance, AlertRow, RunInfo, Status},
};

/// The fewest columns that a bar gets.
const LEAST_BAR: usize = 24;

/// A bar for each stretch in which an alert was pending (░) or firing (█), with its labels, value and
/// annotations, the phases above.
#[must_use]
pub fn render(run: &RunInfo, alerts: &[AlertRow], width: u16) -> String {
    let mut out = Page::new();
    let name_width = alerts
        .iter()
        .filter(|a| !a.instances.is_empty())
        .map(|a| a.name.chars().count())
        .max()
        .unwrap_or(5)
        .clamp(5, 32);
    let bar_width = usize::from(width).saturating_sub(name_width + 4).max(LEAST_BAR);
    let scale = Scale { run, columns: bar_width };
    out.line(format_args!(
        "{} to {}, {} long",
        units::timestamp(run.start_ms),
        units::timestamp(run.end_ms),
        units::length(run.end_ms - run.start_ms)
    ));
    if !run.phases.is_empty() {
        out.line(format_args!("{:name_width$}  {}", "", scale.phases()));
    }
    let mut all: Vec<(&AlertRow, &AlertInstance)> =
        alerts.iter().flat_map(|a| a.instances.iter().map(move |i| (a, i))).collect();
    all.sort_by_key(|(_, i)| i.active_at_ms);
    for (alert, instance) in all {
        let name: String = alert.name.chars().take(name_width).collect();
        out.line(format_args!("{name:name_width$}  {}", scale.bar(instance)));
        describe(&mut out, run, instance, name_width);
    }
    // A rule that could not be evaluated may have been missed.
    let (failed, evaluated): (Vec<_>, Vec<_>) =
        alerts.iter().partition(|a| a.status == Status::Inconclusive && !a.reason.is_empty());
    for alert in failed {
        out.line(format_args!("{}: {}", alert.name, alert.reason));
    }
    let silent = evaluated.iter().filter(|a| a.instances.is_empty()).count();
    out.line(format_args!("{silent} of {} alerting rules were never pending", alerts.len()));
    out.into_text()
}

fn describe(out: &mut Page, run: &RunInfo, instance: &AlertInstance, indent: usize) {
    let clock = |t_ms: i64| units::clock_within(t_ms, (run.start_ms, run.end_ms));
    let end = instance.ended_at_ms.map_or_else(|| "the end".to_owned(), clock);
    let active = clock(instance.active_at_ms);
    let when = match instance.fired_at_ms {
        Some(fired) => format!("pending {active}, firing {} to {end}", clock(fired)),
        None => format!("pending {active} to {end}"),
    };
    let labels: Vec<_> =
        instance.labels.iter().filter(|(n, _)| n != "alertname").map(|(n, v)| format!("{n}={v:?}")).collect();
    let value = units::digits(instance.value);
    let at = instance.worst_at_ms.map_or_else(String::new, |t| format!(" at {}", clock(t)));
    out.line(format_args!("{:indent$}  {when}, worst value {value}{at} {{{}}}", "", labels.join(", ")));
    for (name, text) in &instance.annotations {
        if name != "runbook_url" {
            out.line(format_args!("{:indent$}  {name}: {text}", ""));
        }
    }
}

/// From times to columns.
struct Scale<'a> {
    run: &'a RunInfo,
    columns: usize,
}

impl Scale<'_> {
    fn column(&self, t_ms: i64) -> usize {
        let length = (self.run.end_ms - self.run.start_ms).max(1) as f64;
        let part = ((t_ms - self.run.start_ms) as f64 / length).clamp(0.0, 1.0);
        (part * self.columns as f64).floor() as usize
    }

    /// At least one column, however short it was.
    fn bar(&self, instance: &AlertInstance) -> String {
        let end = self.column(instance.ended_at_ms.unwrap_or(self.run.end_ms)).max(1);
        let start = self.column(instance.active_at_ms).min(end - 1);
        let fired = instance.fired_at_ms.map_or(end, |t| self.column(t).min(end - 1));
        (0..self.columns.max(end))
            .map(|c| match c {
                c if c < start || c >= end => '·',
                c if c < fired => '░',
                _ => '█',
            })
            .collect()
    }

    fn phases(&self) -> String {
        let mut line = vec![' '; self.columns];
        for phase in &self.run.phases {
            let (from, to) = (self.column(phase.start_ms), self.column(phase.end_ms).min(self.columns));
            for (i, c) in std::iter::once('|').chain(phase.name.chars()).enumerate() {
                if from + i < to {
                    line[from + i] = c;
                }
            }
        }
        line.into_iter().collect::<String>().trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::{testing, verdict::Status};

    #[test]
    fn bars_line_up_with_phases() {
        let verdict = testing::verdict(Status::Fail);
        let text = render(&verdict.run, &verdict.alerts, 57);
        let lines: Vec<_> = text.lines().collect();
        let bar = lines[2].split_once("  ").expect("has a bar").1;
        // Pending from second 20 to 30 of 70, firing to the end.
        assert_eq!(bar.chars().count(), 34, "{text}");
        assert_eq!(
            (bar.find('░').map(|b| bar[..b].chars().count()), bar.matches('░').count()),
            (Some(9), 5),
            "{text}"
        );
        assert!(bar.ends_with('█') && lines[1].contains("|war|steady"), "{text}");
        assert!(text.contains("summary: Query p99 is 6.2s"), "{text}");
    }

    #[test]
    fn what_failed_is_not_silent_and_days_have_dates() {
        let mut verdict = testing::verdict(Status::Fail);
        let before = render(&verdict.run, &verdict.alerts, 57);
        let mut failed = verdict.alerts[0].clone();
        (failed.name, failed.status) = ("Broken".to_owned(), Status::Inconclusive);
        (failed.reason, failed.instances) = ("5 of its evaluations failed: no".to_owned(), Vec::new());
        verdict.alerts.push(failed);
        verdict.run.end_ms += 86_400_000;
        let text = render(&verdict.run, &verdict.alerts, 57);
        let silent = |text: &str| text.lines().last().and_then(|l| l.split(' ').next()?.parse::<u32>().ok());
        assert_eq!(silent(&text), silent(&before), "{text}");
        assert!(text.contains("Broken: 5 of its evaluations failed: no\n"), "{text}");
        let date = units::timestamp(verdict.run.start_ms)[..10].to_owned();
        assert!(text.contains(&format!("pending {date} ")), "{text}");
    }
}
