//! The limits of a guest's memory, tables and instances.

use wasmtime::ResourceLimiter;

use crate::error::is_of_system;

/// The most linear memories, and as many tables and instances. The built-in component has one of each; a language runtime has a
/// few.
const MAX_MEMORIES: usize = 64;

/// The most elements of a table: functions whose address is taken.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Bytes of an element of a table.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts a guest's memory, and refuses more than its limit.
#[derive(Debug)]
pub struct Limiter {
    memory: usize,
    used: usize,
    refused: bool,
    /// Whether it was granted memory that the system did not have.
    system_out_of_memory: bool,
}

impl Limiter {
    /// A limit in bytes for all memories and tables of a guest together.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        Self { memory, used: 0, refused: false, system_out_of_memory: false }
    }

    /// The bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Adds bytes if the limit allows it, and returns whether it does.
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

    /// Whether the system lacked memory within the limit in the current call.
    #[must_use]
    pub fn system_out_of_memory(&self) -> bool {
        self.system_out_of_memory
    }

    /// Whether memory beyond the limit was refused in the current call.
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
