//! Every object of the manifests is one that Kubernetes knows, without a field that it does not, and keeps to the level of
//! pod security of its namespace.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    batch::v1::Job,
    core::v1::{Namespace, PersistentVolumeClaim, PodSpec, Service},
};
use serde::{Serialize, de::DeserializeOwned};

use super::*;

/// The objects of all manifests, as JSON, with their files.
fn objects() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in ["base", "operator", "gpu", "rules"] {
        let path = shell::root().join(MANIFESTS).join(folder);
        for entry in fs::read_dir(path).expect("lists") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            if !name.ends_with(".yaml") || name == "kustomization.yaml" {
                continue;
            }
            let name = format!("{folder}/{name}");
            let text = fs::read_to_string(shell::root().join(MANIFESTS).join(&name)).expect("reads");
            let documents = Document::parse_all(name.clone(), text).unwrap_or_else(|e| panic!("{e}"));
            found.extend(documents.iter().map(|d| (name.clone(), d.root().to_json())));
        }
    }
    assert!(found.len() > 25, "{} objects", found.len());
    found
}

/// The paths of `source` that `understood` lacks: an unknown field is dropped when an object is read.
fn dropped(source: &Value, understood: &Value, path: &str, out: &mut Vec<String>) {
    match (source, understood) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => dropped(value, other, &format!("{path}.{key}"), out),
                    None => out.push(format!("{path}.{key}")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (value, other)) in a.iter().zip(b).enumerate() {
                dropped(value, other, &format!("{path}[{i}]"), out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: {a} is understood as {b}")),
    }
}

fn strictly<T: DeserializeOwned + Serialize>(name: &str, object: &Value) -> T {
    let read: T = serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{name}: {e}: {object}"));
    let mut unknown = Vec::new();
    dropped(object, &serde_json::to_value(&read).expect("serialises"), "", &mut unknown);
    assert!(unknown.is_empty(), "{name}: {unknown:?}");
    read
}

#[test]
fn every_object_is_of_its_schema() {
    for (name, object) in objects() {
        match object["kind"].as_str().unwrap_or_default() {
            "Namespace" => drop(strictly::<Namespace>(&name, &object)),
            "DaemonSet" => drop(strictly::<DaemonSet>(&name, &object)),
            "Deployment" => drop(strictly::<Deployment>(&name, &object)),
            "Service" => drop(strictly::<Service>(&name, &object)),
            "Job" => drop(strictly::<Job>(&name, &object)),
            "PersistentVolumeClaim" => drop(strictly::<PersistentVolumeClaim>(&name, &object)),
            "ServiceMonitor" | "PodMonitor" | "PrometheusRule" => {
                assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1", "{name}");
            }
            kind => panic!("{name}: no test knows the kind {kind:?}"),
        }
    }
}

/// The pod that an object makes, and its namespace.
fn pod(object: &Value) -> Option<(String, PodSpec)> {
    let spec = object["spec"]["template"]["spec"].clone();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    spec.is_object().then(|| (namespace, serde_json::from_value(spec).expect("a pod")))
}

#[test]
fn pods_keep_to_the_level_restricted() {
    let mut checked = 0;
    for (name, object) in objects() {
        let Some((namespace, pod)) = pod(&object) else { continue };
        if namespace == "assay-host" {
            continue;
        }
        assert_eq!(namespace, "assay", "{name}");
        checked += 1;
        let security = pod.security_context.clone().expect("a security context");
        assert_eq!(security.run_as_non_root, Some(true), "{name}");
        assert_ne!(security.run_as_user, Some(0), "{name}");
        assert_eq!(security.seccomp_profile.expect("a profile").type_, "RuntimeDefault", "{name}");
        assert!(pod.host_network.is_none() && pod.host_pid.is_none() && pod.host_ipc.is_none(), "{name}");
        for volume in pod.volumes.unwrap_or_default() {
            assert!(volume.host_path.is_none(), "{name}: {}", volume.name);
        }
        for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
            let own = container.security_context.clone().expect("a security context");
            assert_eq!(own.allow_privilege_escalation, Some(false), "{name}");
            assert_eq!(own.read_only_root_filesystem, Some(true), "{name}");
            assert_eq!(own.capabilities.and_then(|c| c.drop), Some(vec!["ALL".to_owned()]), "{name}");
            assert!(container.resources.is_some(), "{name}");
        }
    }
    assert_eq!(checked, 4, "demo, load, judge, reports");
}

#[test]
fn an_unknown_field_is_found() {
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    object["metadata"]["labls"] = serde_json::json!({});
    let read: Namespace = serde_json::from_value(object.clone()).expect("is read");
    let mut unknown = Vec::new();
    dropped(&object, &serde_json::to_value(&read).expect("serialises"), "", &mut unknown);
    assert_eq!(unknown, [".metadata.labls"]);
}
