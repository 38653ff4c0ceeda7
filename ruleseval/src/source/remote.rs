//! A Prometheus-compatible server as a source: Prometheus itself, Thanos, Mimir, VictoriaMetrics. Invariant: an
//! answer is whole or an error; what may pass is tried again, and no secret is in a message.

use std::{sync::Arc, time::Duration};

use assay_model::{Column, FloatHistogram, Labels, Value};
use assay_promql::{Annotation, InstantSample, QueryResult, QueryValue, RangeSeries, Severity};
use assay_run::Auth;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value as Json;
use url::Url;

use super::{Source, SourceError};

/// How to ask a server.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// The server, with its path prefix where it has one.
    pub url: String,
    /// How to log in.
    pub auth: Auth,
    /// Further headers, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is tried that fails for a reason which may pass.
    pub attempts: u32,
}

impl RemoteOptions {
    /// The options for a server that wants no login.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            timeout: Duration::from_secs(120),
            attempts: 5,
        }
    }
}

/// Evaluates on a server.
pub struct RemoteSource {
    client: Client,
    base: Url,
    options: RemoteOptions,
    runtime: tokio::runtime::Runtime,
}

impl RemoteSource {
    /// A source; nothing is asked yet.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn new(options: RemoteOptions) -> Result<Self, SourceError> {
        let bad = |what: String| {
            SourceError::new(format!("{:?}: {what}; write for example http://127.0.0.1:9090", options.url))
        };
        let mut base = Url::parse(&options.url).map_err(|e| bad(e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad("is not the address of a server".to_owned()));
        }
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        // A program that chose a provider keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("ruleseval/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            .build()
            .or_else(|_| Client::builder().timeout(options.timeout).tls_certs_only([]).build())
            .map_err(SourceError::new)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SourceError::new)?;
        Ok(Self { client, base, options, runtime })
    }

    /// Posts a form and gives the answer's whole envelope.
    fn call(&self, path: &str, form: &[(&str, String)]) -> Result<Json, SourceError> {
        // A thread of its own, because the caller may be inside a runtime.
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| self.runtime.block_on(self.ask(path, form)));
            asking.join().unwrap_or_else(|_| Err(SourceError::new("the asking thread panicked")))
        })
    }

    async fn ask(&self, path: &str, form: &[(&str, String)]) -> Result<Json, SourceError> {
        let url = self.base.join(path).map_err(SourceError::new)?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut pause = Duration::from_millis(250);
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .post(url.clone())
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(body.clone());
            match self.attempt(request).await {
                Ok(answer) => return Ok(answer),
                Err((what, may_pass)) if !may_pass || attempt >= self.options.attempts => {
                    return Err(self.error(&what));
                }
                Err((what, _)) => tracing::info!(%what, attempt, "asking again"),
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// One attempt; an error says whether it may pass.
    async fn attempt(&self, request: RequestBuilder) -> Result<Json, (String, bool)> {
        let mut request = match &self.options.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
        };
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|e| (e.without_url().to_string(), true))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| (e.without_url().to_string(), true))?;
        let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        match serde_json::from_slice::<Json>(&body) {
            Ok(answer) if answer["status"] == "success" => Ok(answer),
            Ok(answer) => {
                let what = answer["error"].as_str().unwrap_or("an answer without status");
                Err((format!("{status}: {what}"), passing))
            }
            Err(_) if !status.is_success() => Err((format!("the answer is {status}"), passing)),
            Err(e) => Err((format!("the answer is not JSON: {e}"), true)),
        }
    }

    fn error(&self, what: &str) -> SourceError {
        let mut shown = self.base.clone();
        let _ = (shown.set_username(""), shown.set_password(None));
        SourceError::new(format!("{}: {what}", shown.as_str().trim_end_matches('/')))
    }

    fn read(&self, answer: &Json) -> Result<QueryResult, SourceError> {
        let value = decode(&answer["data"]).ok_or_else(|| self.error("the answer is not that of a query"))?;
        let mut annotations = Vec::new();
        for (key, severity) in [("warnings", Severity::Warning), ("infos", Severity::Info)] {
            for text in answer[key].as_array().into_iter().flatten().filter_map(Json::as_str) {
                annotations.push(Annotation {
                    severity,
                    message: text.to_owned(),
                    span: 0..0,
                    details: String::new(),
                });
            }
        }
        Ok(QueryResult { value, annotations })
    }
}

