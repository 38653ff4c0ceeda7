//! `ignored-key`: keys of other programs' rule files.

use super::{Context, Remark, remark, remark_group};

pub(super) fn check(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let group = &context.files.groups[id.group];
        // A group's keys are reported once, with its first rule.
        for key in group.ignored.iter().filter(|_| id.rule == 0) {
            remark_group(out, id, key.position, key.to_string());
        }
        for key in &rule.ignored {
            remark(out, id, key.position, key.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        RuleFiles,
        lint::{CheckOptions, check},
    };

    #[test]
    fn keys_are_reported_where_they_are() {
        let text = "groups:
- name: g
  source_tenants: [a]
  rules:
  - record: a
    expr: up
  - record: b
    expr: up
    debug: true
";
        let files = RuleFiles::parse("r.yml", text).expect("reads");
        let found: Vec<_> = check(&files, &CheckOptions::default()).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "r.yml:3:3: info[ignored-key]: group \"g\": source_tenants is a key of Mimir and is ignored: the \
                 tenants whose series are read; here all series of the run are",
                "r.yml:9:5: info[ignored-key]: group \"g\", rule 2, \"b\": debug is a key of vmalert and is ignored: logging",
            ]
        );
        let silenced =
            text.replace("  source_tenants", "  # ruleseval: ignore ignored-key\n  source_tenants");
        let files = RuleFiles::parse("r.yml", &silenced).expect("reads");
        assert_eq!(check(&files, &CheckOptions::default()).len(), 1);
    }
}
