//! `qualm plugin new`: makes a folder with a detector that works.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Error;
use crate::stdout::print_text;

/// The detector's name in the templates.
const TEMPLATE_NAME: &str = "my-detector";

/// The number of features in the templates, in each language.
const TEMPLATE_FEATURES: [&str; 2] = ["FEATURES = 1", "FEATURES: usize = 1"];

/// The files of every language.
const SHARED_FILES: [(&str, &str); 2] = [
    ("wit/detection.wit", include_str!("../../../wit/detection.wit")),
    ("plugin.toml", include_str!("templates/plugin.toml")),
];

const EXAMPLES: &str = "\
Examples:
  qualm plugin new --lang python my-detector
  qualm plugin new --lang rust detectors/pressure --features 3

The detector in it works: it compares each value with what its series was like, and keeps what it
learnt. Build it, check it, then put your mathematics in its place. The folder's README has the
commands.";

/// The options of `qualm plugin new`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The language
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,

    /// The folder, called what the detector is called: lower-case words joined by hyphens
    #[arg(value_name = "NAME")]
    folder: PathBuf,

    /// How many values a row has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    features: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Python,
    Js,
}

impl Language {
    /// Its files, each with its template.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        macro_rules! files {
            ($folder:literal: $($from:literal => $to:literal),*) => {
                &[$(($to, include_str!(concat!("templates/", $folder, "/", $from)))),*]
            };
        }
        match self {
            Self::Rust => {
                files!("rust": "src/lib.rs" => "src/lib.rs", "Cargo.toml" => "Cargo.toml", "cargo/config.toml" => ".cargo/config.toml", "Makefile" => "Makefile",
                "README.md" => "README.md", "gitignore" => ".gitignore")
            }
            Self::Python => files!("python": "detection.py" => "detection.py", "Makefile" => "Makefile",
                "README.md" => "README.md", "gitignore" => ".gitignore"),
            Self::Js => {
                files!("js": "detector.js" => "detector.js", "Makefile" => "Makefile", "README.md" => "README.md",
                "gitignore" => ".gitignore")
            }
        }
    }
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Options { lang, folder, features } = options;
    let name = detector_name(folder)?;
    write_folder(*lang, folder, name, *features)?;
    let shown = folder.display();
    let text = format!(
        "{shown} has a detector that works; next:\n\
         \x20 make -C {shown}   # builds {name}.wasm in it\n\
         \x20 qualm plugin check {shown}/{name}.wasm\n"
    );
    print_text(&text).map_err(Error::Print)
}

/// The folder's name, valid as the contract's `kind` and as a package's name.
fn detector_name(folder: &Path) -> Result<&str, Error> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if name.len() > 64 || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.split('-').all(word) {
        return Err(Error::Name { folder: folder.to_owned(), name: name.to_owned() });
    }
    Ok(name)
}

/// Writes the folder, which must be empty or not exist.
fn write_folder(lang: Language, folder: &Path, name: &str, features: u32) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(Error::NotEmpty(folder.to_owned())),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(folder)(error)),
        _ => {}
    }
    for (path, text) in SHARED_FILES.iter().chain(lang.files()) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        fs::write(&path, fill_template(text, name, features)).map_err(failed(&path))?;
    }
    Ok(())
}

/// A template with the name and the number of features.
fn fill_template(text: &str, name: &str, features: u32) -> String {
    let mut text = text.replace(TEMPLATE_NAME, name);
    for line in TEMPLATE_FEATURES {
        text = text.replace(line, &line.replace('1', &features.to_string()));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::failure::Failure;
    use qualm_offline::train::spec::Spec;

    use super::*;

    #[test]
    fn a_folder_has_the_name_and_the_features_and_is_never_overwritten() {
        for (lang, source) in
            [(Language::Rust, "src/lib.rs"), (Language::Python, "detection.py"), (Language::Js, "detector.js")]
        {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("disk-pressure");
            write_folder(lang, &folder, "disk-pressure", 3).unwrap();
            let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
            assert!(read(source).contains("disk-pressure") && !read(source).contains(TEMPLATE_NAME), "{lang:?}");
            assert!(TEMPLATE_FEATURES.iter().any(|line| read(source).contains(&line.replace('1', "3"))), "{lang:?}");
            let spec = Spec::read(&folder.join("plugin.toml")).unwrap();
            assert_eq!(spec.name.as_deref(), Some("disk-pressure"));
            assert!(!spec.parameters.is_empty());
            for parameter in spec.parameters.keys() {
                assert!(read(source).contains(parameter), "{lang:?} has no `{parameter}`");
            }
            assert!(read("README.md").contains("qualm plugin check disk-pressure.wasm"), "{lang:?}");
            assert!(
                read(".gitignore").contains("wasm") && read("wit/detection.wit").contains("package qualm:detector")
            );
            let error = Failure::from(write_folder(lang, &folder, "disk-pressure", 3).unwrap_err());
            assert!(error.to_string().contains("not empty") && error.exit_code() == 2, "{error}");
        }
    }

    #[test]
    fn a_name_is_valid_for_the_contract_and_for_cargo() {
        for good in ["a", "disk-pressure", "some/where/z2-b"] {
            assert!(detector_name(Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["", "Disk", "disk_pressure", "2fast", "a--b", "-a", "..", "a b"] {
            assert_eq!(Failure::from(detector_name(Path::new(bad)).unwrap_err()).exit_code(), 2, "{bad}");
        }
    }
}
