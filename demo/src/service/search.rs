//! The passages nearest to a question: in process, or in CyborgDB.
//!
//! Invariant: whatever answers, a hit is a passage that the role may read.

pub(crate) mod cyborgdb;
pub(crate) mod exact;

use std::sync::Arc;

use self::{
    cyborgdb::{CyborgDb, CyborgDbOptions},
    exact::Exact,
};
use super::{corpus::Passage, embed::Vector, role::Role};

/// A passage that was found, by its number, and its cosine to the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) passage: usize,
    pub(crate) score: f32,
}

/// Why a search failed: the store is away, slow, or answers nonsense.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SearchError(pub(crate) String);

/// Where passages are searched.
#[derive(Clone)]
pub(crate) enum Search {
    /// In this process.
    Exact(Arc<Exact>),
    /// In CyborgDB.
    CyborgDb(Arc<CyborgDb>),
}

impl Search {
    /// An index over `passages`, filled.
    ///
    /// # Errors
    /// When CyborgDB can't be reached or refuses.
    pub(crate) async fn open(
        passages: &[Passage],
        vectors: &[Vector],
        cyborgdb: Option<&CyborgDbOptions>,
    ) -> Result<Self, SearchError> {
        match cyborgdb {
            None => {
                let access = passages.iter().map(|p| p.access).collect();
                Ok(Self::Exact(Arc::new(Exact::new(access, vectors))))
            }
            Some(options) => {
                let store = CyborgDb::connect(options)?;
                store.fill(passages, vectors).await?;
                Ok(Self::CyborgDb(Arc::new(store)))
            }
        }
    }

    /// The store's name, as `db.system.name` has it.
    pub(crate) fn system(&self) -> &'static str {
        match self {
            Self::Exact(_) => "in-process",
            Self::CyborgDb(_) => "cyborgdb",
        }
    }

    /// The `k` nearest passages that `role` may read, the nearest first.
    ///
    /// # Errors
    /// When the store is away or answers nonsense.
    pub(crate) async fn nearest(
        &self,
        question: Vector,
        role: Role,
        k: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        match self {
            Self::Exact(index) => {
                let index = Arc::clone(index);
                let work = tokio::task::spawn_blocking(move || index.nearest(&question, role, k));
                work.await.map_err(|cause| SearchError(cause.to_string()))
            }
            Self::CyborgDb(store) => store.nearest(&question, role, k).await,
        }
    }

    /// Whether the store answers at all.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn probe(&self) -> Result<(), SearchError> {
        match self {
            Self::Exact(_) => Ok(()),
            Self::CyborgDb(store) => store.probe().await,
        }
    }
}
