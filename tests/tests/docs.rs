//! Pages show what the binary prints, their links have targets, and the index of `docs/` lists every page.
//!
//! A marker, an HTML comment alone on its line, says what a page shows:
//!
//! | marker | meaning |
//! |---|---|
//! | `<!-- run: COMMAND -->` | the fenced block below is what `COMMAND` prints |
//! | `<!-- run -->` | the fenced block below has commands behind `$ `, each with what it prints |
//! | `<!-- file: NAME -->` | the fenced block below is written to the file `NAME`, for the commands of the page |
//! | `<!-- setup: COMMAND -->` | `COMMAND` runs, must succeed, and is not shown |
//!
//! Commands run in `sh`, all those of a page in one temporary directory, top to bottom. `qualm` is the built binary, and
//! `examples/`, `telegraf/` and `vector/` are those of the tree. What a command prints is its standard output, then its
//! standard error. `UPDATE_DOCS=1` writes what commands print into the pages.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use qualm_tests::{Site, tools};

/// Every page that is checked.
fn pages() -> Vec<PathBuf> {
    let root = tools::workspace();
    let docs = fs::read_dir(root.join("docs")).expect("docs/ can be read");
    let mut pages: Vec<_> = docs.map(|entry| entry.expect("an entry of docs/").path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    let beside = [
        "README.md",
        "SECURITY.md",
        "telegraf/README.md",
        "vector/README.md",
        "examples/demo/README.md",
        "plugins/flatline/README.md",
        "plugins/leak/README.md",
        "plugins/loda/README.md",
        "supply/README.md",
    ];
    beside.iter().map(|name| root.join(name)).chain(pages).collect()
}

/// A marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker<'a> {
    /// The block is what this command prints.
    Run(&'a str),
    /// The block has commands and what each prints.
    Console,
    /// The block is the content of this file.
    File(&'a str),
    /// This command prepares what others need.
    Setup(&'a str),
}

impl<'a> Marker<'a> {
    /// The marker of a line, if it is one.
    fn parse(line: &'a str) -> Option<Self> {
        let text = line.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
        if text == "run" {
            return Some(Self::Console);
        }
        let (name, value) = text.split_once(": ")?;
        match name {
            "run" => Some(Self::Run(value)),
            "file" => Some(Self::File(value)),
            "setup" => Some(Self::Setup(value)),
            _ => None,
        }
    }
}

/// Runs the commands of a page.
struct Shell {
    site: Site,
    path: String,
}

impl Shell {
    fn new(qualm: &Path) -> Self {
        let site = Site::new();
        for folder in ["examples", "telegraf", "vector"] {
            symlink(tools::workspace().join(folder), site.path(folder)).expect("a link can be made");
        }
        // Pages call the binary `qualm`, whatever its path.
        fs::create_dir(site.path(".bin")).expect("a directory can be made");
        let qualm = qualm.canonicalize().expect("the binary is there");
        symlink(qualm, site.path(".bin/qualm")).expect("a link can be made");
        let path = format!("{}:{}", site.path(".bin").display(), env::var("PATH").unwrap_or_default());
        Self { site, path }
    }

    /// Runs a command, and returns what it printed and whether it succeeded.
    fn run(&self, command: &str) -> (String, bool) {
        let done = Command::new("sh")
            .args(["-c", command])
            .current_dir(self.site.as_ref())
            .env_clear()
            .envs([("PATH", self.path.as_str()), ("LC_ALL", "C"), ("TZ", "UTC"), ("COLUMNS", "120")])
            .env("HOME", self.site.path(".home"))
            .output()
            .expect("sh can be run");
        let printed = [done.stdout, done.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        (printed.replace(&format!("{}/", self.site.as_ref().display()), ""), done.status.success())
    }

    /// A command's output. A command without output, such as a `grep` for a removed word, is a mistake of the page.
    fn shown(&self, command: &str) -> String {
        let (printed, _) = self.run(command);
        assert!(!printed.is_empty(), "`{command}` prints nothing to show");
        ended(printed)
    }

    /// The expected content of a block with commands.
    fn console(&self, block: &str) -> String {
        let mut text = String::new();
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else { continue };
            let mut command = first.to_owned();
            push_line(&mut text, line);
            while command.ends_with('\\') {
                let Some(more) = lines.next() else { break };
                command.push('\n');
                command += more;
                push_line(&mut text, more);
            }
            text += &self.shown(&command);
        }
        text
    }
}

/// Adds a line to a text.
fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A text whose last line has an end.
fn ended(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // Editors and `git diff --check` want no blanks at the end of a line.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A page with the expected content of each marked block.
fn expected(page: &str, name: &str, qualm: &Path) -> String {
    let shell = Shell::new(qualm);
    let mut text = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        push_line(&mut text, line);
        let Some(marker) = Marker::parse(line) else { continue };
        if let Marker::Setup(command) = marker {
            let (printed, good) = shell.run(command);
            assert!(good, "{name}: `{command}` fails:\n{printed}");
            continue;
        }
        let fence = lines.next().unwrap_or_default();
        assert!(fence.starts_with("```"), "{name}: no fenced block follows `{line}`");
        let block: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        let block = match marker {
            Marker::Run(command) => shell.shown(command),
            Marker::Console => shell.console(&block),
            Marker::File(path) => {
                shell.site.write(path, &block);
                block
            }
            Marker::Setup(_) => block,
        };
        push_line(&mut text, fence);
        text += &block;
        push_line(&mut text, "```");
    }
    text
}

/// The first line in which two texts differ.
fn difference(is: &str, should: &str) -> String {
    let mut both = is.lines().zip(should.lines()).enumerate();
    let (at, (is, should)) = both.find(|(_, (is, should))| is != should).unwrap_or((0, ("the end", "the end")));
    format!("line {}:\n  page:   {is}\n  binary: {should}", at + 1)
}

#[test]
fn pages_show_what_the_binary_prints() {
    let Some(qualm) = tools::qualm() else { return };
    let update = env::var_os("UPDATE_DOCS").is_some();
    let mut stale = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page can be read");
        let name = path.strip_prefix(tools::workspace()).unwrap_or(&path).display().to_string();
        let should = expected(&page, &name, &qualm);
        if page == should {
            continue;
        }
        if update {
            fs::write(&path, should).expect("a page can be written");
        } else {
            stale.push(format!("{name}, {}", difference(&page, &should)));
        }
    }
    let hint = "UPDATE_DOCS=1 cargo test --release -p qualm-tests --test docs";
    assert!(stale.is_empty(), "pages differ from what the binary prints; `{hint}` writes them:\n{}", stale.join("\n"));
}

/// Lines outside of fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The anchors of a page, as GitHub names them: lower case, blanks as hyphens, other marks left out.
fn anchors(page: &str) -> Vec<String> {
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let names = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    names.map(|name| name.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-")).collect()
}

/// The targets of a page's links, without those to other sites.
fn links(page: &str) -> Vec<String> {
    let lines: Vec<&str> = prose(page).collect();
    let text = lines.join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()));
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn links_of_pages_have_targets() {
    let mut broken = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page can be read");
        let folder = path.parent().expect("a page is in a folder");
        for link in links(&page) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            let found = target.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap_or_default()).iter().any(|is| is == anchor));
            if !found {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_index() {
    let index = fs::read_to_string(tools::workspace().join("docs/README.md")).expect("docs/README.md");
    let listed = links(&index);
    let docs = tools::workspace().join("docs");
    let names = pages().into_iter().filter(|path| path.parent() == Some(&docs));
    let names = names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let missing: Vec<_> = names.filter(|name| name != "README.md" && !listed.contains(name)).collect();
    assert!(missing.is_empty(), "docs/README.md does not list {missing:?}");
}
