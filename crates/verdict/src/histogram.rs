//! Expressions over a histogram that may be native or classic. Invariant: whichever form a run has, the figure is the same
//! one, and a run that has both answers with the native one.

/// A histogram in either form, and which of its series.
#[derive(Clone, Copy)]
pub(crate) struct Histogram<'a> {
    pub(crate) metric: &'a str,
    /// Matchers, as they stand in braces; may be empty.
    pub(crate) matchers: &'a str,
    /// The labels that are kept, as they stand in `by (…)`.
    pub(crate) by: &'a str,
}

/// Requests as the generator sees them, those that a person's stop cut off left out.
pub(crate) const REQUESTS: Histogram<'static> = Histogram {
    metric: "http_client_request_duration_seconds",
    matchers: "error_type!=\"interrupted\"",
    by: "",
};

/// Those of them that failed.
pub(crate) const FAILURES: Histogram<'static> =
    Histogram { matchers: "error_type!~\"|interrupted\"", ..REQUESTS };

/// Requests as the service sees them, by OpenTelemetry's conventions.
pub(crate) const SERVED: Histogram<'static> =
    Histogram { metric: "http_server_request_duration_seconds", matchers: "", by: "" };

/// The service's own stages.
pub(crate) const STAGES: Histogram<'static> =
    Histogram { metric: "rag_stage_duration_seconds", matchers: "", by: "stage" };

impl Histogram<'_> {
    fn each(&self, native: &str, classic: &str) -> String {
        let fill = |text: &str| {
            // Last what holds a person's data, in which nothing is replaced.
            text.replace("METRIC", self.metric).replace("BY", self.by).replace("MATCHERS", self.matchers)
        };
        format!("({} or {})", fill(native), fill(classic))
    }

    /// How many were observed.
    pub(crate) fn count(&self) -> String {
        self.each(
            "sum by (BY) (histogram_count(increase(METRIC{MATCHERS}[RANGE])))",
            "sum by (BY) (increase(METRIC_count{MATCHERS}[RANGE]))",
        )
    }

    /// The sum of what was observed.
    pub(crate) fn sum(&self) -> String {
        self.each(
            "sum by (BY) (histogram_sum(increase(METRIC{MATCHERS}[RANGE])))",
            "sum by (BY) (increase(METRIC_sum{MATCHERS}[RANGE]))",
        )
    }

    /// A quantile, 0 to 1.
    pub(crate) fn quantile(&self, q: f64) -> String {
        let (native, classic) = self.whole();
        self.each(
            &format!("histogram_quantile({q}, {native})"),
            &format!("histogram_quantile({q}, {classic})"),
        )
    }

    /// Several quantiles, told apart by the label `q`.
    pub(crate) fn quantiles(&self, list: &[f64]) -> String {
        let list = list.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        let (native, classic) = self.whole();
        self.each(
            &format!("histogram_quantiles({native}, \"q\", {list})"),
            &format!("histogram_quantiles({classic}, \"q\", {list})"),
        )
    }

    /// All that was observed, as one histogram or as its buckets.
    pub(crate) fn all(&self) -> String {
        let (native, classic) = self.whole();
        self.each(&native, &classic)
    }

    fn whole(&self) -> (String, String) {
        let by = if self.by.is_empty() { "le" } else { "BY, le" };
        (
            "sum by (BY) (increase(METRIC{MATCHERS}[RANGE]))".to_owned(),
            format!("sum by ({by}) (increase(METRIC_bucket{{MATCHERS}}[RANGE]))"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_in_a_label_value() {
        let of = Histogram { matchers: "stage=\"BYPASS METRIC\"", ..STAGES };
        for text in [of.count(), of.sum(), of.quantile(0.5), of.all()] {
            assert_eq!(text.matches("{stage=\"BYPASS METRIC\"}[RANGE]").count(), 2, "{text}");
        }
        assert!(
            of.count().starts_with("(sum by (stage) (histogram_count(increase(rag_stage_duration_seconds{")
        );
    }
}
