//! The passages that answers are drawn from: one for each topic and aspect of `data/topics-*.yml`.
//!
//! Invariant: everything here is synthetic: no passage is about a real patient, and none is medical advice.

use assay_yaml::{Document, Node};

use super::role::Role;

/// A passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// As in `sepsis:monitor`.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Two sentences.
    pub text: String,
    /// The least role that may read it.
    pub access: Role,
}

impl Passage {
    /// What is embedded of it.
    #[must_use]
    pub fn full_text(&self) -> String {
        format!("{}. {}", self.title, self.text)
    }
}

const TOPICS: [(&str, &str); 2] = [
    ("topics-1.yml", include_str!("../../data/topics-1.yml")),
    ("topics-2.yml", include_str!("../../data/topics-2.yml")),
];

/// A side of a topic: its key, who may read it, its title, and the sentence that follows the topic's own. `{}` is
/// the topic.
struct Aspect {
    key: &'static str,
    access: Role,
    title: &'static str,
    context: &'static str,
}

const fn aspect(key: &'static str, access: Role, title: &'static str, context: &'static str) -> Aspect {
    Aspect { key, access, title, context }
}

const ASPECTS: [Aspect; 18] = [
    aspect(
        "observe",
        Role::Nurse,
        "Observations: {}",
        "Record the readings with the time, and compare them with the shift before.",
    ),
    aspect(
        "care",
        Role::Nurse,
        "Nursing care: {}",
        "The care plan is reviewed at each handover and signed by the nurse in charge.",
    ),
    aspect(
        "teach",
        Role::Nurse,
        "Patient and family teaching: {}",
        "Ask them to repeat it in their own words, and leave the leaflet at the bedside.",
    ),
    aspect(
        "escalate",
        Role::Nurse,
        "When to call for help: {}",
        "State the early warning score, what was done so far, and what you need.",
    ),
    aspect(
        "discharge",
        Role::Nurse,
        "Discharge: {}",
        "The checklist is complete only when the follow-up is booked and the family informed.",
    ),
    aspect("presents", Role::Resident, "How {} presents", "Ask when it began and what was new that week."),
    aspect(
        "diagnose",
        Role::Resident,
        "Diagnosis of {}",
        "Write the result and the reasoning in the notes before the ward round.",
    ),
    aspect(
        "treat",
        Role::Resident,
        "First-line treatment and dosing: {}",
        "Check allergies, weight and current medicines before prescribing.",
    ),
    aspect(
        "alternative",
        Role::Resident,
        "Second-line treatment: {}",
        "Document why the first choice was not used.",
    ),
    aspect(
        "renal",
        Role::Resident,
        "Dosing in kidney impairment: {}",
        "Use the clearance of today, and recalculate when creatinine moves by a fifth.",
    ),
    aspect(
        "monitor",
        Role::Resident,
        "Laboratory and follow-up monitoring: {}",
        "The one who orders the test is the one who acts on the result.",
    ),
    aspect(
        "avoid",
        Role::Resident,
        "Contraindications and what to avoid: {}",
        "An exception needs a consultant's name in the notes.",
    ),
    aspect(
        "interact",
        Role::Resident,
        "Drug interactions: {}",
        "Ask the ward pharmacist before the two are given together.",
    ),
    aspect(
        "adverse",
        Role::Resident,
        "Adverse effects: {}",
        "Serious reactions are reported the same day and added to the allergy record.",
    ),
    aspect(
        "elderly",
        Role::Resident,
        "Older adults: {}",
        "Goals of care and frailty come before numbers in this group.",
    ),
    aspect(
        "pregnancy",
        Role::Resident,
        "Pregnancy and breast-feeding: {}",
        "Obstetrics is informed of every admission.",
    ),
    aspect(
        "incident",
        Role::Admin,
        "Incident review: {}",
        "The review found a fault of the system and not of a person, and closed with one change.",
    ),
    aspect(
        "audit",
        Role::Admin,
        "Clinical audit: {}",
        "The next cycle is due in six months and reports to the board.",
    ),
];

/// All passages, always the same.
///
/// # Errors
/// When a topic file lacks an aspect, which the tests rule out.
pub fn passages() -> Result<Vec<Passage>, String> {
    let mut out = Vec::with_capacity(TOPICS.len() * 14 * ASPECTS.len());
    for (name, text) in TOPICS {
        let document = Document::parse(name, text).map_err(|problems| problems.to_string())?;
        for topic in document.root().as_seq().ok_or_else(|| format!("{name}: expected a list of topics"))? {
            for aspect in &ASPECTS {
                out.push(passage(topic, aspect).map_err(|missing| format!("{name}: {missing}"))?);
            }
        }
    }
    Ok(out)
}

fn passage(topic: &Node, aspect: &Aspect) -> Result<Passage, String> {
    let text = |key: &str| {
        topic.get(key).and_then(Node::as_str).ok_or_else(|| format!("{} has no {key}", topic.describe()))
    };
    let name = text("topic")?;
    let slug: String = name.chars().map(|c| if c == ' ' { '-' } else { c }).collect();
    Ok(Passage {
        id: format!("{slug}:{}", aspect.key),
        title: aspect.title.replace("{}", name),
        text: format!("{} {}", text(aspect.key)?, aspect.context),
        access: aspect.access,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn there_are_five_hundred_distinct_passages() {
        let passages = passages().unwrap();
        assert!(passages.len() >= 500, "{}", passages.len());
        let distinct = |part: fn(&Passage) -> &str| passages.iter().map(part).collect::<HashSet<_>>().len();
        assert_eq!((distinct(|p| &p.id), distinct(|p| &p.text)), (passages.len(), passages.len()));
        for role in Role::ALL {
            assert!(passages.iter().filter(|p| p.access == role).count() >= 50, "{role:?}");
        }
        for passage in &passages {
            assert!(passage.text.len() > 80 && !passage.title.contains('{'), "{passage:?}");
        }
    }
}
