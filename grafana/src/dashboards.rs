//! The dashboards. One a file; [`all`] lists them.

mod run;

use crate::model::Dashboard;

/// Every dashboard.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    vec![run::dashboard()]
}
