//! An instant vector over a grid: labels known at once, columns computed when asked for. Invariant: `series`
//! is fixed before any sample is read, so that grouping and matching are decided once for all steps.

use std::{borrow::Cow, sync::Arc};

use assay_model::{Labels, METRIC_NAME};
use hashbrown::HashMap;

use super::{
    EvalError,
    context::{Context, LABELS_COST, Worker},
    limits::{Held, Size},
    notes::{Notes, Site},
    points::{Points, Scalars},
};

/// A series of a vector.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) labels: Labels,
    /// Whether the metric's name goes in the end; until then it can still be grouped and matched by.
    pub(crate) drop_name: bool,
}

/// Computes the column of a series.
pub(crate) type ColumnFn<'e> =
    Box<dyn Fn(usize, &mut Worker) -> Result<Points, EvalError> + Send + Sync + 'e>;

/// Columns that are there, and what they hold of the query's budget.
pub(crate) struct Ready {
    points: Vec<Points>,
    _held: Option<Held>,
}

impl std::ops::Deref for Ready {
    type Target = Vec<Points>;

    fn deref(&self) -> &Vec<Points> {
        &self.points
    }
}

enum Columns<'e> {
    Ready(Arc<Ready>),
    Lazy(ColumnFn<'e>),
}

/// How many operators deep columns may be computed when asked for. Beyond, they are computed at once, so that what
/// lies under them can go.
const DEEPEST: usize = 8;

/// An instant vector.
pub(crate) struct Vector<'e> {
    pub(crate) series: Vec<Meta>,
    columns: Columns<'e>,
    /// How many lazy vectors lie under this one.
    depth: usize,
}

/// What a node evaluates to.
pub(crate) enum Output<'e> {
    Scalar(Scalars),
    Text(String),
    Vector(Vector<'e>),
}

impl<'e> Vector<'e> {
    /// A vector without series.
    pub(crate) fn empty() -> Self {
        Self::small(Vec::new(), Vec::new())
    }

    /// A few columns that are there, too small to count.
    pub(crate) fn small(series: Vec<Meta>, columns: Vec<Points>) -> Self {
        Self::shared(series, Arc::new(Ready { points: columns, _held: None }))
    }

    /// A vector whose columns are there.
    pub(crate) fn ready(
        ctx: &Context<'_>,
        series: Vec<Meta>,
        columns: Vec<Points>,
    ) -> Result<Self, EvalError> {
        let held = ctx.hold(Size::default())?;
        for points in &columns {
            held.grow(Size::points(points))?;
        }
        Ok(Self::shared(series, Arc::new(Ready { points: columns, _held: Some(held) })))
    }

    /// A vector whose columns others use too.
    pub(crate) fn shared(series: Vec<Meta>, columns: Arc<Ready>) -> Self {
        debug_assert_eq!(series.len(), columns.len());
        Self { series, columns: Columns::Ready(columns), depth: 0 }
    }

    /// A vector whose columns are computed when asked for, from what lies up to `depth` lazy vectors deep.
    pub(crate) fn lazy(
        series: Vec<Meta>,
        depth: usize,
        column: impl Fn(usize, &mut Worker) -> Result<Points, EvalError> + Send + Sync + 'e,
    ) -> Self {
        Self { series, columns: Columns::Lazy(Box::new(column)), depth: depth + 1 }
    }

