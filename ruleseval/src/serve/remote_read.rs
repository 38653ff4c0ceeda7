//! `read`: Prometheus' remote read, samples in one message or chunks in a stream.
//!
//! Source: Prometheus `storage/remote/read_handler.go` v3.14. Invariants: series come sorted; a stream holds one series at a
//! time, and ends when its client leaves or a series cannot be read.

use std::{sync::Arc, time::Instant};

use assay_model::{Column, Labels, QueryError, Queryable as _};
use assay_prom_api::remote_read::{ReadChunk, ReadQuery, ReadRequest, Samples, frame};
use axum::{
    body::{Body, Bytes},
    http::{
        StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Served;

/// How large a frame may grow before the next begins.
const FRAME_BYTES: usize = 1 << 20;
/// How many frames may wait for the client.
const WAITING: usize = 4;
const STREAM: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";

/// The answer to a request's body.
pub(super) async fn read(served: Arc<Served>, body: Bytes) -> Response {
    let request = match ReadRequest::decode(&body) {
        Ok(request) => request,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response(),
    };
    let Ok(permit) = served.settings.gate.clone().acquire_owned().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    if let Err(failure) = served.wait_for_memory(Instant::now() + served.settings.limits.timeout).await {
        return failure.plain();
    }
    if request.chunks {
        return stream(served, request, permit);
    }
    let work = move || {
        let _permit = permit;
        samples(&served, &request.queries)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(body)) => {
            ([(CONTENT_TYPE, "application/x-protobuf"), (CONTENT_ENCODING, "snappy")], body).into_response()
        }
        Ok(Err((status, e))) => (status, format!("{e}\n")).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

/// Calls `each` with every series of a query and its samples, until it says no.
fn each_series(
    served: &Served,
    query: &ReadQuery,
    mut each: impl FnMut(&Labels, &Column) -> bool,
) -> Result<(), QueryError> {
    let view = served.view();
    for series in view.select(&query.matchers, query.start_ms, query.end_ms)? {
        let mut column = Column::default();
        series.read(query.start_ms, query.end_ms, &mut column)?;
        if !column.is_empty() && !each(series.labels(), &column) {
            break;
        }
    }
    Ok(())
}

fn samples(served: &Served, queries: &[ReadQuery]) -> Result<Vec<u8>, (StatusCode, String)> {
    let max = served.settings.limits.max_samples;
    let (mut out, mut count) = (Samples::default(), 0);
    for query in queries {
        let taken = |labels: &Labels, column: &Column| {
            count += column.len();
            out.series(labels, column);
            count <= max
        };
        each_series(served, query, taken).map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
        if count > max {
            return Err((StatusCode::BAD_REQUEST, format!("exceeded sample limit ({max})")));
        }
        out.end_query();
    }
    out.finish().map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e))
}

fn stream(served: Arc<Served>, request: ReadRequest, permit: OwnedSemaphorePermit) -> Response {
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, QueryError>>(WAITING);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        for (i, query) in request.queries.iter().enumerate() {
            let sent = |labels: &Labels, column: &Column| {
                let frames = frames(i, labels, column);
                frames.into_iter().all(|f| sender.blocking_send(Ok(f.into())).is_ok())
            };
            if let Err(e) = each_series(&served, query, sent) {
                // The connection ends before its time, which is how the client learns of it.
                let _ = sender.blocking_send(Err(e));
                return;
            }
        }
    });
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    ([(CONTENT_TYPE, STREAM)], Body::from_stream(frames)).into_response()
}

/// The chunks of a series in frames of about a megabyte at most.
fn frames(query: usize, labels: &Labels, column: &Column) -> Vec<Vec<u8>> {
    let chunks = assay_tsdb::encode(column);
    let (mut out, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for chunk in &chunks {
        bytes += chunk.data().len();
        part.push(ReadChunk { span_ms: chunk.span_ms(), encoding: chunk.encoding(), data: chunk.data() });
        if bytes >= FRAME_BYTES {
            out.push(frame(query, labels, &part));
            (part, bytes) = (Vec::new(), 0);
        }
    }
    if !part.is_empty() {
        out.push(frame(query, labels, &part));
    }
    out
}
