//! From a question to the model's answer: embed, search, prompt, generate.
//!
//! Invariant: every stage is timed and spanned whether it succeeds or not, waits in a bounded queue, and ends within its
//! timeout with a failure that names it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use super::{
    embed::Vector,
    failure::Failure,
    faults::{Faults, Kind},
    gate::Gate,
    llm::{Event, Events, Llm, Request, Usage},
    metrics::{COLLECTION, Metrics, Names, Now, Stage, Trace},
    options::ServiceOptions,
    parts::{Opened, Parts},
    patients::Patient,
    profile::Draw,
    prompt,
    role::Role,
    search::Hit,
};

/// What requests share.
pub(crate) struct Pipeline {
    pub(crate) metrics: Metrics,
    pub(crate) parts: Parts,
    pub(crate) llm: Llm,
    pub(crate) faults: Arc<Faults>,
    embed_gate: Gate,
    search_gate: Gate,
    rng: Mutex<SmallRng>,
    options: Arc<ServiceOptions>,
}

/// A passage that an answer was drawn from.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) score: f32,
}

/// A question.
pub(crate) struct Question<'a> {
    pub(crate) role: Role,
    pub(crate) text: &'a str,
    pub(crate) patient: &'a Patient,
    pub(crate) k: usize,
    pub(crate) trace: &'a Trace,
}

/// An answer on its way.
pub(crate) struct Answer {
    pub(crate) sources: Arc<[Source]>,
    pub(crate) prompt_tokens: u32,
    pub(crate) events: Events,
    /// When it was asked of the model; `None` when no model was asked.
    pub(crate) asked: Option<Instant>,
    /// The span of the generation.
    pub(crate) span: Span,
    /// After how many tokens the stream fails on purpose.
    pub(crate) breaks_after: Option<u32>,
}

/// How a stage's time is made.
struct Pace {
    drawn: Option<Duration>,
    factor: f64,
}

impl Pipeline {
    /// The pipeline with its parts not yet opened. The model starts on the current Tokio runtime.
    ///
    /// # Errors
    /// When the options make no client of the model's server.
    pub(crate) fn new(options: Arc<ServiceOptions>) -> Result<Self, String> {
        let faults = Arc::new(Faults::default());
        faults.plant(&options.faults, None);
        let profile = &options.profile;
        let llm = Llm::start(&profile.llm, options.llm.as_ref(), &faults, options.seed)?;
        let names = Names {
            model: llm.name(),
            provider: llm.provider(),
            db_system: if options.cyborgdb.is_some() { "cyborgdb" } else { "in-process" },
        };
        let gate = |stage, slots| Gate::new(stage, slots, options.limits.waiting);
        Ok(Self {
            metrics: Metrics::new(&names, options.classic_buckets),
            parts: Parts::new()?,
            llm,
            faults,
            embed_gate: gate(Stage::Embed, profile.slots.embed),
            search_gate: gate(Stage::Search, profile.slots.search),
            rng: Mutex::new(SmallRng::seed_from_u64(options.seed)),
            options,
        })
    }

    /// What `/metrics` reads at the time of a scrape.
    pub(crate) fn now(&self) -> Now {
        Now {
            llm: self.llm.load(),
            passages: self.parts.passages.len(),
            ready: self.parts.status(),
            faults: self.faults.list(),
        }
    }

