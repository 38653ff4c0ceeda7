//! Which pod has which GPU: the kubelet's `v1.PodResourcesLister` over its socket.
//!
//! Source: `k8s.io/kubelet/pkg/apis/podresources/v1/api.proto`. It is one gRPC call without arguments, which hyper can make.
//! Invariant: a kubelet that does not answer within [`ANSWER`] costs the labels and nothing else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::UnixStream, time::timeout};

/// How long the kubelet may take.
const ANSWER: Duration = Duration::from_secs(1);

/// The longest answer, many times that of a full node.
const MOST_BYTES: usize = 16 << 20;

/// Before each message of gRPC: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Devices of which names begin so are GPUs.
const RESOURCES: [&str; 2] = ["nvidia.com/gpu", "nvidia.com/mig-"];

/// Who has a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) container: String,
}

/// Asks the kubelet.
pub(super) struct Pods {
    socket: PathBuf,
    problem: Mutex<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ListResponse {
    #[prost(message, repeated, tag = "1")]
    pods: Vec<PodResources>,
}

#[derive(Clone, PartialEq, Message)]
struct PodResources {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(message, repeated, tag = "3")]
    containers: Vec<ContainerResources>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerResources {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    devices: Vec<ContainerDevices>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerDevices {
    #[prost(string, tag = "1")]
    resource: String,
    #[prost(string, repeated, tag = "2")]
    ids: Vec<String>,
}

impl Pods {
    pub(super) fn new(socket: &str) -> Self {
        Self { socket: socket.into(), problem: Mutex::default() }
    }

    /// By the UUID of a GPU or MIG device, who has it. A kubelet that does not answer is logged once.
    pub(super) fn list(&self) -> BTreeMap<String, Pod> {
        let (pods, problem) = match self.ask() {
            Ok(response) => (by_device(response), String::new()),
            Err(problem) => (BTreeMap::new(), problem),
        };
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != problem {
            if !problem.is_empty() {
                tracing::warn!(socket = %self.socket.display(), "GPUs are shown without pods: {problem}");
            }
            *known = problem;
        }
        pods
    }

    fn ask(&self) -> Result<ListResponse, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| cause.to_string())?;
        runtime.block_on(async {
            let asking = timeout(ANSWER, list(&self.socket));
            asking.await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER:?}")))
        })
    }
}

/// The kubelet's answer to `List`.
async fn list(socket: &Path) -> Result<ListResponse, String> {
    let stream = UnixStream::connect(socket).await.map_err(|cause| cause.to_string())?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut kubelet, connection) = handshake.map_err(|cause| describe(&cause))?;
    tokio::spawn(connection);
    let request = Request::post("http://localhost/v1.PodResourcesLister/List")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0; PREFIX_BYTES])))
        .map_err(|cause| cause.to_string())?;
    let response = kubelet.send_request(request).await.map_err(|cause| describe(&cause))?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("the kubelet returned {}", head.status));
    }
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|cause| cause.to_string())?;
    // The status comes after the answer or, where there is none, with the head.
    check_status(body.trailers().unwrap_or(&head.headers))?;
    let body = body.to_bytes();
    match body.split_first_chunk::<PREFIX_BYTES>() {
        Some(([0, a, b, c, d], message))
            if u32::from_be_bytes([*a, *b, *c, *d]) as usize == message.len() =>
        {
            ListResponse::decode(message).map_err(|cause| cause.to_string())
        }
        _ => Err(format!("{} bytes that are not one plain message of gRPC", body.len())),
    }
}

fn check_status(headers: &HeaderMap) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text("grpc-status") {
        "0" => Ok(()),
        status => Err(format!("the kubelet returned gRPC status {status:?}: {}", text("grpc-message"))),
    }
}

fn describe(cause: &dyn std::error::Error) -> String {
    cause.source().map_or_else(|| cause.to_string(), |source| format!("{cause}: {source}"))
}

