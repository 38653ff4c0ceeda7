//! `node_systemd_*` by D-Bus.
//!
//! Invariant: there is one connection, kept as long as it works; every call has the collector's deadline, and only units
//! that are shown are asked for their properties.

mod bus;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use regex::Regex;
use zbus::zvariant::OwnedObjectPath;

use self::bus::Bus;
use super::{Collector, Entry, Runs};
use crate::{
    Failure, Families, Host, Settings,
    settings::{Flag, Kind},
};

pub(super) const ENTRY: Entry =
    Entry::off("systemd", "systemd's units, by D-Bus", |s| Box::new(Systemd::new(s)))
        .runs(Runs::Aside)
        .flags(&[
            Flag::new(
                "collector.systemd.unit-include",
                Kind::Pattern(".+"),
                "Units to show, by their whole names",
            ),
            Flag::new(
                "collector.systemd.unit-exclude",
                Kind::Pattern(r".+\.(automount|device|mount|scope|slice)"),
                "Units to leave out, by their whole names",
            ),
            Flag::new(
                "collector.systemd.enable-task-metrics",
                Kind::Switch(false),
                "Show how many tasks services have and may have",
            ),
            Flag::new(
                "collector.systemd.enable-restarts-metrics",
                Kind::Switch(false),
                "Show how often services were restarted",
            ),
            Flag::new(
                "collector.systemd.enable-start-time-metrics",
                Kind::Switch(false),
                "Show when units were started",
            ),
            Flag::new("collector.systemd.private", Kind::Switch(false), ""),
            Flag::new("collector.systemd.private-address", Kind::Text("unix:path=/run/systemd/private"), ""),
            Flag::new(
                "collector.systemd.unit-whitelist",
                Kind::AliasOf("collector.systemd.unit-include"),
                "",
            ),
            Flag::new(
                "collector.systemd.unit-blacklist",
                Kind::AliasOf("collector.systemd.unit-exclude"),
                "",
            ),
        ]);

/// systemd's units and its own state.
struct Systemd {
    include: Option<Regex>,
    exclude: Option<Regex>,
    has_tasks: bool,
    has_restarts: bool,
    has_start_times: bool,
    /// Where systemd itself listens, rather than the bus.
    private: Option<String>,
    bus: Mutex<Option<Bus>>,
}

/// A unit as `ListUnits` gives it.
type ListedUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

struct Unit {
    name: String,
    load: String,
    active: String,
    path: OwnedObjectPath,
}

const STATES: [&str; 5] = ["active", "activating", "deactivating", "inactive", "failed"];
const US_PER_S: f64 = 1e6;

/// Without a deadline of the scrape's.
const LONGEST: Duration = Duration::from_secs(5);

impl Systemd {
    fn new(settings: &Settings) -> Self {
        // These are the only patterns of node_exporter's that match whole names.
        let whole = |name: &str| {
            let pattern = settings.pattern(name)?;
            Regex::new(&format!("^(?:{})$", pattern.as_str())).ok()
        };
        let private = settings.switch("collector.systemd.private");
        Self {
            include: whole("collector.systemd.unit-include"),
            exclude: whole("collector.systemd.unit-exclude"),
            has_tasks: settings.switch("collector.systemd.enable-task-metrics"),
            has_restarts: settings.switch("collector.systemd.enable-restarts-metrics"),
            has_start_times: settings.switch("collector.systemd.enable-start-time-metrics"),
            private: private.then(|| settings.text("collector.systemd.private-address").to_owned()),
            bus: Mutex::default(),
        }
    }

    fn shows(&self, unit: &Unit) -> bool {
        unit.load == "loaded"
            && self.include.as_ref().is_none_or(|r| r.is_match(&unit.name))
            && self.exclude.as_ref().is_none_or(|r| !r.is_match(&unit.name))
    }
}

impl Collector for Systemd {
    fn collect(&self, host: &Host, out: &mut Families) -> Result<(), Failure> {
        let deadline = host.deadline.unwrap_or_else(|| Instant::now() + LONGEST);
        let mut kept = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that failed is made anew at the next scrape.
        let bus = match kept.take() {
            Some(bus) => bus,
            None => Bus::connect(self.private.as_deref(), deadline)?,
        };
        self.show(&bus, deadline, out)?;
        *kept = Some(bus);
        Ok(())
    }
}

