//! Questions that do not wait for each other's answers, on all cores. Invariant: what comes out, an error too, is what
//! asking one after the other would yield; where the engine has one thread, in a pool that must not spread, so has this.
//!
//! A thread that waits for its part of a question takes on the next question meanwhile, on top of the first. So
//! questions are asked side by side only in a pool whose stacks hold as many as there are.

use std::cell::Cell;

use assay_promql::Memory;
use rayon::{ThreadPoolBuilder, prelude::*};

/// Some hundred questions, each with all the room that one has elsewhere. It is reserved, not used.
const STACK_BYTES: usize = 128 << 20;

thread_local! {
    static HAS_ROOM: Cell<bool> = const { Cell::new(false) };
}

/// Does the work where [`each`] and [`both`] have room. Side by side, questions share the memory that each may have alone:
/// if any was refused some, the work is done again, one after the other.
pub(crate) fn with_room<T: Send>(memory: &Memory, work: impl Fn() -> T + Sync) -> T {
    let threads = rayon::current_num_threads();
    if threads < 2 || HAS_ROOM.get() {
        return work();
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES);
    let Ok(pool) = pool.start_handler(|_| HAS_ROOM.set(true)).build() else { return work() };
    let refused = memory.refused();
    let done = pool.install(&work);
    if memory.refused() == refused { done } else { work() }
}

/// What `work` makes of each item, in their order; of several errors the first in that order.
pub(crate) fn each<'a, T: Sync, R: Send, E: Send>(
    items: &'a [T],
    work: impl Fn(&'a T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    if !HAS_ROOM.get() {
        return items.iter().map(work).collect();
    }
    let all: Vec<Result<R, E>> = items.par_iter().map(&work).collect();
    all.into_iter().collect()
}

/// What both yield.
pub(crate) fn both<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    if HAS_ROOM.get() { rayon::join(first, second) } else { (first(), second()) }
}

#[cfg(test)]
mod tests {
    use assay_promql::Reserved;

    use super::*;

    #[test]
    fn what_comes_out_does_not_depend_on_where_it_is_asked() {
        let items: Vec<u32> = (0..1000).collect();
        let ask = || {
            let doubled = each(&items, |n| Ok::<_, ()>(2 * n)).expect("no error");
            let failed = each(&items, |n| if n % 7 == 3 { Err(*n) } else { Ok(()) });
            (doubled, failed, both(|| 1, || 2))
        };
        let expected = (items.iter().map(|n| 2 * n).collect::<Vec<_>>(), Err(3), (1, 2));
        assert_eq!(ask(), expected);
        assert_eq!(with_room(&Memory::new(0), ask), expected);
    }

    #[test]
    fn what_does_not_fit_side_by_side_is_asked_again_alone() {
        let memory = Memory::new(150);
        let hold = || {
            let mut held = Reserved::nothing(&memory);
            held.set(100).map(|()| held)
        };
        let took = with_room(&memory, || {
            // Two at a time are too much.
            let other = HAS_ROOM.get().then(hold);
            let own = hold().is_ok();
            drop(other);
            own
        });
        assert!(took);
        assert_eq!(memory.refused(), usize::from(rayon::current_num_threads() > 1));
    }
}
