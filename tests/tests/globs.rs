//! The table that our globs are tested against is what the library of Telegraf's filters writes.

use std::fs;
use std::process::Command;

use qualm_tests::tools;

#[test]
fn the_table_of_globs_is_the_output_of_telegrafs_library() {
    let Some(program) = tools::globs() else { return };
    let path = tools::workspace().join("pipeline/tests/recorded/globs.tsv");
    let written = Command::new(&program).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    assert!(written.stdout == fs::read(&path).unwrap(), "write {} anew: {} > it", path.display(), program.display());
}
