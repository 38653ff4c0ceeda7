//! A connection to systemd, with a deadline for every call.

use std::{future::Future, path::Path, time::Instant};

use serde::de::DeserializeOwned;
use tokio::{runtime::Runtime, time::timeout_at};
use zbus::{
    Connection,
    connection::Builder,
    zvariant::{OwnedValue, Type, Value},
};

use crate::Failure;

/// Where the system's bus listens, as a rule.
const BUS: &str = "/run/dbus/system_bus_socket";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A connection, and the runtime that drives it. It is used by one thread.
pub(super) struct Bus {
    runtime: Runtime,
    connection: Connection,
    /// The name on the bus; none where systemd itself is at the other end.
    destination: Option<&'static str>,
}

impl Bus {
    pub(super) fn connect(private: Option<&str>, deadline: Instant) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| Failure::Other(format!("D-Bus: {cause}")))?;
        let connecting = async {
            match private {
                Some(address) => Builder::address(address)?.p2p().build().await,
                None => Connection::system().await,
            }
        };
        let connection = within(&runtime, deadline, connecting).map_err(|failure| {
            // A host without systemd has no socket to connect to.
            let path = Path::new(private.map_or(BUS, |address| address.trim_start_matches("unix:path=")));
            if path.exists() { failure } else { Failure::Absent(path.to_owned()) }
        })?;
        Ok(Self { runtime, connection, destination: private.is_none().then_some(SYSTEMD) })
    }

    /// Calls a method of the manager that takes nothing.
    pub(super) fn call<T: DeserializeOwned + Type>(
        &self,
        method: &str,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let calling = self.connection.call_method(self.destination, MANAGER_PATH, Some(MANAGER), method, &());
        let reply = within(&self.runtime, deadline, calling)?;
        reply.body().deserialize().map_err(|cause| failed(&cause))
    }

    pub(super) fn manager_text(&self, property: &str, deadline: Instant) -> Result<Option<String>, Failure> {
        let value = self.property(MANAGER_PATH, MANAGER, property, deadline)?;
        Ok(value.and_then(|value| String::try_from(value).ok()))
    }

    pub(super) fn text(
        &self,
        path: &str,
        interface: &str,
        property: &str,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        let value = self.property(path, &format!("{SYSTEMD}.{interface}"), property, deadline)?;
        Ok(value.and_then(|value| String::try_from(value).ok()))
    }

    pub(super) fn number(
        &self,
        path: &str,
        interface: &str,
        property: &str,
        deadline: Instant,
    ) -> Result<Option<u64>, Failure> {
        let value = self.property(path, &format!("{SYSTEMD}.{interface}"), property, deadline)?;
        Ok(value.and_then(|value| match *value {
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            _ => None,
        }))
    }

    /// A property, or `None` where the other end says that there is none.
    fn property(
        &self,
        path: &str,
        interface: &str,
        property: &str,
        deadline: Instant,
    ) -> Result<Option<OwnedValue>, Failure> {
        let arguments = (interface, property);
        let getting =
            self.connection.call_method(self.destination, path, Some(PROPERTIES), "Get", &arguments);
        let getting = async {
            match getting.await {
                Ok(reply) => Ok(Some(reply)),
                // The unit may be gone since it was listed.
                Err(zbus::Error::MethodError(..)) => Ok(None),
                Err(cause) => Err(cause),
            }
        };
        Ok(within(&self.runtime, deadline, getting)?.and_then(|reply| reply.body().deserialize().ok()))
    }
}

fn within<T>(
    runtime: &Runtime,
    deadline: Instant,
    future: impl Future<Output = zbus::Result<T>>,
) -> Result<T, Failure> {
    runtime.block_on(async {
        match timeout_at(deadline.into(), future).await {
            Ok(result) => result.map_err(|cause| failed(&cause)),
            Err(_) => Err(Failure::Late("systemd does not answer".into())),
        }
    })
}

fn failed(cause: &zbus::Error) -> Failure {
    Failure::Other(format!("D-Bus: {cause}"))
}
