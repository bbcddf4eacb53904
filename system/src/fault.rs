//! Whether an I/O error says that this machine lacks something, or that what was read is wrong.

use std::io;

/// What zstd says where it gets no memory: it knows no type for it.
const NO_MEMORY: &str = "not enough memory";

/// Whether it was the system that refused something, and not what was read that is wrong or not there.
#[must_use]
pub fn is_of_system(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return false,
        io::ErrorKind::OutOfMemory => return true,
        _ if error.raw_os_error().is_some() => return true,
        _ => {}
    }
    // Readers of archives wrap what those below them say.
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(is_of_system) || inner.to_string().contains(NO_MEMORY) {
            return true;
        }
        cause = inner.source();
    }
    false
}
