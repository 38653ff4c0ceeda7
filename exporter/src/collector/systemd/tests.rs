use std::{thread, time::Duration};

use assay_model::expo::write_text;
use zbus::{fdo, interface, zvariant::OwnedObjectPath};

use super::*;
use crate::Paths;

/// Answers as systemd's manager does.
struct Manager;

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn list_units(&self) -> fdo::Result<Vec<ListedUnit>> {
        let unit = |name: &str, load: &str, active: &str, path: &str| {
            let path = OwnedObjectPath::try_from(format!("/unit/{path}")).unwrap();
            let none = OwnedObjectPath::try_from("/").unwrap();
            let text = str::to_owned;
            (
                text(name),
                text("a unit"),
                text(load),
                text(active),
                text(""),
                text(""),
                path,
                0,
                text(""),
                none,
            )
        };
        Ok(vec![
            unit("web.service", "loaded", "active", "web"),
            unit("old.service", "not-found", "inactive", "old"),
            unit("backup.timer", "loaded", "active", "timer"),
            unit("web.socket", "loaded", "failed", "socket"),
            unit("home.mount", "loaded", "active", "mount"),
        ])
    }

    #[zbus(property)]
    fn version(&self) -> String {
        "257.5-1".to_owned()
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        "running".to_owned()
    }

    #[zbus(property)]
    fn virtualization(&self) -> String {
        "kvm".to_owned()
    }
}

struct Unit1;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit1 {
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        1_700_000_000_500_000
    }
}

struct Service;

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "Type")]
    fn kind(&self) -> String {
        "notify".to_owned()
    }

    #[zbus(property, name = "NRestarts")]
    fn n_restarts(&self) -> u32 {
        3
    }

    #[zbus(property)]
    fn tasks_current(&self) -> u64 {
        7
    }

    #[zbus(property)]
    fn tasks_max(&self) -> u64 {
        u64::MAX
    }
}

struct Timer;

#[interface(name = "org.freedesktop.systemd1.Timer")]
impl Timer {
    #[zbus(property, name = "LastTriggerUSec")]
    fn last_trigger_usec(&self) -> u64 {
        1_600_000_000_000_000
    }
}

struct Socket;

#[interface(name = "org.freedesktop.systemd1.Socket")]
impl Socket {
    #[zbus(property, name = "NAccepted")]
    fn n_accepted(&self) -> u32 {
        11
    }

    #[zbus(property, name = "NConnections")]
    fn n_connections(&self) -> u32 {
        2
    }
}

/// Serves one connection after the other, each as systemd itself would; `hangs` serves none.
fn serve(path: &std::path::Path, hangs: bool) {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut held = Vec::new();
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if hangs {
                    held.push(stream);
                    continue;
                }
                let connection = Builder::unix_stream(stream)
                    .server(zbus::Guid::generate())
                    .unwrap()
                    .p2p()
                    .serve_at("/org/freedesktop/systemd1", Manager)
                    .and_then(|b| b.serve_at("/unit/web", Service))
                    .and_then(|b| b.serve_at("/unit/web", Unit1))
                    .and_then(|b| b.serve_at("/unit/timer", Timer))
                    .and_then(|b| b.serve_at("/unit/socket", Socket))
                    .unwrap()
                    .build()
                    .await
                    .unwrap();
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(connection);
                });
            }
        });
    });
}

use zbus::connection::Builder;

fn collector(path: &std::path::Path) -> Systemd {
    Systemd::new(&settings(path))
}

fn settings(path: &std::path::Path) -> Settings {
    let mut settings = Settings::default();
    let address = format!("unix:path={}", path.display());
    for (name, value) in [
        ("collector.systemd.private", "true"),
        ("collector.systemd.private-address", &address),
        ("collector.systemd.enable-task-metrics", "true"),
        ("collector.systemd.enable-restarts-metrics", "true"),
        ("collector.systemd.enable-start-time-metrics", "true"),
    ] {
        settings.set(name, &[value]).unwrap();
    }
    settings
}

#[test]
fn units_are_shown_with_their_properties() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("private");
    serve(&path, false);
    let systemd = collector(&path);
    let host = Host::new(Paths::default(), None);
    // The second time goes over the same connection.
    for _ in 0..2 {
        let mut out = Families::new();
        systemd.collect(&host, &mut out).unwrap();
        let mut text = String::new();
        write_text(&mut text, &out.finish());
        for line in [
            "node_systemd_unit_state{name=\"web.service\",state=\"active\",type=\"notify\"} 1",
            "node_systemd_unit_state{name=\"web.socket\",state=\"failed\"} 1",
            "node_systemd_units{state=\"inactive\"} 1",
            "node_systemd_service_restart_total{name=\"web.service\"} 3",
            "node_systemd_unit_tasks_current{name=\"web.service\"} 7",
            "node_systemd_unit_start_time_seconds{name=\"web.service\"} 1.7000000005e+09",
            "node_systemd_unit_start_time_seconds{name=\"web.socket\"} 0",
            "node_systemd_timer_last_trigger_seconds{name=\"backup.timer\"} 1.6e+09",
            "node_systemd_socket_accepted_connections_total{name=\"web.socket\"} 11",
            "node_systemd_socket_current_connections{name=\"web.socket\"} 2",
            "node_systemd_system_running 1",
            "node_systemd_version{version=\"257.5-1\"} 257.5",
            "node_systemd_virtualization_info{virtualization_type=\"kvm\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        for absent in ["old.service", "home.mount", "tasks_max", "refused"] {
            assert!(!text.contains(absent), "{absent} is in\n{text}");
        }
    }
    assert!(systemd.bus.lock().unwrap().is_some());
}

/// Patterns match whole names, unlike all others.
#[test]
fn units_are_chosen_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("private");
    serve(&path, false);
    let names = |switch: &str, pattern: &str| {
        let mut settings = settings(&path);
        settings.set(switch, &[pattern]).unwrap();
        let mut out = Families::new();
        Systemd::new(&settings).collect(&Host::new(Paths::default(), None), &mut out).unwrap();
        let families = out.finish();
        let states = families.iter().find(|family| family.name == "node_systemd_unit_state");
        let metrics = states.map_or(&[][..], |states| &states.metrics);
        let names = metrics.iter().filter_map(|metric| metric.labels.get("name"));
        names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let (include, exclude) = ("collector.systemd.unit-include", "collector.systemd.unit-exclude");
    assert_eq!(names(include, "web.+"), ["web.service", "web.socket"]);
    assert_eq!(names(include, "web"), [""; 0]);
    assert_eq!(names(exclude, r"web\..*|.*\.mount"), ["backup.timer"]);
    assert_eq!(names(exclude, "web"), ["backup.timer", "home.mount", "web.service", "web.socket"]);
}

#[test]
fn a_bus_that_does_not_answer_is_late_and_one_that_is_not_there_is_absent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("private");
    let host = |ms| Host::new(Paths::default(), Some(Instant::now() + Duration::from_millis(ms)));
    let absent = collector(&path).collect(&host(60_000), &mut Families::new());
    assert!(matches!(absent, Err(Failure::Absent(_))), "{absent:?}");
    serve(&path, true);
    let late = collector(&path).collect(&host(50), &mut Families::new());
    assert!(matches!(late, Err(Failure::Late(_))), "{late:?}");
}
