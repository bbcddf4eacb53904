//! WASI 0.2 without rights, for language runtimes that insist on it.
//!
//! There are no files, sockets, environment variables or arguments. The clock has the batch's latest timestamp, random numbers are
//! always the same, and output goes to the log. Any other call traps. No call waits for anything.

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType, WasmList};
use wasmtime::{Result, StoreContextMut, bail};

use crate::guest_log::Level;
use crate::meter::Meter;

/// Types of resources, without content.
struct Input;
struct Output;
struct Error;
struct Pollable;
struct Terminal;

/// The output stream of errors.
const STDERR: u32 = 2;

/// The most random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// The most bytes printed in one call.
const MAX_PRINTED_BYTES: u64 = 4096;

#[derive(Debug, ComponentType, Lower, Lift)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

#[derive(ComponentType, Lower, Lift)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<Error>),
    #[component(name = "closed")]
    Closed,
}

/// The type of a resource.
pub(crate) fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<Input>(),
        "output-stream" => ResourceType::host::<Output>(),
        "error" => ResourceType::host::<Error>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "terminal-input" | "terminal-output" => ResourceType::host::<Terminal>(),
        _ => ResourceType::host::<()>(),
    }
}

/// Defines a function, if it is supported, and returns whether it is. `interface` is without its version.
pub(crate) fn define_function(linker: &mut LinkerInstance<'_, Meter>, interface: &str, function: &str) -> Result<bool> {
    type Store<'a> = StoreContextMut<'a, Meter>;
    match (interface, function) {
        ("wasi:cli/environment", "get-environment") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Vec::<(String, String)>::new(),)))?;
        }
        ("wasi:cli/environment", "get-arguments") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Vec::<String>::new(),)))?;
        }
        ("wasi:cli/environment", "initial-cwd") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((None::<String>,)))?;
        }
        ("wasi:cli/stdin", "get-stdin") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Resource::<Input>::new_own(0),)))?;
        }
        ("wasi:cli/stdout", "get-stdout") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Resource::<Output>::new_own(1),)))?;
        }
        ("wasi:cli/stderr", "get-stderr") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Resource::<Output>::new_own(STDERR),)))?;
        }
        ("wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr", _) => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((None::<Resource<Terminal>>,)))?;
        }
        ("wasi:io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            linker.func_wrap(function, |_: Store<'_>, _: (Resource<Input>, u64)| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })?;
        }
        ("wasi:io/streams", "[method]output-stream.check-write") => {
            linker.func_wrap(function, |_: Store<'_>, _: (Resource<Output>,)| {
                Ok((Ok::<u64, StreamError>(MAX_PRINTED_BYTES),))
            })?;
        }
        ("wasi:io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            linker.func_wrap(function, |mut store: Store<'_>, (output, bytes): (Resource<Output>, WasmList<u8>)| {
                if bytes.len() as u64 > MAX_PRINTED_BYTES {
                    bail!("it printed more than {MAX_PRINTED_BYTES} bytes at a time");
                }
                let text = String::from_utf8_lossy(bytes.as_le_slice(&store)).into_owned();
                // The error that ends a plugin is on stderr, and must be visible at any log level.
                let level = if output.rep() == STDERR { Level::Warn } else { Level::Info };
                store.data_mut().log.print(level, &text);
                Ok((Ok::<(), StreamError>(()),))
            })?;
        }
        ("wasi:io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            linker.func_wrap(function, |_: Store<'_>, _: (Resource<Output>,)| Ok((Ok::<(), StreamError>(()),)))?;
        }
        ("wasi:clocks/wall-clock", "now") => {
            linker.func_wrap(function, |store: Store<'_>, ()| Ok((datetime(store.data().time()),)))?;
        }
        ("wasi:clocks/wall-clock", "resolution") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((datetime(1),)))?;
        }
        ("wasi:clocks/monotonic-clock", "now") => {
            linker.func_wrap(function, |store: Store<'_>, ()| Ok((store.data().time(),)))?;
        }
        ("wasi:clocks/monotonic-clock", "resolution") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((1_u64,)))?;
        }
        ("wasi:filesystem/preopens", "get-directories") => {
            linker.func_wrap(function, |_: Store<'_>, ()| Ok((Vec::<(Resource<()>, String)>::new(),)))?;
        }
        ("wasi:random/random", "get-random-bytes") | ("wasi:random/insecure", "get-insecure-random-bytes") => {
            linker.func_wrap(function, |mut store: Store<'_>, (count,): (u64,)| {
                if count > MAX_RANDOM_BYTES {
                    bail!("it asked for {count} random bytes; it may have {MAX_RANDOM_BYTES} at a time");
                }
                let random = &mut store.data_mut().random;
                Ok(((0..count).map(|_| random.next().to_le_bytes()[0]).collect::<Vec<u8>>(),))
            })?;
        }
        ("wasi:random/random", "get-random-u64") | ("wasi:random/insecure", "get-insecure-random-u64") => {
            linker.func_wrap(function, |mut store: Store<'_>, ()| Ok((store.data_mut().random.next(),)))?;
        }
        ("wasi:random/insecure-seed", "insecure-seed") => {
            linker.func_wrap(function, |mut store: Store<'_>, ()| {
                let random = &mut store.data_mut().random;
                Ok(((random.next(), random.next()),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn datetime(time: u64) -> Datetime {
    Datetime { seconds: time / 1_000_000_000, nanoseconds: (time % 1_000_000_000) as u32 }
}
