//! Selection over blocks and memory at once. Invariant: results are sorted by labels, each label set once,
//! and its parts are in the order of the sources.

use std::collections::BTreeSet;

use assay_model::{Exemplar, Labels, Matcher, QueryError, Selected, Series};

use super::read::{MergedSeries, Part, PartChunks};
use crate::{block::Block, error::Result, head::store::Store, postings::resolve};

/// Everything that is searched: blocks by their first time, then what is in memory.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'q> {
    pub(crate) blocks: &'q [Block],
    pub(crate) head: &'q Store,
}

impl<'q> Sources<'q> {
    pub(crate) fn select(self, matchers: &[Matcher], start: i64, end: i64) -> Result<Vec<MergedSeries<'q>>> {
        let mut found = Vec::new();
        let mut searched = 0;
        for block in self.blocks {
            if block.meta.min_time <= end && block.meta.max_time >= start {
                let before = found.len();
                select_block(block, matchers, (start, end), &mut found)?;
                searched += usize::from(found.len() > before);
            }
        }
        let before = found.len();
        self.select_head(matchers, (start, end), &mut found)?;
        searched += usize::from(found.len() > before);
        if searched > 1 {
            found.sort_by(|a, b| a.labels.cmp(&b.labels));
            found.dedup_by(|next, kept| {
                let same = next.labels == kept.labels;
                if same {
                    kept.parts.append(&mut next.parts);
                }
                same
            });
        }
        Ok(found)
    }

    fn select_head(
        self,
        matchers: &[Matcher],
        range: (i64, i64),
        out: &mut Vec<MergedSeries<'q>>,
    ) -> Result<()> {
        for id in resolve(self.head, matchers)? {
            let Some(series) = self.head.get(id) else { continue };
            let mut parts = Vec::new();
            for chunks in [&series.chunks, &series.late] {
                if chunks.iter().any(|c| c.min_t <= range.1 && c.max_t >= range.0) {
                    parts.push(Part { chunks: PartChunks::Memory(chunks), deleted: &series.deleted });
                }
            }
            if !parts.is_empty() {
                out.push(MergedSeries { labels: series.labels.clone(), parts });
            }
        }
        Ok(())
    }

    pub(crate) fn boxed(self, matchers: &[Matcher], start: i64, end: i64) -> Selected<'q> {
        let found = self.select(matchers, start, end).map_err(QueryError::new)?;
        Ok(found.into_iter().map(|s| -> Box<dyn Series + 'q> { Box::new(s) }).collect())
    }

    /// Names in the blocks that overlap a time, and in memory if it does: Prometheus' answer, too, is by block.
    pub(crate) fn label_names(self, matchers: &[Matcher], range: (i64, i64)) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for block in self.blocks_within(range) {
            if matchers.is_empty() {
                names.extend(block.index.names().map(str::to_owned));
            }
            for labels in labels_of(block, matchers) {
                names.extend(labels?.iter().map(|(name, _)| name.to_owned()));
            }
        }
        if self.head_within(range) {
            if matchers.is_empty() {
                names.extend(self.head.names().map(str::to_owned));
            }
            for labels in self.head_labels(matchers)? {
                names.extend(labels.iter().map(|(name, _)| name.to_owned()));
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Values, likewise.
    pub(crate) fn label_values(
        self,
        name: &str,
        matchers: &[Matcher],
        range: (i64, i64),
    ) -> Result<Vec<String>> {
        let mut values = BTreeSet::new();
        for block in self.blocks_within(range) {
            if matchers.is_empty() {
                values.extend(block.index.values(name)?.into_iter().map(str::to_owned));
            }
            for labels in labels_of(block, matchers) {
                values.extend(labels?.get(name).map(str::to_owned));
            }
        }
        if self.head_within(range) {
            if matchers.is_empty() {
                values.extend(self.head.values(name).map(str::to_owned));
            }
            for labels in self.head_labels(matchers)? {
                values.extend(labels.get(name).map(str::to_owned));
            }
        }
        Ok(values.into_iter().collect())
    }

    fn blocks_within(self, (start, end): (i64, i64)) -> impl Iterator<Item = &'q Block> {
        self.blocks.iter().filter(move |b| b.meta.min_time <= end && b.meta.max_time > start)
    }

    fn head_within(self, (start, end): (i64, i64)) -> bool {
        (start, end) == (i64::MIN, i64::MAX)
            || self.head.time_range().is_some_and(|(first, last)| first <= end && last >= start)
    }

    /// The label sets in memory that match; none without matchers, which need no look at series.
    fn head_labels(self, matchers: &[Matcher]) -> Result<Vec<&'q Labels>> {
        let ids = if matchers.is_empty() { Vec::new() } else { resolve(self.head, matchers)? };
        Ok(ids.into_iter().filter_map(|id| self.head.get(id)).map(|series| &series.labels).collect())
    }

    pub(crate) fn exemplars(
        self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>> {
        let mut out = Vec::new();
        for id in resolve(self.head, matchers)? {
            let Some(series) = self.head.get(id) else { continue };
            let inside =
                series.exemplars.iter().filter(|e| e.t_ms.is_some_and(|t| (start..=end).contains(&t)));
            let list: Vec<_> = inside.cloned().collect();
            if !list.is_empty() {
                out.push((series.labels.clone(), list));
            }
        }
        Ok(out)
    }
}

/// The label sets of a block that match; none without matchers.
fn labels_of(block: &Block, matchers: &[Matcher]) -> Vec<Result<Labels>> {
    if matchers.is_empty() {
        return Vec::new();
    }
    match resolve(&block.index, matchers) {
        Ok(ids) => ids.into_iter().map(|id| Ok(block.index.series(id)?.0)).collect(),
        Err(e) => vec![Err(e)],
    }
}

fn select_block<'q>(
    block: &'q Block,
    matchers: &[Matcher],
    (start, end): (i64, i64),
    out: &mut Vec<MergedSeries<'q>>,
) -> Result<()> {
    for id in resolve(&block.index, matchers)? {
        let (labels, mut chunks) = block.index.series(id)?;
        chunks.retain(|c| c.min_t <= end && c.max_t >= start);
        if !chunks.is_empty() {
            let part = Part { chunks: PartChunks::Block(block, chunks), deleted: block.deleted(id) };
            out.push(MergedSeries { labels, parts: vec![part] });
        }
    }
    Ok(())
}
