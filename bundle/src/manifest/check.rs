//! Validates a manifest.

use std::collections::BTreeSet;

use qualm_core::trained::MAX_FEATURES;

use super::{Error, FORMAT, Feature, Manifest, Reference, Shape};
use crate::files;

/// The longest name, in bytes.
pub(super) const MAX_NAME: usize = 100;

/// Checks that a name can be part of a file name.
///
/// # Errors
///
/// [`Error::Name`].
pub fn name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= MAX_NAME && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::Name(name.to_owned()))
}

impl Manifest {
    /// Validates it.
    ///
    /// # Errors
    ///
    /// The first invalid part.
    pub fn check(&self) -> Result<(), Error> {
        let Self { format, version, features, entity, threshold, suppression, .. } = self;
        if *format != FORMAT {
            return Err(Error::Format(*format));
        }
        name(&self.name)?;
        name(&self.kind).map_err(|error| Error::Kind(Box::new(error)))?;
        if *version == 0 || i64::try_from(*version).is_err() {
            return Err(Error::Version(*version));
        }
        if features.is_empty() || features.len() > MAX_FEATURES {
            return Err(Error::Features(features.len()));
        }
        if self.shape == Shape::Field && features.len() != 1 {
            return Err(Error::Shape(features.len()));
        }
        let mut names = BTreeSet::new();
        for Feature { name, measurement, field, tags, reference, .. } in features {
            if name.is_empty() || !names.insert(name) {
                return Err(Error::SameName(name.clone()));
            }
            let texts = [name, measurement, field].into_iter().chain(tags.iter().flat_map(|(key, value)| [key, value]));
            if texts.chain(entity).any(|text| text.contains(char::is_control)) {
                return Err(Error::Unprintable(name.clone()));
            }
            if reference.as_ref().is_some_and(|reference| !reference.is_valid()) {
                return Err(Error::Reference(name.clone()));
            }
        }
        if entity.iter().collect::<BTreeSet<_>>().len() != entity.len() {
            return Err(Error::SameEntity);
        }
        if entity.iter().any(|tag| tag == "detector" || tag.is_empty()) {
            return Err(Error::Entity);
        }
        self.vectors()?; // all globs are valid
        if !threshold.ordinary.is_finite() || !threshold.raw.is_finite() {
            return Err(Error::Threshold);
        }
        suppression.for_pipeline()?;
        suppression.check_supported(self)?;
        self.check_digests()
    }

    fn check_digests(&self) -> Result<(), Error> {
        for (file, digest) in &self.sha256 {
            if ![files::MODEL, files::GOLDEN, files::REFERENCE, files::COMPONENT].contains(&file.as_str()) {
                return Err(Error::DigestOf(file.clone()));
            }
            let hexadecimal = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
            if digest.len() != 64 || !digest.chars().all(hexadecimal) {
                return Err(Error::Digest(file.clone()));
            }
        }
        Ok(())
    }
}

impl Reference {
    fn is_valid(&self) -> bool {
        let Self { missing, mean, deviation, quantiles } = self;
        let finite = [missing, mean, deviation].into_iter().chain(quantiles).all(|number| number.is_finite());
        let right = (0.0..=1.0).contains(missing) && *deviation >= 0.0 && quantiles.is_sorted();
        finite && right && quantiles.len() == 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    type Change = fn(&mut Manifest);

    #[test]
    fn invalid_parts_are_named() {
        let good = testing::manifest(1);
        good.check().unwrap();
        let cases: [(Change, &str); 19] = [
            (|m| m.format = 2, "format 2; known here is 1"),
            (|m| m.name = String::new(), "name"),
            (|m| m.name = "../cpu".into(), "must begin with a letter"),
            (|m| m.name = "a/b".into(), "`a/b`"),
            (|m| m.name = "a".repeat(101), "100 at most"),
            (|m| m.kind = "not one".into(), "`kind`"),
            (|m| m.version = 0, "`version` is 0"),
            (|m| m.version = u64::MAX, "63 bits"),
            (|m| m.features.clear(), "0 features"),
            (|m| m.shape = Shape::Field, "one feature, not 2"),
            (|m| m.features[1].name = m.features[0].name.clone(), "two features are called"),
            (|m| m.features[0].field = "usage\n".into(), "cannot be printed"),
            (|m| m.features[0].reference.as_mut().unwrap().missing = 1.5, "reference"),
            (|m| m.features[0].reference.as_mut().unwrap().mean = f64::NAN, "reference"),
            (|m| m.entity = vec!["host".into(), "host".into()], "`entity` names a tag twice"),
            (|m| m.threshold.raw = f64::INFINITY, "[threshold]"),
            (|m| m.suppression.sustained = Some("5 of 3".into()), "3 of 5"),
            (|m| drop(m.sha256.insert("passwd".into(), "0".repeat(64))), "no file of a bundle"),
            (|m| drop(m.sha256.insert(files::MODEL.into(), "0".repeat(63))), "no digest for `model.safetensors`"),
        ];
        for (change, what) in cases {
            let mut manifest = good.clone();
            change(&mut manifest);
            let error = manifest.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error}, and not {what}");
        }
    }
}
