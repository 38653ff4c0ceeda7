//! Selection over blocks and memory at once. Invariant: results are sorted by labels, each label set once,
//! and its parts are in the order of the sources.

use std::collections::BTreeSet;

use assay_model::{Exemplar, Labels, Matcher, QueryError, Series};

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

    pub(crate) fn boxed(
        self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
    ) -> Result<Vec<Box<dyn Series + 'q>>, QueryError> {
        let found = self.select(matchers, start, end).map_err(QueryError::new)?;
        Ok(found.into_iter().map(|s| -> Box<dyn Series + 'q> { Box::new(s) }).collect())
    }

    pub(crate) fn label_names(self, matchers: &[Matcher]) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        if matchers.is_empty() {
            names.extend(self.blocks.iter().flat_map(|b| b.index.names()).map(str::to_owned));
            names.extend(self.head.names().map(str::to_owned));
        } else {
            for series in self.select(matchers, i64::MIN, i64::MAX)? {
                names.extend(series.labels.iter().map(|(name, _)| name.to_owned()));
            }
        }
        Ok(names.into_iter().collect())
    }

    pub(crate) fn label_values(self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>> {
        let mut values = BTreeSet::new();
        if matchers.is_empty() {
            for block in self.blocks {
                values.extend(block.index.values(name)?.into_iter().map(str::to_owned));
            }
            values.extend(self.head.values(name).map(str::to_owned));
        } else {
            for series in self.select(matchers, i64::MIN, i64::MAX)? {
                values.extend(series.labels.get(name).map(str::to_owned));
            }
        }
        Ok(values.into_iter().collect())
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
