//! Compiles untrusted components in a separate process.
//!
//! A compiler can be kept busy for minutes, or made to take gigabytes, by a component that is small. So this program starts
//! itself for it, with limits and a lower priority, and only uses the compiled code.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qualm_system::child::{self, Failure, Limits};
use qualm_system::untrusted::one_line;

use crate::error::LoadError;
use crate::settings;
use crate::space::{self, AddressSpace};

/// This program, even if its file was replaced.
const PROGRAM: &str = "/proc/self/exe";

/// The command that compiles.
const COMMAND: &str = "compile-component";

/// The component and the compiled code, in the directory of the process.
const INPUT: &str = "component.wasm";
const OUTPUT: &str = "component.cwasm";

/// The exit code if a failure is not the component's fault.
const EXIT_SYSTEM_FAULT: u8 = 3;

/// The default time limit, on a processor, so that it does not depend on how busy the machine is.
pub const DEFAULT_TIME: Duration = Duration::from_mins(3);

/// The other limits. A whole Python takes some 20 seconds of one processor and 600 MiB.
const LIMITS: Limits =
    Limits { time: DEFAULT_TIME, memory: 3 << 30, output: 64 << 10, file: 512 << 20, nice: 15, threads: 1 };

/// Whether this program's `main` has called [`serve`].
static SERVES: AtomicBool = AtomicBool::new(false);

/// Must be called first in `main`, so that [`compile`] can start this program. In a process started by it, it compiles and
/// returns the exit code.
#[must_use]
pub fn serve() -> Option<ExitCode> {
    SERVES.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(COMMAND)) {
        return None;
    }
    let arguments_given: Vec<String> = arguments.filter_map(|one| one.into_string().ok()).collect();
    let unsaid = || Err(LoadError::Process("it is not said what for".to_owned()));
    match AddressSpace::from_arguments(&arguments_given).map_or_else(unsaid, compile_here) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(LoadError::Process(why) | LoadError::System(why)) => {
            eprintln!("{why}");
            Some(ExitCode::from(EXIT_SYSTEM_FAULT))
        }
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// Compiles in this process, for an engine with this address space.
fn compile_here(address_space: AddressSpace) -> Result<(), LoadError> {
    let broken = |error: std::io::Error| LoadError::Process(error.to_string());
    let component = fs::read(INPUT).map_err(broken)?;
    let code = settings::engine(address_space).precompile_component(&component)?;
    fs::write(OUTPUT, code).map_err(broken)
}

/// Whether this program can be started for it.
pub(crate) fn is_there() -> bool {
    SERVES.load(Ordering::Relaxed)
}

/// Compiles in a separate process, with this time limit on a processor.
///
/// # Errors
///
/// Why it cannot be compiled, or not within limits.
pub(crate) fn compile(component: &[u8], address_space: AddressSpace, time: Duration) -> Result<Vec<u8>, LoadError> {
    let place = std::env::temp_dir();
    let broken = |error: std::io::Error| {
        let place = place.display();
        LoadError::Process(format!("{error}; it works in {place}: make room there, or name another place by TMPDIR"))
    };
    let limits = Limits { time, ..LIMITS };
    let dir = tempfile::tempdir().map_err(broken)?;
    fs::write(dir.path().join(INPUT), component).map_err(broken)?;
    let [reservation, images] = address_space.to_arguments();
    match child::run(Path::new(PROGRAM), &[COMMAND, &reservation, &images], dir.path(), &limits, &|| false) {
        Ok(done) if done.code == 0 => fs::read(dir.path().join(OUTPUT)).map_err(broken),
        Ok(done) if done.said.is_empty() => {
            Err(LoadError::Process("it ended without a word; is the disk full?".to_owned()))
        }
        Ok(done) if done.code == i32::from(EXIT_SYSTEM_FAULT) => Err(LoadError::Process(one_line(done.said.trim()))),
        Ok(done) => Err(LoadError::Compile(one_line(done.said.trim()))),
        Err(Failure::Time) => Err(LoadError::Limit(format!("more than {} s of a processor", time.as_secs()))),
        Err(Failure::Memory) if address_space.is_scarce() => {
            Err(LoadError::Process(format!("it needs more memory than there is{}", space::limit_hint())))
        }
        Err(Failure::Memory) => Err(LoadError::Limit(format!("more than {} GiB of memory", LIMITS.memory >> 30))),
        Err(Failure::Output) => Err(LoadError::Limit("more than its compiled code may have".to_owned())),
        Err(Failure::Broken(why)) => Err(LoadError::Process(why)),
        Err(Failure::Stopped) => Err(LoadError::Process("it was stopped".to_owned())),
    }
}