    /// How many lazy vectors deep this one is.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The column of a series.
    pub(crate) fn column(&self, i: usize, worker: &mut Worker) -> Result<Cow<'_, Points>, EvalError> {
        match &self.columns {
            Columns::Ready(columns) => Ok(Cow::Borrowed(&columns[i])),
            Columns::Lazy(f) => f(i, worker).map(Cow::Owned),
        }
    }

    /// The same series with their columns changed by `f`, which may look at the series.
    pub(crate) fn map(
        self,
        f: impl Fn(&Meta, &mut Points, &mut Worker) -> Result<(), EvalError> + Send + Sync + 'e,
    ) -> Self {
        let series = self.series.clone();
        Self::lazy(series, self.depth, move |i, worker| {
            let mut points = self.column(i, worker)?.into_owned();
            f(&self.series[i], &mut points, worker)?;
            Ok(points)
        })
    }

    /// The same, each series losing its name in the end.
    pub(crate) fn drop_names(mut self) -> Self {
        for meta in &mut self.series {
            meta.drop_name = true;
        }
        self
    }

    /// Every column, computed on all cores.
    pub(crate) fn columns(&self, ctx: &Context<'_>, notes: &mut Notes) -> Result<Arc<Ready>, EvalError> {
        match &self.columns {
            Columns::Ready(columns) => Ok(columns.clone()),
            Columns::Lazy(f) => {
                let held = ctx.hold(Size::default())?;
                let points = ctx.parallel(self.series.len(), notes, |i, worker| {
                    let points = f(i, worker)?;
                    held.grow(Size::points(&points))?;
                    Ok(points)
                })?;
                Ok(Arc::new(Ready { points, _held: Some(held) }))
            }
        }
    }

    /// The vector with its columns there.
    pub(crate) fn materialize(self, ctx: &Context<'_>, notes: &mut Notes) -> Result<Self, EvalError> {
        let columns = self.columns(ctx, notes)?;
        Ok(Self::shared(self.series, columns))
    }

    /// The vector, with its columns there if it is many lazy vectors deep.
    pub(crate) fn shallow(self, ctx: &Context<'_>, notes: &mut Notes) -> Result<Self, EvalError> {
        if self.depth > DEEPEST { self.materialize(ctx, notes) } else { Ok(self) }
    }

    /// Joins series with the same labels, which must not have samples at the same step.
    pub(crate) fn merge_duplicates(
        self,
        ctx: &Context<'_>,
        site: Site,
        notes: &mut Notes,
    ) -> Result<Self, EvalError> {
        let owner: Vec<usize> = {
            let mut first: HashMap<&Labels, usize> = HashMap::with_capacity(self.series.len());
            self.series.iter().enumerate().map(|(i, m)| *first.entry(&m.labels).or_insert(i)).collect()
        };
        if owner.iter().enumerate().all(|(i, first)| i == *first) {
            return Ok(self);
        }
        let columns = self.columns(ctx, notes)?;
        let mut merged: Vec<(usize, Points)> = Vec::new();
        let mut at: HashMap<usize, usize> = HashMap::new();
        let first_step = |p: &Points| (0..p.values.len()).find(|s| p.has(*s)).unwrap_or(usize::MAX);
        for (i, points) in columns.iter().enumerate() {
            ctx.check()?;
            match at.get(&owner[i]) {
                Some(&slot) => {
                    // Whether the name is dropped is up to the one that has the first sample.
                    let earlier = first_step(points) < first_step(&merged[slot].1);
                    if !merged[slot].1.merge(points) {
                        return Err(ctx.duplicate(site));
                    }
                    if earlier {
                        merged[slot].0 = i;
                    }
                }
                None => {
                    at.insert(owner[i], merged.len());
                    merged.push((i, points.clone()));
                }
            }
        }
        let (owners, columns): (Vec<usize>, Vec<Points>) = merged.into_iter().unzip();
        Self::ready(ctx, owners.into_iter().map(|i| self.series[i].clone()).collect(), columns)
    }

    /// Removes the names that operators and functions dropped.
    pub(crate) fn clean_names(
        mut self,
        ctx: &Context<'_>,
        site: Site,
        notes: &mut Notes,
    ) -> Result<Self, EvalError> {
        let mut pace = ctx.pace();
        for meta in self.series.iter_mut().filter(|m| m.drop_name) {
            pace.spend(LABELS_COST + meta.labels.as_bytes().len())?;
            meta.labels = meta.labels.without(is_metadata);
            meta.drop_name = false;
        }
        self.merge_duplicates(ctx, site, notes)
    }
}

/// The labels that say what a metric is, and that go with its name.
pub(crate) fn is_metadata(label: &str) -> bool {
    matches!(label, METRIC_NAME | "__type__" | "__unit__")
}
