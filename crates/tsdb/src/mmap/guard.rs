//! What becomes of a mapping whose file is shortened. Invariant: a fault inside a guarded mapping puts a page of zeros
//! there and is noted; a fault anywhere else goes to the handler that was there before.
//!
//! The system raises SIGBUS where a page is read that the file does not reach any more. The handler may only do what
//! is safe at any instant: it looks at atomics and calls the system.

use std::{
    mem::MaybeUninit,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// How many mappings can be guarded at a time; further ones are not.
const PLACES: usize = 4096;

static GUARDED: [Place; PLACES] = [const { Place::free() }; PLACES];
/// One past the last place that was ever in use.
static USED: AtomicUsize = AtomicUsize::new(0);
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// A mapping that is guarded. It is free where `start` is 0.
struct Place {
    start: AtomicUsize,
    end: AtomicUsize,
    faulted: AtomicBool,
}

impl Place {
    const fn free() -> Self {
        Self { start: AtomicUsize::new(0), end: AtomicUsize::new(0), faulted: AtomicBool::new(false) }
    }
}

/// Guards a mapping until it is dropped, which must be before the mapping is.
#[derive(Debug)]
pub(super) struct Guard {
    /// None where all places were taken.
    place: Option<usize>,
}

impl Guard {
    pub(super) fn new(map: &[u8]) -> Self {
        install();
        let start = map.as_ptr() as usize;
        let place = GUARDED.iter().position(|place| {
            // 1 takes the place: no address is that small, and no fault is between 1 and the old end.
            place.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        if let Some(i) = place {
            let place = &GUARDED[i];
            place.faulted.store(false, Ordering::Relaxed);
            place.end.store(
                start + map.len().next_multiple_of(PAGE_BYTES.load(Ordering::Relaxed)),
                Ordering::Release,
            );
            place.start.store(start, Ordering::Release);
            USED.fetch_max(i + 1, Ordering::AcqRel);
        }
        Self { place }
    }

    /// Whether a page was read that is gone.
    pub(super) fn has_faulted(&self) -> bool {
        self.place.is_some_and(|i| GUARDED[i].faulted.load(Ordering::Acquire))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(i) = self.place {
            GUARDED[i].end.store(0, Ordering::Release);
            GUARDED[i].start.store(0, Ordering::Release);
        }
    }
}

/// Puts the handler in place, once for the process.
fn install() {
    BEFORE.get_or_init(|| {
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: sysconf has no preconditions; both structures are valid for the calls, zeroed is a valid value of
        // them, and the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            if let Ok(bytes) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
                PAGE_BYTES.store(bytes, Ordering::Relaxed);
            }
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, before.as_mut_ptr());
            before.assume_init()
        }
    });
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the system passes a valid structure, which for SIGBUS has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    let places = &GUARDED[..USED.load(Ordering::Acquire)];
    let within =
        |p: &&Place| (p.start.load(Ordering::Acquire)..p.end.load(Ordering::Acquire)).contains(&address);
    let Some(place) = places.iter().find(within) else { return pass_on(signal, info, context) };
    let page_bytes = PAGE_BYTES.load(Ordering::Relaxed);
    let page = address - address % page_bytes;
    place.faulted.store(true, Ordering::Release);
    // SAFETY: the page lies in a mapping that is ours and read-only, and nobody relies on what was in it: the file
    // does not reach it any more.
    let zeros = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            page_bytes,
            libc::PROT_READ,
            libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if zeros == libc::MAP_FAILED {
        pass_on(signal, info, context);
    }
}

/// Calls the handler that was there before, or has the default action done.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get();
    match before.map_or(libc::SIG_DFL, |b| b.sa_sigaction) {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: with the default action back in place, the instruction faults again and ends the process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        handler if before.is_some_and(|b| b.sa_flags & libc::SA_SIGINFO != 0) => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: an action with SA_SIGINFO holds a function of this signature.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: an action without SA_SIGINFO holds a function of one number.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}