fn by_device(response: ListResponse) -> BTreeMap<String, Pod> {
    let mut found = BTreeMap::new();
    for pod in response.pods {
        for container in pod.containers {
            let devices = container.devices.iter();
            let gpus = devices.filter(|d| RESOURCES.iter().any(|prefix| d.resource.starts_with(prefix)));
            for id in gpus.flat_map(|devices| &devices.ids) {
                // A GPU shared in time has an id for each share; one of its pods is shown.
                let uuid = id.split("::").next().unwrap_or(id);
                found.insert(
                    uuid.to_owned(),
                    Pod {
                        name: pod.name.clone(),
                        namespace: pod.namespace.clone(),
                        container: container.name.clone(),
                    },
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_joined_to_their_pods() {
        let devices = |resource: &str, ids: &[&str]| ContainerDevices {
            resource: resource.to_owned(),
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
        };
        let response = ListResponse {
            pods: vec![PodResources {
                name: "train".to_owned(),
                namespace: "ml".to_owned(),
                containers: vec![ContainerResources {
                    name: "main".to_owned(),
                    devices: vec![
                        devices("nvidia.com/gpu", &["GPU-1::2"]),
                        devices("nvidia.com/mig-1g.10gb", &["MIG-3"]),
                        devices("example.com/nic", &["eth1"]),
                    ],
                }],
            }],
        };
        // Over the wire and back.
        let response = ListResponse::decode(response.encode_to_vec().as_slice()).unwrap();
        let found = by_device(response);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["GPU-1", "MIG-3"]);
        assert_eq!((found["MIG-3"].name.as_str(), found["MIG-3"].container.as_str()), ("train", "main"));
    }

    #[test]
    fn without_a_kubelet_there_are_no_pods() {
        assert!(Pods::new("/no/such/socket").list().is_empty());
    }

    /// Serves one connection as a kubelet that answers with `body` and then `status`.
    fn kubelet(socket: &Path, body: Vec<u8>, status: &'static str) -> std::thread::JoinHandle<()> {
        use hyper::{Response, body::Incoming, server::conn::http2, service::service_fn};

        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nonblocking(true).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let service = service_fn(move |request: Request<Incoming>| {
                    assert_eq!(request.uri().path(), "/v1.PodResourcesLister/List");
                    assert_eq!(request.headers()["content-type"], "application/grpc");
                    let trailers = HeaderMap::from_iter([(
                        axum::http::HeaderName::from_static("grpc-status"),
                        axum::http::HeaderValue::from_static(status),
                    )]);
                    let body = Full::new(Bytes::from(body.clone()))
                        .with_trailers(std::future::ready(Some(Ok(trailers))));
                    async move {
                        let sent = request.into_body().collect().await.unwrap().to_bytes();
                        assert_eq!(&sent[..], [0; PREFIX_BYTES], "an empty message");
                        Ok::<_, std::convert::Infallible>(Response::new(body))
                    }
                });
                let stream = UnixStream::from_std(stream).unwrap();
                // The other side hangs up when it has its answer.
                let _ = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        })
    }

    #[test]
    fn a_kubelet_is_asked_by_grpc() {
        let directory = tempfile::tempdir().unwrap();
        let check = |name: &str, body: Vec<u8>, status, want: Result<usize, &str>| {
            let socket = directory.path().join(name);
            let server = kubelet(&socket, body, status);
            let got = Pods::new(socket.to_str().unwrap()).ask();
            match (got, want) {
                (Ok(response), Ok(pods)) => assert_eq!(response.pods.len(), pods),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
                (got, want) => panic!("{got:?} where {want:?} was expected"),
            }
            server.join().unwrap();
        };
        let framed = |response: &ListResponse| {
            let message = response.encode_to_vec();
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            [&[0u8][..], &length, &message].concat()
        };
        let pod = PodResources { name: "train".to_owned(), ..PodResources::default() };
        let two = framed(&ListResponse { pods: vec![pod.clone(), pod] });
        check("right", two.clone(), "0", Ok(2));
        check("empty", framed(&ListResponse::default()), "0", Ok(0));
        check("refused", Vec::new(), "8", Err("gRPC status \"8\""));
        check("cut", two[..two.len() - 1].to_vec(), "0", Err("not one plain message"));
    }
}
