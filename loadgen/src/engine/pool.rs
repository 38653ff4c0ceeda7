//! The users of a worker. Invariant: a user is in the pool or lent to one task, and a lease that is dropped
//! brings it back in a state from which it can continue.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use super::{request::WorkerCx, user::User};

/// The users of a worker; cloning shares them.
#[derive(Clone)]
pub(crate) struct Pool {
    idle: Rc<RefCell<BTreeMap<u32, User>>>,
    /// Users that are active, for all workers to see.
    active: Arc<AtomicI64>,
    has_warned: Rc<Cell<bool>>,
}

impl Pool {
    pub(crate) fn new(active: Arc<AtomicI64>) -> Self {
        Self { idle: Rc::default(), active, has_warned: Rc::default() }
    }

    /// Lends a user, made where it is new; `None` where it cannot be made, or is lent.
    pub(crate) fn lend(&self, cx: &WorkerCx, index: u32) -> Option<Lease> {
        let known = self.idle.borrow_mut().remove(&index);
        let user = match known.map_or_else(|| User::new(index, &cx.scenario, &cx.data, &cx.timer), Ok) {
            Ok(user) => user,
            Err(e) => {
                if !self.has_warned.replace(true) {
                    tracing::error!("the variables of a user: {e}");
                }
                return None;
            }
        };
        Some(Lease { user: Some(user), pool: self.clone() })
    }

    /// Counts a user as active until the guard is dropped.
    pub(crate) fn activate(&self) -> Active {
        self.active.fetch_add(1, Ordering::Relaxed);
        Active { count: Arc::clone(&self.active) }
    }
}

/// A user on loan.
pub(crate) struct Lease {
    user: Option<User>,
    pool: Pool,
}

impl Deref for Lease {
    type Target = User;

    fn deref(&self) -> &User {
        // Only `drop` takes the user out.
        self.user.as_ref().unwrap_or_else(|| unreachable!("a lease holds its user"))
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut User {
        self.user.as_mut().unwrap_or_else(|| unreachable!("a lease holds its user"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(user) = self.user.take() {
            user.slot.set(None);
            self.pool.idle.borrow_mut().insert(user.index, user);
        }
    }
}

/// An active user.
pub(crate) struct Active {
    count: Arc<AtomicI64>,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
