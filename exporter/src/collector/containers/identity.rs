//! Which container or pod a cgroup is, from its path and, where they can be read, the runtime's own files.
//!
//! Invariant: a name once known stays as long as the cgroup does; one that is not known is looked for a few times more,
//! because a cgroup may appear before its runtime's file.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use serde_json::Value;

use crate::{Host, host::read};

/// How often the files of a container are looked for.
const TRIES: u8 = 5;

/// Labels of a cgroup; empty where they are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
    /// Whether its network namespace is its own: a pod's is that of its sandbox.
    pub(super) has_network: bool,
}

/// Those that are known.
#[derive(Default)]
pub(super) struct Identities {
    known: HashMap<String, (Identity, u8)>,
}

impl Identities {
    pub(super) fn of(&mut self, host: &Host, id: &str) -> Identity {
        let Some(container) = container_id(id) else { return Identity::default() };
        match self.known.get(id) {
            Some((identity, tries)) if *tries == 0 => return identity.clone(),
            _ => {}
        }
        let found = from_files(&host.paths.rootfs, container);
        let is_known = found.is_some();
        let has_network = pod_uid(id).is_none();
        // In Kubernetes a container is called by its id.
        let identity = found.unwrap_or_else(|| Identity {
            name: container.to_owned(),
            has_network,
            ..Identity::default()
        });
        let tries = self.known.get(id).map_or(TRIES, |(_, tries)| *tries) - 1;
        self.known.insert(id.to_owned(), (identity.clone(), if is_known { 0 } else { tries }));
        identity
    }

    pub(super) fn forget_all_but(&mut self, ids: &[String]) {
        let ids: HashSet<&String> = ids.iter().collect();
        self.known.retain(|id, _| ids.contains(id));
    }
}

/// The 64 hexadecimal digits in the last part of a path, unless it is a container's helper.
pub(super) fn container_id(path: &str) -> Option<&str> {
    // Rootless podman puts the processes one level below.
    let path = path.strip_suffix("/container").unwrap_or(path);
    let last = path.rsplit('/').next()?;
    let is_helper = last.ends_with(".mount")
        || last.contains("-conmon-")
        || last.starts_with("crio-") && !last.ends_with(".scope");
    let last = last.strip_suffix(".scope").unwrap_or(last);
    let id = last.rsplit(['-', ':']).next()?;
    (!is_helper && id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// The UID of the pod that a path is in.
pub(super) fn pod_uid(path: &str) -> Option<String> {
    path.split('/').find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let (_, uid) = part.rsplit_once("pod")?;
        let is_uid = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'_');
        is_uid.then(|| uid.replace('_', "-"))
    })
}

fn from_files(root: &Path, id: &str) -> Option<Identity> {
    let json = |path: &str| serde_json::from_str::<Value>(&read(&root.join(path)).ok()?).ok();
    let containerd = ["run/containerd", "run/k3s/containerd"].iter().find_map(|base| {
        ["k8s.io", "default", "moby"]
            .iter()
            .find_map(|space| json(&format!("{base}/io.containerd.runtime.v2.task/{space}/{id}/config.json")))
    });
    if let Some(identity) =
        containerd.as_ref().and_then(|config| from_annotations(id, &config["annotations"]))
    {
        return Some(identity);
    }
    let crio = json(&format!("var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"))
        .or_else(|| json(&format!("run/containers/storage/overlay-containers/{id}/userdata/config.json")));
    if let Some(identity) = crio.as_ref().and_then(|config| from_annotations(id, &config["annotations"])) {
        return Some(identity);
    }
    if let Some(docker) = json(&format!("var/lib/docker/containers/{id}/config.v2.json")) {
        let name = docker["Name"].as_str()?.trim_start_matches('/').to_owned();
        let image = docker["Config"]["Image"].as_str().unwrap_or_default().to_owned();
        return Some(Identity { name, image, has_network: true, ..Identity::default() });
    }
    let podman = json("var/lib/containers/storage/overlay-containers/containers.json")?;
    let entry = podman.as_array()?.iter().find(|entry| entry["id"] == id)?;
    let name = entry["names"][0].as_str()?.to_owned();
    Some(Identity { name, has_network: true, ..Identity::default() })
}

/// The annotations of containerd's CRI plugin or of CRI-O.
fn from_annotations(id: &str, annotations: &Value) -> Option<Identity> {
    let text = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| annotations[*key].as_str());
        found.unwrap_or_default().to_owned()
    };
    let kind = text(&["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]);
    if kind.is_empty() {
        return None;
    }
    let is_sandbox = kind == "sandbox";
    let container = text(&["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]);
    Some(Identity {
        name: id.to_owned(),
        image: text(&["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"]),
        namespace: text(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        pod: text(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        container: if is_sandbox { String::new() } else { container },
        has_network: is_sandbox,
    })
}
