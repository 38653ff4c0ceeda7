//! Limits, read from the SLA that ships, so that a line on a board is what a verdict holds a run to.
//!
//! Invariant: an objective that a board names is in the SLA; a test asks for each.

const SLA: &str = "clinical-rag.yml";

/// The limit of an objective: the number after the comparison that ends its `require`. `None` if there is no such
/// objective.
pub(crate) fn objective(name: &str) -> Option<f64> {
    let (_, sla) = assay_prometheus::SLAS.iter().find(|(file, _)| *file == SLA)?;
    let after = sla.split_once(&format!("- name: {name}\n"))?.1;
    let lines = after.lines().take_while(|line| !line.trim_start().starts_with("- name:"));
    lines.filter_map(limit_at_end).next()
}

fn limit_at_end(line: &str) -> Option<f64> {
    let mut words = line.rsplit(' ');
    let (number, operator) = (words.next()?, words.next()?);
    ["<", "<=", ">", ">="].contains(&operator).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_sla() {
        assert_eq!(objective("Query latency p99"), Some(5.0));
        assert_eq!(objective("Error rate"), Some(1.0));
        assert_eq!(objective("Host CPU"), Some(80.0));
        assert_eq!(objective("Nothing of the kind"), None);
        for name in crate::boards::OBJECTIVES {
            assert!(objective(name).is_some(), "{name}");
        }
    }
}
