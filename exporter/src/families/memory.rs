//! [`Memory`]: what a scrape takes from the one before, and when it is not worth the trouble.
//!
//! Invariant: it decides about cost alone; what is shown is the same with and without it.

use std::sync::Arc;

use super::{Families, Scraped, Template};

/// Scrapes in a row that may each have other series than the one before.
const CHANGES: u32 = 3;

/// Scrapes that are not compared after that, or after one that cannot be a template.
const PAUSE: u32 = 15;

/// The series of the last scrape that was compared.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    template: Option<Arc<Template>>,
    /// Scrapes in a row that had other series.
    changes: u32,
    /// Scrapes to come that are not compared.
    pause: u32,
}

impl Memory {
    /// What a scrape begins with.
    pub(crate) fn begin(&mut self) -> Families {
        if self.pause > 0 {
            self.pause -= 1;
            return Families::new();
        }
        Families::after(self.template.clone())
    }

    /// Takes up a scrape that was compared.
    pub(crate) fn learn(&mut self, scraped: &Scraped) {
        match scraped {
            Scraped::Again(_) => self.changes = 0,
            Scraped::New(_, None) => *self = Self { pause: PAUSE, ..Self::default() },
            Scraped::New(_, Some(template)) => {
                if self.template.replace(Arc::clone(template)).is_some() {
                    self.changes += 1;
                }
                if self.changes >= CHANGES {
                    self.pause = PAUSE;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_model::{
        Labels, MetricType,
        expo::{Metric, MetricValue},
    };

    use super::*;

    /// Scrapes of these names each, and whether each was compared.
    fn check(scrapes: &[&str], want: &str) {
        let mut memory = Memory::default();
        let mut got = String::new();
        for names in scrapes {
            let mut out = memory.begin();
            for name in names.chars() {
                let value = Metric::new(Labels::empty(), MetricValue::Float(1.0));
                // What has a time is more than a number.
                let metric = if name == 't' { value.at(5) } else { value };
                out.push(MetricType::Gauge, &name.to_string(), "", metric);
            }
            let is_tracked = out.is_tracked();
            let (scraped, _) = out.scraped();
            if is_tracked {
                memory.learn(&scraped);
            }
            got.push(match (is_tracked, &scraped) {
                (false, _) => '-',
                (true, Scraped::Again(_)) => '=',
                (true, Scraped::New(..)) => '!',
            });
        }
        assert_eq!(got, want, "{scrapes:?}");
    }

    #[test]
    fn what_is_the_same_is_compared_each_time() {
        check(&["ab", "ab", "ab", "abc", "abc", "abc"], "!==!==");
    }

    #[test]
    fn what_cannot_be_a_template_is_tried_seldom() {
        let mut scrapes = vec!["at"; 33];
        check(&scrapes, "!---------------!---------------!");
        scrapes[1..].fill("a");
        check(&scrapes[..18], "!---------------!=");
    }

    #[test]
    fn what_always_changes_is_tried_seldom() {
        let scrapes: Vec<_> = ["a", "b", "c"].into_iter().cycle().take(36).collect();
        check(&scrapes, "!!!!---------------!---------------!");
        let mut scrapes = scrapes[..4].to_vec();
        scrapes.resize(22, "a");
        check(&scrapes, "!!!!---------------===");
    }
}
