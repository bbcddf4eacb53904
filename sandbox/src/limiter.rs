//! How much a guest may have of what it can ask for.

use wasmtime::ResourceLimiter;

use crate::engine::is_of_system;

/// Linear memories, tables and instances that a component may have. Ours has one of each; a language runtime has a few.
const MAX_MEMORIES: usize = 64;

/// Elements of a table: functions whose address is taken.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// What an element of a table takes, in bytes.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts a guest's memory, and refuses what is beyond its limit.
#[derive(Debug)]
pub struct Limiter {
    memory: usize,
    used: usize,
    refused: bool,
    /// It was granted memory, and there was none.
    system_out_of_memory: bool,
}

impl Limiter {
    /// A limit of so many bytes, over all of a guest's memories and tables.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        Self { memory, used: 0, refused: false, system_out_of_memory: false }
    }

    /// Bytes that the guest has.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Counts so many bytes more, if there is room for them.
    fn reserve(&mut self, bytes: usize) -> bool {
        let used = self.used.saturating_add(bytes);
        self.refused |= used > self.memory;
        if used <= self.memory {
            self.used = used;
        }
        used <= self.memory
    }

    /// Begins a call.
    pub fn begin_call(&mut self) {
        (self.refused, self.system_out_of_memory) = (false, false);
    }

    /// Whether there was no memory in the call at hand that the guest might have had.
    #[must_use]
    pub fn system_out_of_memory(&self) -> bool {
        self.system_out_of_memory
    }

    /// Whether the guest was refused memory in the call at hand.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.reserve(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.system_out_of_memory |= is_of_system(&error);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grows = desired.saturating_sub(current).saturating_mul(ELEMENT_BYTES);
        Ok(desired <= MAX_TABLE_ELEMENTS && self.reserve(grows))
    }

    fn instances(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_MEMORIES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
