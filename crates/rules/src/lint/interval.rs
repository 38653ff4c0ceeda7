//! `for-interval` and `interval-lookback`: how often a group is evaluated.

use assay_model::duration::format_ms;

use super::{Context, Remark, remark};

/// Prometheus' default lookback: an instant selector finds nothing older.
const LOOKBACK_MS: i64 = 300_000;

pub(super) fn hold(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let interval_ms = context.interval_ms(&context.files.groups[id.group]);
        let Some(alerting) = rule.alerting() else { continue };
        if alerting.for_ms > 0 && alerting.for_ms < interval_ms {
            let message = format!(
                "for: {} is less than the group's interval of {}, so the alert waits for a whole interval",
                format_ms(alerting.for_ms),
                format_ms(interval_ms)
            );
            remark(out, id, rule.position_of_key("for"), message);
        }
    }
}

pub(super) fn lookback(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let interval_ms = context.interval_ms(&context.files.groups[id.group]);
        if interval_ms > LOOKBACK_MS {
            let message = format!(
                "the group is evaluated every {}, and what it writes cannot be seen for longer than {} after that",
                format_ms(interval_ms),
                format_ms(LOOKBACK_MS)
            );
            remark(out, id, rule.position, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn intervals() {
        check(
            "for-interval",
            "- {alert: A, expr: up == 0, for: 30s}\n- {alert: B, expr: up == 0, for: 1m}",
            &["1: for: 30s is less than the group's interval of 1m, so the alert waits for a whole interval"],
        );
    }
}
