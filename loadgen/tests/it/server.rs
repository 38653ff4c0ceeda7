//! Runs of scenarios against a server that answers by a script.

use std::{net::TcpStream, sync::Arc};

use assay_testkit::server::Duplex;
pub(crate) use assay_testkit::{
    Action as Do, Request as Seen, Server,
    server::{Deliveries, ok, raw, respond},
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server that speaks TLS.
pub(crate) fn tls_server(
    config: ServerConfig,
    script: impl Fn(&Seen) -> Vec<Do> + Send + Sync + 'static,
) -> Server {
    let config = Arc::new(config);
    let wrap = move |socket: TcpStream| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
        Box::new(StreamOwned::new(session, socket)) as Box<dyn Duplex>
    };
    Server::start_with(wrap, script)
}

/// Runs a scenario against a server and gives the summary.
pub(crate) fn run(server: &Server, scenario: &str) -> loadgen::Summary {
    run_with(server, scenario, |_| {})
}

/// The same, with a change of the options.
pub(crate) fn run_with(
    server: &Server,
    scenario: &str,
    change: impl FnOnce(&mut loadgen::RunOptions),
) -> loadgen::Summary {
    let scenario =
        loadgen::Scenario::from_text("test.yml", scenario, &[("rows.csv", "id,name\n1,a\n2,b\n3,c\n")])
            .unwrap_or_else(|e| panic!("{e}"));
    let mut options = loadgen::RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    change(&mut options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"))
}
