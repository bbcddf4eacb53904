//! Without free file descriptors nothing can be found or loaded, and no bundle counts as bad for that. In a process of its own,
//! since the limit is one of the process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use qualm_core::BuiltIn;
use qualm_http::api::models::{Options, Registry, State};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::train;

#[test]
fn models_survive_a_time_without_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host-1", "host", 1, "zscore", None);
    train(dir.path(), "other-1", "other", 1, "zscore", None);
    let registry = Registry::open(Options::of(dir.path()), BuiltIn);
    assert_eq!(registry.find("host").unwrap().version, 1);
    train(dir.path(), "host-2", "host", 2, "zscore", None);
    let usual = getrlimit(Resource::Nofile);
    // What is open stays so; a file more is refused.
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), ..usual }).unwrap();
    assert_eq!(File::open("/dev/null").unwrap_err().raw_os_error(), Some(24));
    registry.refresh();
    let version = registry.find("host").unwrap().version;
    let problem = registry.find("other").unwrap_err();
    let listed = serde_json::to_string(&registry.list()).unwrap();
    setrlimit(Resource::Nofile, usual).unwrap();
    assert!(version == 1 || version == 2, "one of them has been loaded, or was found in time");
    assert!(problem.status == 503 && problem.retry_after.is_some(), "{problem:?}");
    let path = dir.path().to_string_lossy();
    assert!(!listed.contains(&*path) && !problem.error.contains(&*path), "{listed}, {problem}");
    let end = Instant::now() + Duration::from_mins(1);
    while !(registry.find("other").is_ok() && registry.find("host").is_ok_and(|model| model.version == 2)) {
        assert!(Instant::now() < end, "nothing is held against them");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(registry.list().iter().all(|info| info.state == State::Ready), "{:?}", registry.list());
}
