//! One virtual user: its identity, what it knows, its connections.
//!
//! Invariant: a user lives as long as the run; it is lent to the task that drives it and comes back even
//! when that task is cut short.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use minijinja::{
    Error, State,
    value::{Object, Value},
};
use rand::{SeedableRng, rngs::SmallRng};

use super::{exchange::Secrets, request::cookies::Jar, shard::Shard};
use crate::{
    client::{connection::Connection, origin::Origin},
    scenario::{
        Ahead, DataSet, RenderError, Rows, Scenario,
        template::functions::{self, Chance, Function},
        tokenizer::Tokenizer,
    },
    seed::mix,
    timer::{Slot, Timer},
};

/// A virtual user.
pub(crate) struct User {
    pub(crate) index: u32,
    pub(crate) rng: SmallRng,
    pub(crate) slot: Slot,
    pub(crate) context: Arc<Context>,
    pub(crate) connections: Vec<(Arc<Origin>, Connection)>,
    pub(crate) cookies: Jar,
    pub(crate) is_set_up: bool,
    /// The flow of its kind.
    pub(crate) flow: usize,
    /// The trace of the iteration that is on, where there are traces.
    pub(crate) trace: Option<crate::trace::Context>,
}

/// Where the users of a run are in a data file.
#[derive(Debug)]
enum Cursor {
    /// The row that comes next.
    Memory(AtomicU64),
    File(Ahead),
}

impl Cursor {
    fn of(set: &DataSet, shard: Shard) -> io::Result<Self> {
        match &set.rows {
            Rows::Memory(_) => Ok(Self::Memory(AtomicU64::new(0))),
            Rows::File { path, format } => {
                let (first, step) = (u64::from(shard.index()), u64::from(shard.count()));
                Ahead::start(path, *format, first, step).map(Self::File)
            }
        }
    }
}

/// What all users of a run share for their templates.
#[derive(Debug)]
pub(crate) struct SharedData {
    /// Each data set, with the row that comes next.
    sets: Vec<(Arc<DataSet>, Cursor)>,
    environment: Value,
    /// Values of secret variables and captures, which are not shown.
    secrets: Secrets,
    /// What the steps before the run captured or set.
    run_names: OnceLock<Vec<(String, Value)>>,
    /// The model's tokenizer.
    tokenizer: Option<Arc<Tokenizer>>,
    seed: u64,
    shard: Shard,
}

impl SharedData {
    pub(crate) fn new(
        scenario: &Scenario,
        environment: &[(String, String)],
        seed: u64,
        shard: Shard,
        secrets: Secrets,
    ) -> io::Result<Arc<Self>> {
        let sets = scenario.data.iter().map(|s| Ok((Arc::clone(s), Cursor::of(s, shard)?)));
        let sets = sets.collect::<io::Result<Vec<_>>>()?;
        let variables = EnvironmentVariables { own: environment.to_vec(), secrets: secrets.clone() };
        let own = Value::from_object(variables);
        Ok(Arc::new(Self {
            sets,
            environment: own,
            secrets,
            run_names: OnceLock::new(),
            tokenizer: scenario.tokenizer.clone(),
            seed,
            shard,
        }))
    }

    /// The values that are not shown.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Makes what the steps before the run captured or set known to all users; the first time counts.
    pub(crate) fn publish(&self, names: Vec<(String, Value)>) {
        let _ = self.run_names.set(names);
    }
}

impl User {
    /// User `index` of the run.
    ///
    /// # Errors
    /// Where one of the user's variables cannot be computed.
    pub(crate) fn new(
        index: u32,
        scenario: &Scenario,
        shared: &Arc<SharedData>,
        timer: &Timer,
    ) -> Result<Self, RenderError> {
        let seed = mix(shared.seed ^ mix(u64::from(index) + 1));
        let context = Arc::new(Context {
            number: index + 1,
            iteration: AtomicU64::new(0),
            random: AtomicU64::new(mix(seed)),
            names: Mutex::default(),
            shared: Arc::clone(shared),
        });
        let kind = &scenario.users[kind_of(scenario, index)];
        let value = Value::from_dyn_object(Arc::clone(&context));
        for (name, text) in &kind.vars {
            context.set(name, text.value(&value)?);
        }
        Ok(Self {
            index,
            rng: SmallRng::seed_from_u64(seed),
            slot: timer.slot(),
            context,
            connections: Vec::new(),
            cookies: Jar::default(),
            is_set_up: scenario.setup.is_empty(),
            flow: kind.flow,
            trace: None,
        })
    }

