//! Which pod has which GPU: the kubelet's `v1.PodResourcesLister` over its socket.
//!
//! Source: `k8s.io/kubelet/pkg/apis/podresources/v1/api.proto`. Invariant: a kubelet that does not answer within
//! [`ANSWER`] costs the labels and nothing else.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{net::UnixStream, time::timeout};
use axum::http::uri::PathAndQuery;
use tonic::{
    client::Grpc,
    transport::{Endpoint, Uri},
};
use tonic_prost::ProstCodec;

/// How long the kubelet may take.
const ANSWER: Duration = Duration::from_secs(1);

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
struct ListRequest {}

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
        let path = self.socket.clone();
        runtime.block_on(async move {
            let connect = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            let asking = async {
                // The address is not used, and must be one.
                let channel = Endpoint::from_static("http://localhost").connect_with_connector(connect).await;
                let mut client = Grpc::new(channel.map_err(|cause| describe(&cause))?);
                client.ready().await.map_err(|cause| describe(&cause))?;
                let path = PathAndQuery::from_static("/v1.PodResourcesLister/List");
                let codec: ProstCodec<ListRequest, ListResponse> = ProstCodec::default();
                let response = client.unary(tonic::Request::new(ListRequest {}), path, codec).await;
                response.map(tonic::Response::into_inner).map_err(|status| status.to_string())
            };
            timeout(ANSWER, asking).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER:?}")))
        })
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
                found.insert(uuid.to_owned(), Pod {
                    name: pod.name.clone(),
                    namespace: pod.namespace.clone(),
                    container: container.name.clone(),
                });
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
}
