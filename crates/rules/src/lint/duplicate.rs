//! `duplicate-rule`: promtool's own lint.
//!
//! Source: Prometheus `cmd/promtool/main.go` (`checkDuplicates`) v3.13.

use std::collections::HashMap;

use super::{Context, Remark, remark};

pub(super) fn check(context: &Context<'_>, out: &mut Vec<Remark>) {
    let mut seen = HashMap::new();
    for (id, rule) in context.rules() {
        let key = (rule.file(), &rule.name, &rule.labels);
        match seen.get(&key) {
            None => {
                seen.insert(key, rule.title());
            }
            Some(first) => {
                let message = format!("the same name and labels as {first}; both write the same series");
                remark(out, id, rule.position, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn finds_the_second_of_two() {
        check(
            "duplicate-rule",
            "- {record: a, expr: up, labels: {x: y}}\n- {record: a, expr: down}\n- {record: a, expr: up == 1, labels: {x: y}}",
            &["3: the same name and labels as group \"g\", rule 1, \"a\"; both write the same series"],
        );
    }
}
