//! The memory that all bodies share.
//!
//! Bodies grow as they come, so many half-read ones could hold all the memory, each waiting for the others. Therefore a
//! part is set aside, as large as the largest usual body, for one that cannot grow otherwise: it gets done, and then the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refused::Refused;

/// What memory is counted in: bytes.
const UNIT: usize = 1 << 10;

#[derive(Debug)]
pub(crate) struct Memory {
    /// In units.
    pool: Arc<Semaphore>,
    pool_size: usize,
    /// For one body at a time; in units.
    aside: Arc<Mutex<()>>,
    aside_size: usize,
    /// For how long memory is waited for.
    patience: Duration,
    used: AtomicUsize,
}

/// A part of the memory, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    /// In units.
    size: usize,
    from_pool: Option<OwnedSemaphorePermit>,
    from_aside: Option<(OwnedMutexGuard<()>, usize)>,
}

impl Memory {
    /// `all` bytes, of which one body that takes `largest` in all shall always find room, if that leaves a quarter to the
    /// others.
    pub(crate) fn new(all: usize, largest: usize, patience: Duration) -> Self {
        // The semaphore counts so far, and each part has something.
        let all = (all / UNIT).clamp(2, u32::MAX as usize);
        let aside_size = largest.div_ceil(UNIT).min(all - all.div_ceil(4));
        let pool_size = all - aside_size;
        Self {
            pool: Arc::new(Semaphore::new(pool_size)),
            pool_size,
            aside: Arc::default(),
            aside_size,
            patience,
            used: AtomicUsize::new(0),
        }
    }

    /// Bytes.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed) * UNIT
    }
}

impl Held {
    /// None yet.
    pub(crate) fn nothing(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), size: 0, from_pool: None, from_aside: None }
    }

    /// Waits until there are `bytes` in all.
    ///
    /// # Errors
    ///
    /// [`Refused::NoMemory`] if there are not in time, [`Refused::TooLarge`] if there never will be.
    pub(crate) async fn grow_to(&mut self, bytes: usize) -> Result<(), Refused> {
        let more = bytes.div_ceil(UNIT).saturating_sub(self.size);
        if more == 0 {
            return Ok(());
        }
        let memory = Arc::clone(&self.memory);
        if !self.take_aside(more) {
            let pool = Arc::clone(&memory.pool);
            let own = self.from_pool.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let in_pool = own + more <= memory.pool_size;
            let aside = more <= memory.aside_size && self.from_aside.is_none();
            // Waiting is of no use where it could never be enough.
            if !in_pool && !aside {
                return Err(Refused::TooLarge((self.size * UNIT) as u64));
            }
            let units = more as u32;
            match Arc::clone(&pool).try_acquire_many_owned(units) {
                Ok(permit) => self.add(permit),
                Err(_) => timeout(memory.patience, async {
                    let turn = Arc::clone(&memory.aside).lock_owned();
                    tokio::select! {
                        permit = pool.acquire_many_owned(units), if in_pool => {
                            self.add(permit.expect("the pool is never closed"));
                        }
                        guard = turn, if aside => {
                            self.from_aside = Some((guard, more));
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

    /// Whether there was enough left of what is set aside, which this body has.
    fn take_aside(&mut self, more: usize) -> bool {
        match &mut self.from_aside {
            Some((_, taken)) if *taken + more <= self.memory.aside_size => {
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
        // First what others cannot do without.
        if let Some((_, taken)) = &mut self.from_aside {
            let back = less.min(*taken);
            *taken -= back;
            less -= back;
        }
        if self.from_aside.as_ref().is_some_and(|(_, taken)| *taken == 0) {
            self.from_aside = None;
        }
        if let Some(own) = &mut self.from_pool {
            drop(own.split(less));
        }
    }
}

impl Drop for Held {
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
        let memory = Arc::new(Memory::new(8 * MIB, 4 * MIB, Duration::from_mins(1)));
        let bodies: Vec<_> = (0..16)
            .map(|_| {
                let memory = Arc::clone(&memory);
                tokio::spawn(async move {
                    let mut held = Held::nothing(&memory);
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
        let memory = Arc::new(Memory::new(8 * MIB, 4 * MIB, Duration::from_millis(10)));
        let mut first = Held::nothing(&memory);
        first.grow_to(4 * MIB).await.unwrap();
        let mut second = Held::nothing(&memory);
        second.grow_to(4 * MIB).await.unwrap();
        let mut third = Held::nothing(&memory);
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
