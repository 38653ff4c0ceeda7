//! Stack for deep trees.
//!
//! Invariant: whatever tree the parser lets through can be evaluated, on whatever thread: the parser bounds the
//! depth, and trees beyond what a small stack holds are evaluated by threads with a large one.

use rayon::ThreadPoolBuilder;

use crate::ast::Expr;

/// The depth that fits the 2 MiB of a thread several times over.
const SHALLOW: usize = 40;
/// Enough for the deepest tree, several times over. It is reserved, not used.
const STACK_BYTES: usize = 128 << 20;

/// Does the work, with room for the deepest of the expressions.
pub(super) fn with_room<T: Send>(exprs: &[&Expr], work: impl FnOnce() -> T + Send) -> T {
    if exprs.iter().all(|e| is_shallow(e, SHALLOW)) {
        return work();
    }
    let threads = rayon::current_num_threads();
    match ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build() {
        Ok(pool) => pool.install(work),
        // Where no thread can be had, the stack that there is may do.
        Err(_) => work(),
    }
}

fn is_shallow(expr: &Expr, depth: usize) -> bool {
    depth > 0 && expr.children().into_iter().all(|e| is_shallow(e, depth - 1))
}
