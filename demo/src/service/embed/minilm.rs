//! MiniLM-L6-v2 by candle, on the processor.
//!
//! Invariant: a text's vector is that of sentence-transformers (mean over the mask, then length 1), whatever
//! shares its batch.

use std::{fs, path::Path};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

use super::{DIMENSIONS, EmbedError, Model, Vector};

/// What sentence-transformers cuts this model's texts to.
const MOST_TOKENS: usize = 256;

/// The model and its tokenizer.
pub struct MiniLm {
    model: BertModel,
    tokenizer: Tokenizer,
    device: Device,
}

impl MiniLm {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` from a directory.
    ///
    /// # Errors
    /// When a file is missing, or is not of a BERT with vectors of 384 numbers; the error names the file.
    pub fn load(dir: &Path) -> Result<Self, EmbedError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|cause| EmbedError(format!("{}: {cause}", path.display())))
        };
        let problem = |name: &str, cause: &dyn std::fmt::Display| {
            EmbedError(format!("{}: {cause}", dir.join(name).display()))
        };
        let config: Config =
            serde_json::from_slice(&read("config.json")?).map_err(|cause| problem("config.json", &cause))?;
        if config.hidden_size != DIMENSIONS {
            let found = format!("hidden_size is {}, expected {DIMENSIONS}", config.hidden_size);
            return Err(problem("config.json", &found));
        }
        let mut tokenizer = Tokenizer::from_bytes(read("tokenizer.json")?)
            .map_err(|cause| problem("tokenizer.json", &cause))?;
        let truncation = TruncationParams { max_length: MOST_TOKENS, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|cause| problem("tokenizer.json", &cause))?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        let device = Device::Cpu;
        let weights = VarBuilder::from_buffered_safetensors(read("model.safetensors")?, DType::F32, &device)
            .map_err(|cause| problem("model.safetensors", &cause))?;
        let model =
            BertModel::load(weights, &config).map_err(|cause| problem("model.safetensors", &cause))?;
        Ok(Self { model, tokenizer, device })
    }

    fn forward(&self, texts: &[&str]) -> Result<Vec<Vector>, Box<dyn std::error::Error + Send + Sync>> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true)?;
        let stack = |part: fn(&tokenizers::Encoding) -> &[u32]| -> candle_core::Result<Tensor> {
            let rows = encodings.iter().map(|e| Tensor::new(part(e), &self.device));
            Tensor::stack(&rows.collect::<candle_core::Result<Vec<_>>>()?, 0)
        };
        let ids = stack(tokenizers::Encoding::get_ids)?;
        let mask = stack(tokenizers::Encoding::get_attention_mask)?;
        // Without the mask, padding would be attended to, and a vector would depend on its batch.
        let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let mean = hidden.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?)?;
        let unit = mean.broadcast_div(&mean.sqr()?.sum_keepdim(1)?.sqrt()?)?;
        let rows = unit.to_vec2::<f32>()?;
        let vector = |row: Vec<f32>| Vector::try_from(row).map_err(|row| format!("{} numbers", row.len()));
        rows.into_iter().map(|row| vector(row).map_err(Into::into)).collect()
    }
}

impl Model for MiniLm {
    fn name(&self) -> &str {
        "all-MiniLM-L6-v2"
    }

    fn threshold(&self) -> f32 {
        0.25
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        // Texts of like length share a batch, so that little is computed for padding.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| texts[*at].len());
        let mut vectors: Vec<Option<Vector>> = vec![None; texts.len()];
        for group in order.chunks(super::LARGEST_BATCH) {
            let batch: Vec<&str> = group.iter().map(|at| texts[*at]).collect();
            let computed = self.forward(&batch).map_err(|cause| EmbedError(cause.to_string()))?;
            for (at, vector) in group.iter().zip(computed) {
                vectors[*at] = Some(vector);
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }

    fn tokens(&self, text: &str) -> usize {
        self.tokenizer
            .encode(text, true)
            .map_or(0, |encoding| encoding.get_attention_mask().iter().map(|m| *m as usize).sum())
    }
}
