//! Runs recorded by the real recorder, judged by the library and by the program, and held to Prometheus.

mod baselines;
mod cli;
mod clients;
mod comparisons;
mod files;
mod histories;
mod hostile;
mod inhibition;
mod junit_schema;
mod large;
mod peers;
mod recording;
mod reports;
mod serve;
mod serve_api;
mod serve_limits;
mod serve_runs;
mod verdicts;