    /// What embeds and searches.
    ///
    /// # Errors
    /// When it is not there yet.
    pub(crate) fn opened(&self) -> Result<&Opened, Failure> {
        let away = || Failure::NotReady { waits_for: self.parts.away().join(", ") };
        self.parts.opened().ok_or_else(away)
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut SmallRng) -> T) -> T {
        f(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the stages of the next request take.
    pub(crate) fn draw(&self) -> Draw {
        self.with_rng(|rng| self.options.profile.draw(rng))
    }

    /// What the simulated model says to a chat.
    pub(crate) fn chat_answer(&self, length: Option<usize>) -> Vec<String> {
        self.with_rng(|rng| prompt::chat(&self.parts.passages, length, rng))
    }

    /// Everything up to the model's first event.
    ///
    /// # Errors
    /// When a stage fails.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let draw = self.draw();
        let mut vectors = self.embed(vec![question.text.to_owned()], draw.embed, question.trace).await?;
        let nothing = || Failure::Unavailable { stage: Stage::Embed, cause: "no vector came".to_owned() };
        let vector = vectors.pop().ok_or_else(nothing)?;
        let hits = self.search(vector, question.role, question.k, draw.search, question.trace).await?;
        if hits.is_empty() {
            return Ok(nothing_found());
        }
        let start = Instant::now();
        let prompt = info_span!("prompt", "rag.stage" = "prompt").in_scope(|| {
            let found: Vec<_> = hits.iter().filter_map(|hit| self.parts.passages.get(hit.passage)).collect();
            self.with_rng(|rng| prompt::build(question.text, question.patient, &found, rng))
        });
        self.metrics.stage(Stage::Prompt, start.elapsed(), question.trace);
        let request = Request {
            messages: prompt.messages,
            prompt_tokens: prompt.tokens,
            answer: prompt.answer,
            max_tokens: None,
            time: draw.generate,
        };
        let mut answer = self.generate(request, question.trace).await?;
        answer.sources = self.sources(&hits);
        Ok(answer)
    }

    /// Vectors of texts, in order.
    ///
    /// # Errors
    /// When the stage fails.
    pub(crate) async fn embed(
        &self,
        texts: Vec<String>,
        drawn: Option<Duration>,
        trace: &Trace,
    ) -> Result<Vec<Vector>, Failure> {
        let opened = self.opened()?;
        let model = opened.embedder.model.name();
        let span = info_span!(
            "embed",
            otel.name = format!("embeddings {model}"),
            otel.status_code = Empty,
            error.type = Empty,
            "rag.stage" = "embed",
            "gen_ai.operation.name" = "embeddings",
            "gen_ai.provider.name" = "assay",
            "gen_ai.request.model" = model,
            "gen_ai.embeddings.dimension.count" = super::embed::DIMENSIONS as i64,
        );
        let work = async { opened.embedder.embed(texts).await.map_err(|cause| cause.to_string()) };
        let done = self.stage(Stage::Embed, &self.embed_gate, drawn, trace, work).instrument(span).await;
        done.map(|(vectors, _)| vectors)
    }

    /// The passages nearest to a vector that the role may read and that are about it, the nearest first.
    ///
    /// # Errors
    /// When the stage fails.
    pub(crate) async fn search(
        &self,
        vector: Vector,
        role: Role,
        k: usize,
        drawn: Option<Duration>,
        trace: &Trace,
    ) -> Result<Vec<Hit>, Failure> {
        let opened = self.opened()?;
        let span = info_span!(
            "search",
            otel.name = format!("retrieval {COLLECTION}"),
            otel.status_code = Empty,
            error.type = Empty,
            "rag.stage" = "search",
            "gen_ai.operation.name" = "retrieval",
            "gen_ai.data_source.id" = COLLECTION,
            "gen_ai.retrieval.top_k" = k as i64,
        );
        let work = async {
            // Made here, so that its parent is the stage's span.
            let query = info_span!(
                "query",
                otel.name = format!("query {COLLECTION}"),
                otel.kind = "client",
                "db.system.name" = opened.search.system(),
                "db.collection.name" = COLLECTION,
                "db.operation.name" = "query",
            );
            let found = opened.search.nearest(vector, role, k).instrument(query).await;
            found.map_err(|cause| cause.to_string())
        };
        let searched = self.stage(Stage::Search, &self.search_gate, drawn, trace, work).instrument(span);
        let (mut hits, took) = searched.await?;
        self.metrics.db(took, trace);
        let least = self.options.min_score.unwrap_or_else(|| opened.embedder.model.threshold());
        hits.retain(|hit| hit.score >= least);
        Ok(hits)
    }

    /// The model's answer, from its queue on.
    ///
    /// # Errors
    /// When the queue is full, or the model is away.
    pub(crate) async fn generate(&self, request: Request, trace: &Trace) -> Result<Answer, Failure> {
        let span = info_span!(
            "generate",
            otel.name = format!("chat {}", self.llm.name()),
            otel.kind = "client",
            otel.status_code = Empty,
            error.type = Empty,
            "rag.stage" = "generate",
            "gen_ai.operation.name" = "chat",
            "gen_ai.provider.name" = self.llm.provider(),
            "gen_ai.request.model" = self.llm.name(),
            "gen_ai.request.stream" = true,
            "gen_ai.usage.input_tokens" = Empty,
            "gen_ai.usage.output_tokens" = Empty,
            "gen_ai.response.time_to_first_chunk" = Empty,
        );
        let asked = Instant::now();
        let prompt_tokens = request.prompt_tokens;
        let output_tokens = request.answer.len() as u32;
        let begin = async {
            let (fails, stall) =
                self.with_rng(|rng| (self.faults.happens(Kind::Errors, rng), self.faults.stall(rng)));
            if let Some(stall) = stall {
                tokio::time::sleep(stall).await;
            }
            if fails {
                return Err(Failure::Planted { stage: Stage::Generate });
            }
            self.llm.generate(request).await
        };
        let breaks = self.with_rng(|rng| self.faults.happens(Kind::StreamErrors, rng));
        match begin.instrument(span.clone()).await {
            Ok(events) => Ok(Answer {
                sources: Arc::new([]),
                prompt_tokens,
                events,
                asked: Some(asked),
                span,
                breaks_after: breaks.then_some(output_tokens / 2),
            }),
            Err(failure) => {
                self.failed(Stage::Generate, &failure, &span);
                self.metrics.stage(Stage::Generate, asked.elapsed(), trace);
                Err(failure)
            }
        }
    }

    /// A stage has failed: its span says so, and its part is taken to be away when it may be.
    pub(crate) fn failed(&self, stage: Stage, failure: &Failure, span: &Span) {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", failure.class());
        if matches!(failure, Failure::Unavailable { .. }) {
            self.parts.report(stage, false);
        }
    }

    /// Runs a stage: its queue, its work, its pace, its timeout, its time. Yields what came and how long that took
    /// without the wait for a slot.
    async fn stage<T>(
        &self,
        stage: Stage,
        gate: &Gate,
        drawn: Option<Duration>,
        trace: &Trace,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<(T, Duration), Failure> {
        let start = Instant::now();
        let after = self.options.timeouts.of(stage);
        let pace = Pace { drawn, factor: self.faults.factor(stage) };
        let staged = timeout(after, async {
            let _slot = gate.enter().await?;
            let begun = Instant::now();
            let done = work.await.map_err(|cause| Failure::Unavailable { stage, cause })?;
            pace.wait(begun).await;
            Ok((done, begun.elapsed()))
        });
        let result = staged.await.unwrap_or(Err(Failure::Timeout { stage, after }));
        self.metrics.stage(stage, start.elapsed(), trace);
        match &result {
            Ok(_) => self.parts.report(stage, true),
            Err(failure) => self.failed(stage, failure, &Span::current()),
        }
        result
    }

    /// The passages of some hits, as answers name them.
    pub(crate) fn sources(&self, hits: &[Hit]) -> Arc<[Source]> {
        let source = |hit: &Hit| {
            let passage = self.parts.passages.get(hit.passage)?;
            Some(Source { id: passage.id.clone(), title: passage.title.clone(), score: hit.score })
        };
        hits.iter().filter_map(source).collect()
    }
}

impl Pace {
    /// Waits until the stage has taken its time: what it took by itself at least, the drawn time at least, and a planted
    /// factor times that.
    async fn wait(&self, begun: Instant) {
        let own = begun.elapsed();
        let whole = self.drawn.unwrap_or(own).max(own).mul_f64(self.factor.max(0.0));
        if whole > own {
            sleep_until(begun + whole).await;
        }
    }
}

/// An answer that says that there is none; no model is asked.
fn nothing_found() -> Answer {
    let tokens = prompt::tokenize(prompt::NOTHING_FOUND);
    let usage = Usage { prompt_tokens: 0, output_tokens: tokens.len() as u32, cut: false };
    let (sender, events) = mpsc::channel(tokens.len() + 1);
    for event in tokens.into_iter().map(Event::Token).chain([Event::End(usage)]) {
        // The channel holds them all.
        let _ = sender.try_send(Ok(event));
    }
    Answer {
        sources: Arc::new([]),
        prompt_tokens: 0,
        events,
        asked: None,
        span: Span::none(),
        breaks_after: None,
    }
}
