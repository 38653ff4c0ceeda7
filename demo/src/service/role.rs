//! Who may do what: roles and their rights.
//!
//! Invariant: every right is decided here; the rest of the service asks [`Role::may`] and [`Role::reads`].

/// What a person does in the hospital. Each role reads what the ones before it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Asks about care: observations, nursing, teaching, escalation, discharge.
    Nurse,
    /// Treats: reads diagnosis, dosing and interactions too, and may use the models directly.
    Resident,
    /// Runs the service: reads incident reviews and audits too, and may plant faults.
    Admin,
}

/// An action that not everyone may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Asking questions about patients, and searching passages.
    Ask,
    /// Calling the embedding and the language model directly.
    UseModels,
    /// Planting faults.
    PlantFaults,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nurse, Self::Resident, Self::Admin];

    /// The role in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nurse => "nurse",
            Self::Resident => "resident",
            Self::Admin => "admin",
        }
    }

    /// Whether the role has the right.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        match right {
            Right::Ask => true,
            Right::UseModels => self >= Self::Resident,
            Right::PlantFaults => self == Self::Admin,
        }
    }

    /// The least roles of the passages that this role may read.
    pub fn reads(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |access| *access <= self)
    }
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ask, Self::UseModels, Self::PlantFaults];

    /// The right in answers and errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::UseModels => "use-models",
            Self::PlantFaults => "plant-faults",
        }
    }
}