    /// The connection to an origin, taken out so that a task that is cut short takes it along.
    pub(crate) fn take_connection(&mut self, origin: &Arc<Origin>) -> Option<(Arc<Origin>, Connection)> {
        // Of the same `Arc` nothing but the address is compared.
        let at = self.connections.iter().position(|(o, _)| o == origin)?;
        Some(self.connections.swap_remove(at))
    }
}

/// The kind of user `index`: kinds are dealt out evenly by weight, so that any number of users in a row has
/// the shares that the weights ask for as nearly as possible.
fn kind_of(scenario: &Scenario, index: u32) -> usize {
    let weights: Vec<u64> = scenario.users.iter().map(|k| u64::from(k.weight)).collect();
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let mut given = vec![0u64; weights.len()];
    let mut kind = 0;
    for n in 1..=u64::from(index) % total + 1 {
        // The kind that is furthest behind its share.
        kind = (0..weights.len())
            .max_by_key(|&k| {
                let behind =
                    i128::from(weights[k]) * i128::from(n) - i128::from(given[k]) * i128::from(total);
                (behind, std::cmp::Reverse(k))
            })
            .unwrap_or(0);
        given[kind] += 1;
    }
    kind
}

/// What a user's templates see.
#[derive(Debug)]
pub(crate) struct Context {
    number: u32,
    iteration: AtomicU64,
    random: AtomicU64,
    names: Mutex<Vec<(String, Value)>>,
    shared: Arc<SharedData>,
}

impl Context {
    /// Sets a name.
    pub(crate) fn set(&self, name: &str, value: Value) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => names.push((name.to_owned(), value)),
        }
    }

    /// What was captured or set so far.
    pub(crate) fn names(&self) -> Vec<(String, Value)> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an iteration.
    pub(crate) fn next_iteration(&self) {
        self.iteration.fetch_add(1, Ordering::Relaxed);
    }

    fn draw(&self, below: usize) -> usize {
        self.below(below as u64) as usize
    }
}

impl Chance for Context {
    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.shared.tokenizer.as_deref()
    }

    fn next(&self) -> u64 {
        mix(self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }
}

/// A function of templates, with the user that calls it.
#[derive(Debug)]
struct Call {
    context: Arc<Context>,
    function: &'static Function,
}

impl Object for Call {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        self.function.call(&*self.context, arguments)
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = names.iter().find(|(n, _)| n == key) {
            return Some(value.clone());
        }
        drop(names);
        match key {
            "env" => return Some(self.shared.environment.clone()),
            "vu" => return Some(Value::from(self.number)),
            "iteration" => return Some(Value::from(self.iteration.load(Ordering::Relaxed))),
            _ => {}
        }
        if let Some((_, value)) = self.shared.run_names.get().into_iter().flatten().find(|(n, _)| n == key) {
            return Some(value.clone());
        }
        if let Some(function) = functions::find(key) {
            return Some(Value::from_object(Call { context: Arc::clone(self), function }));
        }
        let set = self.shared.sets.iter().position(|(s, _)| s.name == key)?;
        Some(Value::from_object(DataView { context: Arc::clone(self), set }))
    }
}

/// A data set as a user sees it.
#[derive(Debug)]
struct DataView {
    context: Arc<Context>,
    set: usize,
}

impl Object for DataView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (set, cursor) = &self.context.shared.sets[self.set];
        let key = key.as_str()?;
        let (rows, next) = match (&set.rows, cursor) {
            (Rows::Memory(rows), Cursor::Memory(next)) => (rows, next),
            (_, Cursor::File(ahead)) => {
                return match key {
                    "random" => ahead.random(|n| self.context.draw(n)),
                    "next" => ahead.next(),
                    "unique" => ahead.unique(),
                    _ => None,
                };
            }
            (Rows::File { .. }, Cursor::Memory(_)) => return None,
        };
        let n = rows.len();
        let take = || self.context.shared.shard.of_rows(next.fetch_add(1, Ordering::Relaxed));
        let row = match key {
            "random" => self.context.draw(n),
            // Rows in order, over all users together, from the start again after the last.
            "next" => (take() % n as u64) as usize,
            // Each row once in a run; after the last it is undefined, which fails the request.
            "unique" => usize::try_from(take()).ok().filter(|i| *i < n)?,
            _ => return None,
        };
        rows.get(row).cloned()
    }
}

/// Environment variables; those given for the run come first. They cannot be listed, so none ends up in a
/// message.
#[derive(Debug)]
struct EnvironmentVariables {
    own: Vec<(String, String)>,
    secrets: Secrets,
}

impl Object for EnvironmentVariables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let own = self.own.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let value = own.or_else(|| std::env::var(name).ok())?;
        self.secrets.note(name, &value);
        Some(Value::from(value))
    }
}
