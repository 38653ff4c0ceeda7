//! The server that the load generators are held against: it delays as its plan says and logs what it did.
//!
//! Invariant: one thread does everything, a request's log entry has the instant at which the kernel had its last
//! byte and the instant before its answer was written, both of the machine's monotonic clock, and nothing waits
//! but for a socket or the timer.

mod connection;
mod log;
mod plan;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufWriter, ErrorKind},
    net::TcpListener,
    os::fd::OwnedFd,
    path::PathBuf,
};

use anyhow::{Context, Result};
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
        timerfd_create, timerfd_settime,
    },
};

use connection::{Connection, Received};
pub(super) use log::Log;
pub(crate) use plan::Plan;

/// What the listener and the timer are called among the events; connections have lower numbers.
const LISTENER: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// How many answers are sent before the sockets are looked at again.
const SENT_BETWEEN_LOOKS: usize = 8;

/// The hidden chore that serves: run by the benchmarks, pinned to a core of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The port of 127.0.0.1 to listen at.
    #[arg(long)]
    port: u16,
    /// `tiny`, `constant:S`, `bimodal:S:S`, `stall:S:AT:LENGTH`, `queue:SERVERS:RATE:SEED`, or `stream:EVENTS:INTERVAL[:FIRST]`; times in seconds.
    #[arg(long)]
    plan: Plan,
    /// Where the log goes when `/quit` is asked for.
    #[arg(long)]
    log: PathBuf,
}

/// Serves until it is asked to quit, then writes the log.
pub(crate) fn serve(options: &Serve) -> Result<()> {
    let log = Server::new(options)?.run()?;
    let file = File::create(&options.log).with_context(|| options.log.display().to_string())?;
    log.write(&mut BufWriter::new(file))
}

/// Nanoseconds of the machine's monotonic clock.
pub(super) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

fn ns(t: Timespec) -> u64 {
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// An instant of the real-time clock, in which the kernel stamps packets, on the monotonic one.
fn monotonic_ns(real_ns: u64) -> u64 {
    let (real, monotonic) = (clock_gettime(ClockId::Realtime), clock_gettime(ClockId::Monotonic));
    ns(monotonic).saturating_sub(ns(real).saturating_sub(real_ns))
}

/// What is to be sent: when, and on which connection.
type Due = Reverse<(u64, u32)>;

struct Server {
    plan: Plan,
    stream_end: Vec<u8>,
    epoll: OwnedFd,
    timer: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    vacant: Vec<u32>,
    due: BinaryHeap<Due>,
    /// When each server of a queue is free again.
    free: Vec<u64>,
    armed_ns: u64,
    log: Log,
    is_quitting: bool,
}

impl Server {
    fn new(options: &Serve) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .with_context(|| format!("port {}", options.port))?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        // On an edge the timer need not be read: setting it anew takes the old expiry away.
        let edge = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &timer, epoll::EventData::new_u64(TIMER), edge)?;
        let stream_end = match options.plan {
            Plan::Stream { events, .. } => plan::stream_end(events),
            _ => Vec::new(),
        };
        Ok(Self {
            plan: options.plan.clone(),
            stream_end,
            epoll,
            timer,
            listener,
            connections: Vec::new(),
            vacant: Vec::new(),
            due: BinaryHeap::new(),
            free: Vec::new(),
            armed_ns: u64::MAX,
            log: Log::default(),
            is_quitting: false,
        })
    }

    fn run(mut self) -> Result<Log> {
        let mut events = Vec::with_capacity(1024);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut is_behind = false;
        while !self.is_quitting {
            epoll::wait(&self.epoll, spare_capacity(&mut events), is_behind.then_some(&at_once))?;
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    TIMER => self.armed_ns = u64::MAX,
                    id => self.receive(id as u32)?,
                }
            }
            is_behind = self.fire()?;
        }
        Ok(self.log)
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let id = self.vacant.pop().unwrap_or(self.connections.len() as u32);
            let data = epoll::EventData::new_u64(u64::from(id));
            epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
            let connection = Some(Connection::new(stream)?);
            match self.connections.get_mut(id as usize) {
                Some(place) => *place = connection,
                None => self.connections.push(connection),
            }
        }
    }

    fn receive(&mut self, id: u32) -> Result<()> {
        let Some(connection) = self.connections.get_mut(id as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        match connection.receive() {
            Received::Part => Ok(()),
            Received::End => {
                self.close(id);
                Ok(())
            }
            Received::Quit => {
                self.is_quitting = true;
                connection.send(self.plan.answer())
            }
            Received::Request { at_ns, has_body } => match self.plan {
                Plan::Tiny => connection.send(self.plan.answer()),
                // A client that looks whether the server is there.
                Plan::Stream { .. } if !has_body => connection.send(self.plan.answer()),
                _ => self.begin(id, at_ns),
            },
        }
    }

    /// Logs a request and makes a note of when it is answered.
    fn begin(&mut self, id: u32, at_ns: u64) -> Result<()> {
        let entry = self.log.received(at_ns);
        let first = self.log.first_ns();
        let Some(connection) = self.connections.get_mut(id as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        connection.entry = entry;
        connection.events_sent = 0;
        if let Plan::Stream { .. } = self.plan {
            connection.send(plan::STREAM_HEAD)?;
        }
        let due = self.plan.due_ns(entry, at_ns, first, &mut self.free);
        self.due.push(Reverse((due, id)));
        Ok(())
    }

    /// Sends what is due and sets the timer for what comes next; true where more is due, for a request that
    /// has come meanwhile must not wait for all of it to be seen.
    fn fire(&mut self) -> Result<bool> {
        for _ in 0..SENT_BETWEEN_LOOKS {
            let Some(&Reverse((due, id))) = self.due.peek() else { return Ok(false) };
            if due > now_ns() {
                if due < self.armed_ns {
                    self.arm(due)?;
                }
                return Ok(false);
            }
            self.due.pop();
            self.send(due, id)?;
        }
        Ok(true)
    }

    fn arm(&mut self, at_ns: u64) -> Result<()> {
        self.armed_ns = at_ns;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let at = Timespec { tv_sec: (at_ns / 1_000_000_000) as i64, tv_nsec: (at_ns % 1_000_000_000) as i64 };
        let spec = Itimerspec { it_interval: zero, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        Ok(())
    }

    fn send(&mut self, due: u64, id: u32) -> Result<()> {
        let Some(connection) = self.connections.get_mut(id as usize).and_then(Option::as_mut) else {
            return Ok(());
        };
        let now = now_ns();
        let Plan::Stream { events, interval_ns, .. } = self.plan else {
            self.log.sent(connection.entry, now);
            return connection.send(self.plan.answer());
        };
        if connection.events_sent == events {
            return connection.send(&self.stream_end);
        }
        connection.events_sent += 1;
        self.log.sent(connection.entry, now);
        connection.send(plan::STREAM_EVENT)?;
        // The end of a stream comes with its last event, as a server that knows it is done sends it.
        let next = if connection.events_sent == events { due } else { due + interval_ns };
        self.due.push(Reverse((next, id)));
        Ok(())
    }

    fn close(&mut self, id: u32) {
        if let Some(place) = self.connections.get_mut(id as usize)
            && place.take().is_some()
        {
            // What was still to be sent to it must not go to the next that gets its number.
            self.due.retain(|Reverse((_, other))| *other != id);
            self.vacant.push(id);
        }
    }
}
