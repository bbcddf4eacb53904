//! The memory budget that all bodies share.
//!
//! Bodies grow as they come, so that many half-read ones could hold all the memory, each waiting for the others. Therefore a
//! reserve, as large as the largest usual body, is for one body at a time that cannot grow otherwise: it is completed, then the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refused::Refused;

/// The unit in which memory is counted, in bytes.
const UNIT: usize = 1 << 10;

#[derive(Debug)]
pub(crate) struct MemoryBudget {
    /// In units.
    pool: Arc<Semaphore>,
    pool_size: usize,
    /// For one body at a time; in units.
    reserve: Arc<Mutex<()>>,
    reserve_size: usize,
    /// How long a body waits for memory.
    timeout: Duration,
    used: AtomicUsize,
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<MemoryBudget>,
    /// In units.
    size: usize,
    from_pool: Option<OwnedSemaphorePermit>,
    from_reserve: Option<(OwnedMutexGuard<()>, usize)>,
}

impl MemoryBudget {
    /// A budget of `all` bytes with a reserve of `largest`, or less if that would leave less than a quarter to the others.
    pub(crate) fn new(all: usize, largest: usize, timeout: Duration) -> Self {
        // The limits of the semaphore; the pool and the reserve have at least a unit each.
        let all = (all / UNIT).clamp(2, u32::MAX as usize);
        let reserve_size = largest.div_ceil(UNIT).min(all - all.div_ceil(4));
        let pool_size = all - reserve_size;
        Self {
            pool: Arc::new(Semaphore::new(pool_size)),
            pool_size,
            reserve: Arc::default(),
            reserve_size,
            timeout,
            used: AtomicUsize::new(0),
        }
    }

    /// The bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed) * UNIT
    }
}

impl Reservation {
    /// No memory yet.
    pub(crate) fn empty(memory: &Arc<MemoryBudget>) -> Self {
        Self { memory: Arc::clone(memory), size: 0, from_pool: None, from_reserve: None }
    }

    /// Waits until the reservation has `bytes` in all.
    ///
    /// # Errors
    ///
    /// [`Refused::NoMemory`] if they are not free in time, [`Refused::TooLarge`] if the budget is smaller.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), Refused> {
        let more = bytes.div_ceil(UNIT).saturating_sub(self.size);
        if more == 0 {
            return Ok(());
        }
        let memory = Arc::clone(&self.memory);
        if !self.take_from_reserve(more) {
            let pool = Arc::clone(&memory.pool);
            let own = self.from_pool.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let in_pool = own + more <= memory.pool_size;
            let in_reserve = more <= memory.reserve_size && self.from_reserve.is_none();
            // No use in waiting for more than there is.
            if !in_pool && !in_reserve {
                return Err(Refused::TooLarge((self.size * UNIT) as u64));
            }
            let units = more as u32;
            match Arc::clone(&pool).try_acquire_many_owned(units) {
                Ok(permit) => self.add(permit),
                Err(_) => timeout(memory.timeout, async {
                    let turn = Arc::clone(&memory.reserve).lock_owned();
                    tokio::select! {
                        permit = pool.acquire_many_owned(units), if in_pool => {
                            self.add(permit.expect("the pool is never closed"));
                        }
                        guard = turn, if in_reserve => {
                            self.from_reserve = Some((guard, more));
                        }
                    }
                })
                .await
                .map_err(|_elapsed| Refused::NoMemory)?,
            }
        }
        self.size += more;
        memory.used.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Whether this body has the reserve, and takes `more` from it.
    fn take_from_reserve(&mut self, more: usize) -> bool {
        match &mut self.from_reserve {
            Some((_, taken)) if *taken + more <= self.memory.reserve_size => {
                *taken += more;
                true
            }
            _ => false,
        }
    }

    fn add(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.from_pool {
            Some(own) => own.merge(permit),
            own => *own = Some(permit),
        }
    }

    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let mut less = self.size.saturating_sub(bytes.div_ceil(UNIT));
        self.size -= less;
        self.memory.used.fetch_sub(less, Ordering::Relaxed);
        // The reserve first: others wait for it.
        if let Some((_, taken)) = &mut self.from_reserve {
            let back = less.min(*taken);
            *taken -= back;
            less -= back;
        }
        if self.from_reserve.as_ref().is_some_and(|(_, taken)| *taken == 0) {
            self.from_reserve = None;
        }
        if let Some(own) = &mut self.from_pool {
            drop(own.split(less));
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn half_read_bodies_do_not_block_one_another_for_ever() {
        let memory = Arc::new(MemoryBudget::new(8 * MIB, 4 * MIB, Duration::from_mins(1)));
        let bodies: Vec<_> = (0..16)
            .map(|_| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move {
                    let mut held = Reservation::empty(&memory);
                    for size in 1..=4 {
                        held.grow_to(size * MIB).await.unwrap();
                        assert!(memory.used() <= 8 * MIB);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for body in bodies {
            body.await.unwrap();
        }
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test]
    async fn what_is_given_back_is_there_again() {
        let memory = Arc::new(MemoryBudget::new(8 * MIB, 4 * MIB, Duration::from_millis(10)));
        let mut first = Reservation::empty(&memory);
        first.grow_to(4 * MIB).await.unwrap();
        let mut second = Reservation::empty(&memory);
        second.grow_to(4 * MIB).await.unwrap();
        let mut third = Reservation::empty(&memory);
        assert!(matches!(third.grow_to(1).await, Err(Refused::NoMemory)));
        second.shrink_to(MIB);
        first.shrink_to(MIB);
        third.grow_to(3 * MIB).await.unwrap();
        assert_eq!(memory.used(), 5 * MIB);
        assert!(matches!(third.grow_to(9 * MIB).await, Err(Refused::TooLarge(_))));
        drop((first, second, third));
        assert_eq!(memory.used(), 0);
    }
}
