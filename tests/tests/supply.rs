//! Both tools find advisories against crates, in today's database and in the copy in the tree.

use std::fs;
use std::path::Path;
use std::process::Command;

use qualm_tests::config::quoted;
use qualm_tests::{Finished, Site, tools};

/// An advisory against every version of a crate that we have.
const ADVISORY: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2000-0001\"\npackage = \"memchr\"\ndate = \"2000-01-01\"\n\
                        [versions]\npatched = [\">= 99\"]\n```\n# Planted\n\nPlanted.\n";

/// A copy of the files in the tree.
/// What `deny.toml` ignores, with its reason.
const IGNORED: &str = "RUSTSEC-2024-0436";

fn copy(site: &Site) {
    let of = |name: &str| tools::workspace().join(name).to_string_lossy().into_owned();
    command("cp", &["-r", &of("supply"), &of("Cargo.lock"), "."], site.as_ref());
    command("git", &["init", "--quiet"], site.as_ref());
    command("git", &["add", "Cargo.lock"], site.as_ref());
}

fn command(program: &str, arguments: &[&str], within: &Path) -> Finished {
    let output = Command::new(program).args(arguments).current_dir(within).output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Finished { status: output.status, stdout: output.stdout, stderr }
}

/// Runs the script with this repository as `RustSec`'s. Returns the path of the database, and the output.
fn advisories(site: &Site, repository: &Path) -> (String, String) {
    let output = Command::new(site.path("supply/advisories.sh"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", repository.display()))
        .env("GIT_CONFIG_VALUE_0", "https://github.com/RustSec/advisory-db")
        .output()
        .expect("the script runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// The output of both tools for our crates, with this database.
fn judged(site: &Site, database: &str) -> [Finished; 2] {
    let tool = |name: &str| tools::supply().expect("it was there").join(name).to_string_lossy().into_owned();
    let rules = format!(
        "[advisories]\ndb-path = {}\nmaximum-db-staleness = \"P100Y\"\nignore = [{IGNORED:?}]\n",
        quoted(&site.path("target/advisories"))
    );
    let rules = site.write("deny.toml", rules).to_string_lossy().into_owned();
    let deny = ["--locked", "--offline", "--config", &rules, "check", "advisories"];
    let audit = ["audit", "--db", database, "--no-fetch", "--stale", "--no-yanked", "--ignore", IGNORED];
    [command(&tool("cargo-deny"), &deny, &tools::workspace()), command(&tool("cargo-audit"), &audit, site.as_ref())]
}

#[test]
fn an_advisory_is_found_where_the_repository_can_be_reached() {
    let Some(_) = tools::supply() else { return };
    let (site, rustsec) = (Site::new(), Site::new());
    copy(&site);
    fs::create_dir_all(rustsec.path("crates/memchr")).expect("a directory can be made");
    rustsec.write("crates/memchr/RUSTSEC-2000-0001.md", ADVISORY);
    rustsec.write("support.toml", "");
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["-c", "user.name=test", "-c", "user.email=", "commit", "--quiet", "--message", "planted"],
    ] {
        assert!(command("git", arguments, rustsec.as_ref()).status.success());
    }
    let (database, said) = advisories(&site, rustsec.as_ref());
    assert_eq!(said, "", "nothing is to be said of today's");
    for output in judged(&site, &database) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &output.stderr;
        assert!(!output.status.success() && text.contains("RUSTSEC-2000-0001"), "{output:?}");
    }
}

#[test]
fn an_unreachable_repository_is_replaced_by_the_copy_with_a_warning() {
    let Some(_) = tools::supply() else { return };
    let (site, nowhere) = (Site::new(), Path::new("/nonexistent/repository"));
    copy(&site);
    let (database, said) = advisories(&site, nowhere);
    let of = site.read_text("supply/advisories/of");
    assert!(said.contains(&format!("the copy in the tree is used, of {}", of.trim())), "{said}");
    assert!(!said.contains("nothing is known"), "{said}");
    for output in judged(&site, &database) {
        assert!(output.status.success(), "{output:?}");
    }
    fs::create_dir_all(site.path("supply/advisories/crates/memchr")).expect("a directory can be made");
    site.write("supply/advisories/crates/memchr/RUSTSEC-2000-0001.md", ADVISORY);
    site.write(
        "Cargo.lock",
        site.read_text("Cargo.lock") + "\n[[package]]\nname = \"newcomer\"\nversion = \"1.0.0\"\n",
    );
    let (database, said) = advisories(&site, nowhere);
    assert!(said.contains("nothing is known of what came in since: newcomer"), "{said}");
    for output in judged(&site, &database) {
        assert!(!output.status.success(), "{output:?}");
    }
}
