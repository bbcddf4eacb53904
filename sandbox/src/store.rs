//! The store of a guest, and the deadline of a call in it.

use std::fmt;
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use crate::engine::{Sandbox, TICK};
use crate::guest_log::GuestLog;
use crate::meter::Meter;
use crate::spec::Limits;
use crate::thread_time::thread_time;

/// The most resource handles of a guest: one detector, and a few streams of a language's runtime.
const MAX_HANDLES: usize = 1000;

/// The store of a guest that is no longer used. It has the guest's memory until it is dropped.
pub struct RetiredStore(pub(crate) Store<Meter>);

impl fmt::Debug for RetiredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetiredStore").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

impl RetiredStore {
    /// The memory of the guest, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.0.data().limiter.used()
    }
}

/// A store for one guest.
pub(crate) fn store(sandbox: &Sandbox, limits: Limits, log: &GuestLog) -> Store<Meter> {
    let mut store = Store::new(sandbox.engine(), Meter::new(limits.memory, limits.deadline, log.clone()));
    store.limiter(|meter| &mut meter.limiter);
    store.set_max_component_handles(MAX_HANDLES);
    store.epoch_deadline_callback(move |mut store| Ok(on_half_deadline(store.data_mut())));
    store
}

/// Starts the deadline of a call, whose answer may have `bytes` bytes.
pub(crate) fn begin_call(store: &mut Store<Meter>, bytes: usize) {
    store.set_hostcall_fuel(bytes);
    let Meter { limiter, halfway, deadline, .. } = store.data_mut();
    limiter.begin_call();
    *halfway = None;
    let half = *deadline / 2;
    store.set_epoch_deadline(ticks(half));
}

/// Decides about a call that has taken half of its deadline or more. The second half is time of this thread on a processor,
/// which costs a system call that faster calls do not need.
fn on_half_deadline(meter: &mut Meter) -> UpdateDeadline {
    let now = thread_time();
    let since = *meter.halfway.get_or_insert(now);
    let left = (meter.deadline / 2).saturating_sub(now.saturating_sub(since));
    if left.is_zero() { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(ticks(left)) }
}

fn ticks(deadline: Duration) -> u64 {
    // One more, since the first tick may be immediate.
    (deadline.as_nanos().div_ceil(TICK.as_nanos()) as u64).saturating_add(1)
}