impl Systemd {
    fn show(&self, bus: &Bus, deadline: Instant, out: &mut Families) -> Result<(), Failure> {
        manager(bus, deadline, out)?;
        let listed: Vec<ListedUnit> = bus.call("ListUnits", deadline)?;
        let units = listed.into_iter().map(|(name, _, load, active, _, _, path, ..)| Unit {
            name,
            load,
            active,
            path,
        });
        let units: Vec<Unit> = units.collect();
        for state in STATES {
            let n = units.iter().filter(|unit| unit.active == state).count();
            out.gauge("node_systemd_units", "Units by state.", &[("state", state)], n as f64);
        }
        for unit in units.iter().filter(|unit| self.shows(unit)) {
            self.unit(bus, deadline, unit, out)?;
        }
        Ok(())
    }

    fn unit(&self, bus: &Bus, deadline: Instant, unit: &Unit, out: &mut Families) -> Result<(), Failure> {
        let name = unit.name.as_str();
        let kind = name.rsplit('.').next().unwrap_or_default();
        let interface = match kind {
            "service" => "Service",
            "mount" => "Mount",
            "timer" => "Timer",
            "socket" => "Socket",
            _ => "Unit",
        };
        // A property that this version of systemd, or this unit, lacks is left out.
        let number = |interface: &str, property: &str| bus.number(&unit.path, interface, property, deadline);
        let type_of = match kind {
            "service" | "mount" => bus.text(&unit.path, interface, "Type", deadline)?.unwrap_or_default(),
            _ => String::new(),
        };
        for state in STATES {
            let labels = [("name", name), ("state", state), ("type", &*type_of)];
            let is_in = f64::from(u8::from(unit.active == state));
            out.gauge("node_systemd_unit_state", "1 for the unit's state.", &labels, is_in);
        }
        let labels = [("name", name)];
        if self.has_start_times {
            let started =
                if unit.active == "active" { number("Unit", "ActiveEnterTimestamp")? } else { None };
            let help = "When the unit was started, in seconds since the Unix epoch.";
            let seconds = started.unwrap_or(0) as f64 / US_PER_S;
            out.gauge("node_systemd_unit_start_time_seconds", help, &labels, seconds);
        }
        match kind {
            "service" => {
                if self.has_restarts
                    && let Some(n) = number("Service", "NRestarts")?
                {
                    let help = "Times that systemd restarted the service.";
                    out.counter("node_systemd_service_restart_total", help, &labels, n as f64);
                }
                for (property, metric) in [("TasksCurrent", "current"), ("TasksMax", "max")] {
                    // The largest number means that there is none.
                    if self.has_tasks
                        && let Some(n) = number("Service", property)?.filter(|n| *n != u64::MAX)
                    {
                        let metric = format!("node_systemd_unit_tasks_{metric}");
                        out.gauge(&metric, "Tasks of the unit.", &labels, n as f64);
                    }
                }
            }
            "timer" => {
                if let Some(us) = number("Timer", "LastTriggerUSec")? {
                    let help = "When the timer fired last, in seconds since the Unix epoch.";
                    out.gauge("node_systemd_timer_last_trigger_seconds", help, &labels, us as f64 / US_PER_S);
                }
            }
            "socket" => {
                if let Some(n) = number("Socket", "NAccepted")? {
                    let name = "node_systemd_socket_accepted_connections_total";
                    out.counter(name, "Connections accepted.", &labels, n as f64);
                }
                for (property, metric) in
                    [("NConnections", "current_connections"), ("NRefused", "refused_connections_total")]
                {
                    if let Some(n) = number("Socket", property)? {
                        let metric = format!("node_systemd_socket_{metric}");
                        out.gauge(&metric, "Connections of the socket.", &labels, n as f64);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn manager(bus: &Bus, deadline: Instant, out: &mut Families) -> Result<(), Failure> {
    let version = bus.manager_text("Version", deadline)?.unwrap_or_default();
    // `257.5-1` is the number 257.5.
    let digits: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let number = digits.trim_end_matches('.').parse().unwrap_or(0.0);
    out.gauge("node_systemd_version", "systemd's version.", &[("version", &version)], number);
    let virtualization = bus.manager_text("Virtualization", deadline)?.filter(|v| !v.is_empty());
    let labels = [("virtualization_type", virtualization.as_deref().unwrap_or("none"))];
    out.gauge("node_systemd_virtualization_info", "The kind of virtualization; always 1.", &labels, 1.0);
    let state = bus.manager_text("SystemState", deadline)?;
    let is_running = f64::from(u8::from(state.as_deref() == Some("running")));
    out.gauge("node_systemd_system_running", "1 where the system is running.", &[], is_running);
    Ok(())
}

#[cfg(test)]
mod tests;
