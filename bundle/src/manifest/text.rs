//! A manifest as TOML.

use serde::Deserialize;

use super::{Error, FORMAT, Manifest};

/// The comment at the top of a manifest.
const HEAD: &str = "\
# What this model is, and how it takes its features from metrics. With the files beside it, it is one bundle: it loads
# only as long as all are as they were made, which `sha256` at the end tells.
#
#   qualm bundle inspect DIRECTORY    what is in it, in plain words
#   qualm bundle verify DIRECTORY     whether it is whole, and scores here as it did where it was made
#
# To change something here, change it where the model is trained; this file may be signed.

";

impl Manifest {
    /// Parses and validates a manifest.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct OfAnyFormat {
            format: u32,
        }
        let text = str::from_utf8(text).map_err(|_| Error::NotText)?;
        let explain = |error: &toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            Error::Syntax { line, what: error.message().to_owned() }
        };
        // The keys of another format are unknown, so the format is checked first.
        let of_any: OfAnyFormat = toml::from_str(text).map_err(|error| explain(&error))?;
        if of_any.format != FORMAT {
            return Err(Error::Format(of_any.format));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| explain(&error))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Serialises it deterministically.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    pub fn to_text(&self) -> Result<String, Error> {
        let text = toml::to_string(self).map_err(|error| Error::Unwritable(error.to_string()))?;
        Ok(format!("{HEAD}{text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Provenance, Suppression};
    use crate::testing;

    #[test]
    fn a_manifest_round_trips() {
        let manifest = testing::bundle(3).manifest;
        let text = manifest.to_text().unwrap();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest, "{text}");
        assert_eq!(manifest.to_text().unwrap(), text);

        // Keys without values are left out.
        let (suppression, provenance) = (Suppression::default(), Provenance::default());
        let bare = Manifest { suppression, provenance, entity: Vec::new(), ..manifest };
        let text = bare.to_text().unwrap();
        assert!(!text.contains("suppression") && !text.contains("parameters") && !text.contains("entity"), "{text}");
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), bare);
    }

    #[test]
    fn errors_name_their_line() {
        let text = testing::manifest(3).to_text().unwrap();
        for (from, to, what) in [
            ("format = 1", "format = 2\nfrom_the_future = true", "format 2; known here is 1"),
            ("format = 1", "", "missing field `format`"),
            ("version = 3", "version = -3", "line 11: "),
            ("version = 3", "version = 3\nversoin = 4", "unknown field `versoin`"),
            ("shape = \"vector\"", "shape = \"matrix\"", "line 14: unknown variant `matrix`"),
            ("name = \"cpu\"", "name = \"\"", "the name ``"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = Manifest::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert_eq!(Manifest::parse(b"\xff").unwrap_err().to_string(), "it is not UTF-8");
    }
}
