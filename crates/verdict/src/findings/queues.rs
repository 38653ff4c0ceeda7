//! Requests that wait: for a slot of the model, for a connection of a pool, or before the service has them.

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{self, Histogram, REQUESTS, Seen, mean, only, times},
};
use crate::{histogram::STAGES, source::SourceError, units};

pub(super) const MODEL: Kind = Kind { id: "Q001", name: "model-queue" };
pub(super) const BEFORE_SERVICE: Kind = Kind { id: "Q002", name: "before-the-service" };
pub(super) const POOL: Kind = Kind { id: "Q003", name: "pool-exhausted" };

/// How many requests may wait for the model on average.
const WAITING: f64 = 0.5;
/// How much longer a request may take for the client than for the service, and by how much in seconds.
const FACTOR: f64 = 1.5;
const LEAST_S: f64 = 0.05;

/// Those of the service's requests that are not about itself.
const SERVED: Histogram<'static> =
    Histogram { matchers: "http_route!~\"/metrics|/health|/ready|/healthz|/readyz\"", ..seen::SERVED };

const QUEUED: &str =
    "sum(avg_over_time(rag_llm_queued[RANGE])) or sum(avg_over_time(vllm:num_requests_waiting[RANGE]))";
const ACTIVE: &str =
    "sum(avg_over_time(rag_llm_active[RANGE])) or sum(avg_over_time(vllm:num_requests_running[RANGE]))";

/// Whether requests wait for the model.
pub(super) fn model_waits(seen: &Seen<'_>) -> Result<bool, SourceError> {
    Ok(seen.number(QUEUED)?.is_some_and(|n| n > WAITING))
}

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    found.extend(model(seen)?);
    for pool in &POOLS {
        found.extend(waits(seen, pool)?);
    }
    found.extend(before_service(seen)?);
    Ok(found)
}

fn model(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let Some(waiting) = seen.number(QUEUED)?.filter(|n| *n > WAITING) else { return Ok(None) };
    let active = seen.number(ACTIVE)?.unwrap_or(0.0);
    let slots = seen.number("sum(max_over_time(rag_llm_slots[RANGE]))")?;
    let of = match slots {
        None => "a slot of the model".to_owned(),
        Some(1.0) => "the only slot of the model".to_owned(),
        Some(n) => format!("one of the {} slots of the model", units::digits(n)),
    };
    let title = format!("On average {} requests wait for {of}", units::digits(waiting));
    // A queue in a phase that keeps what was promised is a queue that was planned for.
    let is_missed = seen.misses(&[Topic::Time, Topic::Throughput]);
    let severity = if is_missed { Severity::Critical } else { Severity::Info };
    let needed = (active + waiting).ceil();
    let share = model_share(seen)?;
    Ok(Some(
        seen.finding(MODEL, "", title)
            .severity(severity)
            .confidence(Confidence::High)
            .shows("requests that wait, on average, against those that are answered", seen.over_window(QUEUED), Some(active), waiting, "")
            .against("Slots that are free while requests wait.")
            .gain(
                format!("Add slots or replicas of the model; about {} at once would leave none waiting, if it can run them as fast.", units::digits(needed)),
                waiting / (waiting + active).max(1e-9) * share.unwrap_or(1.0),
                if share.is_some() { "the mean time of a query" } else { "the time at the model" },
                "Little's law: those that wait against those that are answered, times the model's share of the time of all stages"
                    .to_owned(),
            ),
    ))
}

/// The part of the time of all stages that goes to the model, if the service has stages.
fn model_share(seen: &Seen<'_>) -> Result<Option<f64>, SourceError> {
    let spent = seen.ranked(&STAGES.sum(), "stage")?;
    let total: f64 = spent.iter().map(|(_, v)| v).sum();
    Ok(spent.iter().find(|(stage, _)| stage == "generate").map(|(_, v)| v / total).filter(|v| v.is_finite()))
}

/// How a library counts its pool of connections.
struct Pool {
    /// The label that names the pool.
    label: &'static str,
    /// How many wait for a connection on average, how many are in use, and how many there may be.
    waiting: &'static str,
    used: &'static str,
    most: &'static str,
}

