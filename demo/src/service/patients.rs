//! The patients that can be asked about: those of the pack `clinical-rag`, all made up.
//!
//! Invariant: the pack and the service share one list, so that the load never asks about a patient who does not exist.

use std::collections::HashMap;

/// The pack's list; the first line has the names of the fields.
fn list() -> &'static str {
    let pack = loadgen::PACKS.iter().find(|pack| pack.name == "clinical-rag");
    pack.and_then(|pack| pack.file("patients.csv")).unwrap_or_default()
}

/// What the service knows of a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) id: String,
    /// A line for the prompt: age, sex, ward, problems, medicines, allergies.
    pub(crate) summary: String,
}

/// The patients by their ids.
pub(crate) struct Patients(HashMap<String, Patient>);

impl Patients {
    pub(crate) fn load() -> Self {
        let mut lines = list().lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let patient = |line: &str| {
            let mut fields = line.split(',');
            let id = fields.next()?.to_owned();
            let facts: Vec<_> =
                names.iter().skip(1).zip(fields).map(|(name, value)| format!("{name} {value}")).collect();
            Some((id.clone(), Patient { id, summary: facts.join(", ") }))
        };
        Self(lines.filter_map(patient).collect())
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Patient> {
        self.0.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_patients_or_more_and_no_field_is_lost() {
        let patients = Patients::load();
        assert!(patients.0.len() >= 10);
        let fields = |line: &str| line.split(',').count();
        let header = fields(list().lines().next().unwrap());
        assert!(list().lines().all(|line| fields(line) == header && !line.contains('"')));
        assert!(patients.get("P-0001").unwrap().summary.contains("age"));
    }
}
