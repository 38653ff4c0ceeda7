//! What a case is, and how it is judged.

use std::path::{Path, PathBuf};

use assay_verdict::{
    eval::{EvalError, EvalOptions, Evaluation, eval},
    verdict::Status,
};

use crate::world::{Form, World};

/// What a careful person would say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Pass,
    Fail,
    Inconclusive,
    BadInput,
}

impl Says {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::BadInput => 2,
            Self::Inconclusive => 3,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::BadInput => "bad input",
        }
    }
}

/// A situation, and the verdict on it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    pub(crate) slas: Vec<String>,
    pub(crate) rules: Option<String>,
    /// The forms in which it is judged, each with its verdict.
    pub(crate) says: Vec<(Form, Says)>,
    /// What must be in the report.
    pub(crate) sentence: &'static str,
    /// Further options.
    pub(crate) tune: Option<Tune>,
}

/// Changes the options of a case; it is given the folder that the case has to itself.
pub(crate) type Tune = fn(&mut EvalOptions, &Path);

/// How a case is judged: [`eval`] or [`assay_verdict::eval::eval_fetched`].
pub(crate) type Eval<'a> = dyn Fn(&EvalOptions) -> Result<Evaluation, EvalError> + 'a;

/// A case that is judged in all forms, by nothing yet.
pub(crate) fn case(name: &'static str, world: World) -> Case {
    Case {
        name,
        world,
        slas: Vec::new(),
        rules: None,
        says: Form::ALL.map(|form| (form, Says::Pass)).to_vec(),
        sentence: "",
        tune: None,
    }
}

impl Case {
    pub(crate) fn sla(mut self, text: impl Into<String>) -> Self {
        self.slas.push(text.into());
        self
    }

    pub(crate) fn rules(mut self, rules: &str) -> Self {
        self.rules = Some(format!("groups:\n- name: g\n  interval: 5s\n  rules:\n{rules}"));
        self
    }

    pub(crate) fn says(mut self, says: Says, sentence: &'static str) -> Self {
        self.says.iter_mut().for_each(|s| s.1 = says);
        self.sentence = sentence;
        self
    }

    /// A form in which less can be told.
    pub(crate) fn but(mut self, form: Form, says: Says) -> Self {
        self.says.iter_mut().filter(|s| s.0 == form).for_each(|s| s.1 = says);
        self
    }

    /// Judged as recorded alone: the situation is not about how the record came.
    pub(crate) fn recorded(mut self) -> Self {
        self.says.truncate(1);
        self
    }

    pub(crate) fn exported(mut self, seconds: &[i64]) -> Self {
        self.says.retain(|(form, _)| matches!(form, Form::Exported(s) if seconds.contains(s)));
        self
    }

    /// Not judged in a form in which the situation is another.
    pub(crate) fn not(mut self, form: Form) -> Self {
        self.says.retain(|s| s.0 != form);
        self
    }

    pub(crate) fn tune(mut self, tune: Tune) -> Self {
        self.tune = Some(tune);
        self
    }

    /// Judges the case in one form; yields the exit code and all that the report says.
    pub(crate) fn judge(&self, form: Form) -> (u8, String) {
        let dir = tempfile::tempdir().expect("a directory");
        let run = self.world.record(dir.path(), form);
        self.judge_run(dir.path(), run, &eval)
    }

    /// Judges a run in the case's folder in a way of one's own.
    pub(crate) fn judge_run(&self, dir: &Path, run: PathBuf, eval: &Eval<'_>) -> (u8, String) {
        let mut options = EvalOptions::new(run);
        options.slas =
            self.slas.iter().enumerate().map(|(i, text)| write(dir, &format!("{i}.sla.yml"), text)).collect();
        if let Some(rules) = &self.rules {
            options.rules = vec![write(dir, "rules.yml", rules).display().to_string()];
        }
        if let Some(tune) = self.tune {
            tune(&mut options, dir);
        }
        match eval(&options) {
            Ok(done) => {
                let verdict = done.verdict;
                let code = verdict.status.exit_code();
                assert!(verdict.status != Status::Skipped);
                (code, serde_json::to_string_pretty(&verdict).expect("prints").replace("\\\"", "\""))
            }
            Err(e @ (EvalError::Source(_) | EvalError::Fetch(_))) => panic!("{}: {e}", self.name),
            Err(e) => (2, e.to_string()),
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("writes");
    path
}