/// OpenTelemetry's conventions, HikariCP, and Go's database/sql, whose counter of waited seconds grows by as many a second as wait
/// (Little's law).
const POOLS: [Pool; 3] = [
    Pool {
        label: "db_client_connection_pool_name",
        waiting: "sum by (db_client_connection_pool_name) (avg_over_time(db_client_connection_pending_requests[RANGE]))",
        used: "sum(avg_over_time(db_client_connection_count{db_client_connection_state=\"used\",OF}[RANGE]))",
        most: "sum(max_over_time(db_client_connection_max{OF}[RANGE]))",
    },
    Pool {
        label: "pool",
        waiting: "sum by (pool) (avg_over_time(hikaricp_connections_pending[RANGE]))",
        used: "sum(avg_over_time(hikaricp_connections_active{OF}[RANGE]))",
        most: "sum(max_over_time(hikaricp_connections_max{OF}[RANGE]))",
    },
    Pool {
        label: "db_name",
        waiting: "sum by (db_name) (rate(go_sql_wait_duration_seconds_total[RANGE]))",
        used: "sum(avg_over_time(go_sql_in_use_connections{OF}[RANGE]))",
        most: "sum(max_over_time(go_sql_max_open_connections{OF}[RANGE]))",
    },
];

/// Requests that wait for a connection of a pool.
fn waits(seen: &Seen<'_>, pool: &Pool) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    for (name, waiting) in seen.ranked(pool.waiting, pool.label)? {
        if waiting <= WAITING {
            continue;
        }
        let of = only(pool.label, &name);
        let used = seen.number(&pool.used.replace("OF", &of))?.unwrap_or(0.0);
        let most = seen.number(&pool.most.replace("OF", &of))?;
        let called = if name.is_empty() { "connections".to_owned() } else { name.clone() };
        let size = most.map_or_else(String::new, |n| format!(" of {}", units::digits(n)));
        let title = format!(
            "On average {} requests wait for a connection of the pool {called}{size}",
            units::digits(waiting)
        );
        let is_missed = seen.misses(&[Topic::Time, Topic::Throughput]);
        found.push(
            seen.finding(POOL, &name, title)
                .severity(if is_missed { Severity::Critical } else { Severity::Info })
                .confidence(Confidence::High)
                .shows("requests that wait for a connection, on average, against those that have one", seen.over_window(pool.waiting), Some(used), waiting, "")
                .against("Connections that are idle while requests wait; or a database that takes no longer when fewer of them are open.")
                .act(format!(
                    "Let the pool have about {} connections if the database can take them; else hold each for a shorter time: one query in place of many, none held during calls to others.",
                    units::digits((used + waiting).ceil())
                )),
        );
    }
    Ok(found)
}

/// What the client waits and the service does not see.
fn before_service(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let (Some(client_s), Some(server_s)) = (seen.number(&REQUESTS.sum())?, seen.number(&SERVED.sum())?)
    else {
        return Ok(None);
    };
    let (Some(sent), Some(served)) = (seen.number(&REQUESTS.count())?, seen.number(&SERVED.count())?) else {
        return Ok(None);
    };
    // Only where both count the same requests.
    if sent < 20.0 || served < 20.0 || (sent / served - 1.0).abs() > 0.2 {
        return Ok(None);
    }
    let (client, server) = (client_s / sent, server_s / served);
    if client < FACTOR * server || client - server < LEAST_S {
        return Ok(None);
    }
    let title = format!("Requests take {} as long for the client as for the service", times(client / server));
    let users = mean(&seen.line("sum(load_users)")?);
    Ok(Some(
        seen.finding(BEFORE_SERVICE, "", title)
            .severity(if seen.misses(&[Topic::Time]) { Severity::Critical } else { Severity::Warning })
            .shows("mean time of a request for the client, against the service's own", String::new(), Some(server), client, "s")
            .shows("users", "sum(load_users)".to_owned(), None, users, "")
            .against("A service that measures only a part of its own time.")
            .gain(
                "Look between the two: accept queue and backlog, a proxy, TLS, the network, a pool of threads in front of the handler.",
                1.0 - server / client,
                "the mean time of a request",
                "the part of the client's mean that the service does not see".to_owned(),
            ),
    ))
}