impl Source for RemoteSource {
    fn instant(&self, expression: &str, t_ms: i64) -> Result<QueryResult, SourceError> {
        let form = [("query", expression.to_owned()), ("time", seconds(t_ms))];
        self.read(&self.call("api/v1/query", &form)?)
    }

    fn range(
        &self,
        expression: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<QueryResult, SourceError> {
        let form = [
            ("query", expression.to_owned()),
            ("start", seconds(start_ms)),
            ("end", seconds(end_ms)),
            ("step", seconds(step_ms)),
        ];
        self.read(&self.call("api/v1/query_range", &form)?)
    }

    fn has_metric(&self, name: &str) -> Result<bool, SourceError> {
        let selector = format!("{{__name__={name:?}}}");
        let answer = self.call("api/v1/series", &[("match[]", selector), ("limit", "1".to_owned())])?;
        Ok(answer["data"].as_array().is_some_and(|list| !list.is_empty()))
    }
}

fn seconds(ms: i64) -> String {
    format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000)
}

fn decode(data: &Json) -> Option<QueryValue> {
    let result = &data["result"];
    Some(match data["resultType"].as_str()? {
        "scalar" => {
            let (t_ms, v) = point(result)?;
            QueryValue::Scalar(t_ms, v)
        }
        "string" => QueryValue::String(time_ms(&result[0])?, result[1].as_str()?.to_owned()),
        "vector" => QueryValue::Vector(result.as_array()?.iter().map(sample).collect::<Option<_>>()?),
        "matrix" => QueryValue::Matrix(result.as_array()?.iter().map(series).collect::<Option<_>>()?),
        _ => return None,
    })
}

fn labels(metric: &Json) -> Option<Labels> {
    let pairs = metric.as_object()?.iter();
    Some(Labels::from_pairs(pairs.map(|(n, v)| (n.as_str(), v.as_str().unwrap_or_default()))))
}

fn time_ms(value: &Json) -> Option<i64> {
    Some((value.as_f64()? * 1e3).round() as i64)
}

fn point(pair: &Json) -> Option<(i64, f64)> {
    Some((time_ms(&pair[0])?, pair[1].as_str()?.parse().ok()?))
}

/// Count and sum: what becomes of a histogram is told by name, its buckets are not needed.
fn histogram(pair: &Json) -> Option<(i64, Arc<FloatHistogram>)> {
    let number = |key: &str| pair[1][key].as_str()?.parse().ok();
    let found = FloatHistogram { count: number("count")?, sum: number("sum")?, ..FloatHistogram::default() };
    Some((time_ms(&pair[0])?, Arc::new(found)))
}

fn sample(item: &Json) -> Option<InstantSample> {
    let labels = labels(&item["metric"])?;
    if let Some((t_ms, v)) = point(&item["value"]) {
        return Some(InstantSample { labels, t_ms, value: Value::Float(v) });
    }
    let (t_ms, h) = histogram(&item["histogram"])?;
    Some(InstantSample { labels, t_ms, value: Value::Histogram(h) })
}

fn series(item: &Json) -> Option<RangeSeries> {
    let mut samples = Column::default();
    for pair in item["values"].as_array().into_iter().flatten() {
        let (t_ms, v) = point(pair)?;
        samples.times.push(t_ms);
        samples.values.push(v);
    }
    for pair in item["histograms"].as_array().into_iter().flatten() {
        let (t_ms, h) = histogram(pair)?;
        samples.histogram_times.push(t_ms);
        samples.histograms.push(h);
    }
    Some(RangeSeries { labels: labels(&item["metric"])?, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_api_writes_is_read_back() {
        let samples = Column { times: vec![0, 1_500], values: vec![1.0, f64::INFINITY], ..Column::default() };
        let series = RangeSeries { labels: Labels::from_pairs([("a", "b")]), samples };
        let data = crate::api::data(&QueryValue::Matrix(vec![series.clone()]));
        let Some(QueryValue::Matrix(back)) = decode(&data) else { panic!("{data}") };
        assert_eq!(back, [series]);
        assert!(decode(&serde_json::json!({"resultType": "vector", "result": [{"metric": {}}]})).is_none());
        assert_eq!((seconds(1_500), seconds(-20)), ("1.500".to_owned(), "-0.020".to_owned()));
    }

    #[test]
    fn an_address_must_be_one() {
        for bad in ["prometheus:9090", "ftp://a", "not an address"] {
            assert!(RemoteSource::new(RemoteOptions::new(bad)).is_err(), "{bad}");
        }
    }
}
