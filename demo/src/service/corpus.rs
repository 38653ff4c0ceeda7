//! The passages that answers are drawn from: made up, the same for the same seed.
//!
//! Invariant: nothing here is medical advice, nor is it of a real patient; the words are plausible and the facts
//! are drawn at random.

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng, seq::IndexedRandom as _};

use super::options::Role;

/// A passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// As in `guideline-0042`.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// A few sentences.
    pub text: String,
    /// The least role that may read it.
    pub access: Role,
}

const CONDITIONS: [&str; 24] = [
    "sepsis",
    "community-acquired pneumonia",
    "atrial fibrillation",
    "heart failure",
    "acute kidney injury",
    "diabetic ketoacidosis",
    "type 2 diabetes",
    "hypertension",
    "chronic obstructive pulmonary disease",
    "asthma",
    "deep vein thrombosis",
    "pulmonary embolism",
    "ischaemic stroke",
    "acute coronary syndrome",
    "cirrhosis",
    "upper gastrointestinal bleeding",
    "urinary tract infection",
    "cellulitis",
    "anaemia",
    "hyponatraemia",
    "hyperkalaemia",
    "epilepsy",
    "delirium",
    "pressure ulcer",
];
const DRUGS: [&str; 24] = [
    "metoprolol",
    "apixaban",
    "warfarin",
    "heparin",
    "furosemide",
    "lisinopril",
    "amlodipine",
    "metformin",
    "insulin glargine",
    "salbutamol",
    "prednisolone",
    "ceftriaxone",
    "piperacillin-tazobactam",
    "vancomycin",
    "amoxicillin",
    "paracetamol",
    "morphine",
    "ondansetron",
    "omeprazole",
    "levetiracetam",
    "haloperidol",
    "potassium chloride",
    "spironolactone",
    "atorvastatin",
];
const TESTS: [&str; 12] = [
    "serum lactate",
    "serum creatinine",
    "potassium",
    "troponin",
    "blood cultures",
    "arterial blood gas",
    "chest radiograph",
    "electrocardiogram",
    "HbA1c",
    "D-dimer",
    "full blood count",
    "liver function tests",
];
const WARDS: [&str; 6] = [
    "emergency department",
    "medical ward",
    "surgical ward",
    "intensive care unit",
    "clinic",
    "high-dependency unit",
];

/// What kinds of passage there are, who may read them, and their sentences. `{c}` is a condition, `{d}` and `{e}`
/// are drugs, `{t}` a test, `{w}` a ward and `{n}` a number.
const KINDS: [(&str, Role, &str, [&str; 5]); 4] = [
    (
        "procedure",
        Role::Nurse,
        "Care of patients with {c} on the {w}",
        [
            "Record vital signs every {n} minutes while {c} is suspected, and hourly afterwards.",
            "Tell the doctor on call when {t} is outside the range agreed for this patient.",
            "On the {w}, check the line and the pump before {d} is given.",
            "Explain to the patient why {d} was started and which effects to report.",
            "Document fluid balance at the end of every shift and compare it with the day before.",
        ],
    ),
    (
        "guideline",
        Role::Resident,
        "Guideline: {c} in adults",
        [
            "In adults with {c}, order {t} on arrival and repeat it after {n} hours.",
            "Start {d} within {n} hours unless there is a contraindication; {e} is the alternative.",
            "Reduce the dose of {d} where renal function is impaired and monitor {t}.",
            "Patients with {c} who do not improve within {n} hours are discussed with a senior.",
            "Stop {d} before {e} is started, because the two together raise the risk of bleeding.",
        ],
    ),
    (
        "medication",
        Role::Resident,
        "{d}: dosing and interactions",
        [
            "{d} is given every {n} hours; the first dose is halved in patients above eighty.",
            "{d} interacts with {e}: monitor {t} for {n} days after both are given.",
            "In {c}, {d} is continued on the {w} unless blood pressure falls.",
            "The commonest adverse effects of {d} are nausea, dizziness and a rise in {t}.",
            "Check {t} before the first dose of {d} and again after {n} days.",
        ],
    ),
    (
        "case",
        Role::Attending,
        "Case discussion: {c} treated with {d}",
        [
            "A patient of {n} years was admitted to the {w} with {c} and a raised {t}.",
            "The team chose {d} over {e} because of a reaction two years earlier.",
            "After {n} hours {t} had normalised and {d} was reduced.",
            "In hindsight {c} should have been considered when {t} came back.",
            "The family was informed, and follow-up in the clinic was arranged after {n} days.",
        ],
    ),
];

/// `n` passages, the same for the same seed.
#[must_use]
pub fn passages(n: usize, seed: u64) -> Vec<Passage> {
    let mut rng = SmallRng::seed_from_u64(seed);
    (0..n).map(|i| passage(i, &mut rng)).collect()
}

fn passage(number: usize, rng: &mut SmallRng) -> Passage {
    let (kind, access, title, sentences) = &KINDS[number % KINDS.len()];
    let mut pick = |words: &[&'static str]| words.choose(rng).copied().unwrap_or_default();
    let (condition, drug, other) = (pick(&CONDITIONS), pick(&DRUGS), pick(&DRUGS));
    let (test, ward) = (pick(&TESTS), pick(&WARDS));
    let mut fill = |template: &str| {
        template
            .replace("{c}", condition)
            .replace("{d}", drug)
            .replace("{e}", other)
            .replace("{t}", test)
            .replace("{w}", ward)
            .replace("{n}", &rng.random_range(2..72).to_string())
    };
    let text = sentences.iter().map(|s| capitalize(&fill(s))).collect::<Vec<_>>().join(" ");
    Passage { id: format!("{kind}-{number:04}"), title: capitalize(&fill(title)), text, access: *access }
}

fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_passages() {
        assert_eq!(passages(50, 7), passages(50, 7));
        assert_ne!(passages(50, 7), passages(50, 8));
        assert_eq!(passages(50, 7)[..20], passages(20, 7)[..]);
        for passage in passages(200, 1) {
            assert!(!passage.text.contains('{') && !passage.title.contains('{'), "{passage:?}");
        }
    }
}
