//! Whether what a manifest says can be.

use std::collections::BTreeSet;

use qualm_core::trained::MAX_FEATURES;

use super::{FORMAT, Feature, Manifest, Reference, Shape};
use crate::files;

/// The longest name.
const MOST: usize = 100;

/// Whether a name can be part of a file's name.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= MOST && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!(
        "the name `{}` must begin with a letter or digit and have only letters, digits, `-`, `_` and `.`, {MOST} at most",
        name.chars().take(MOST).collect::<String>().escape_debug()
    ))
}

impl Manifest {
    /// Whether it can be.
    ///
    /// # Errors
    ///
    /// Says what cannot.
    pub fn check(&self) -> Result<(), String> {
        let Self { format, version, features, entity, threshold, suppression, .. } = self;
        if *format != FORMAT {
            return Err(format!("it is of format {format}; known here is {FORMAT}: another version of qualm made it"));
        }
        name(&self.name)?;
        name(&self.kind).map_err(|error| format!("`kind`: {error}"))?;
        if *version == 0 || i64::try_from(*version).is_err() {
            return Err(format!("`version` is {version}; it must be 1 at least, and fit 63 bits"));
        }
        if features.is_empty() || features.len() > MAX_FEATURES {
            return Err(format!("it has {} features, which are not between 1 and {MAX_FEATURES}", features.len()));
        }
        if self.shape == Shape::Field && features.len() != 1 {
            return Err(format!("with the shape `field` there is one feature, not {}", features.len()));
        }
        let mut names = BTreeSet::new();
        for Feature { name, measurement, field, tags, reference, .. } in features {
            if name.is_empty() || !names.insert(name) {
                return Err(format!("two features are called `{name}`, or one has no name"));
            }
            let texts = [name, measurement, field].into_iter().chain(tags.iter().flat_map(|(key, value)| [key, value]));
            if texts.chain(entity).any(|text| text.contains(char::is_control)) {
                return Err(format!("feature `{name}`: it has letters in it that cannot be printed"));
            }
            reference.as_ref().map_or(Ok(()), Reference::check).map_err(|what| format!("feature `{name}`: {what}"))?;
        }
        if entity.iter().collect::<BTreeSet<_>>().len() != entity.len() {
            return Err("`entity` names a tag twice".to_owned());
        }
        if entity.iter().any(|tag| tag == "detector" || tag.is_empty()) {
            return Err(
                "`entity` may not name the tag `detector`, which events of vectors have, nor one without a name".into(),
            );
        }
        self.vectors()?; // all globs are some
        if !threshold.ordinary.is_finite() || !threshold.raw.is_finite() {
            return Err("[threshold] is not finite".to_owned());
        }
        suppression.for_pipeline().map_err(|what| format!("[suppression] {what}"))?;
        suppression.check_knowable(self).map_err(|what| format!("[suppression] {what}"))?;
        self.check_digests()
    }

    fn check_digests(&self) -> Result<(), String> {
        for (file, digest) in &self.sha256 {
            if ![files::MODEL, files::GOLDEN, files::COMPONENT].contains(&file.as_str()) {
                return Err(format!("[sha256] lists `{}`, which is no file of a bundle", file.escape_debug()));
            }
            let hexadecimal = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
            if digest.len() != 64 || !digest.chars().all(hexadecimal) {
                return Err(format!("[sha256] has no digest for `{file}`: 64 digits 0 to 9 and a to f"));
            }
        }
        Ok(())
    }
}

impl Reference {
    fn check(&self) -> Result<(), String> {
        let Self { missing, mean, deviation, quantiles } = self;
        let finite = [missing, mean, deviation].into_iter().chain(quantiles).all(|number| number.is_finite());
        let right = (0.0..=1.0).contains(missing) && *deviation >= 0.0 && quantiles.is_sorted();
        if finite && right && quantiles.len() == 11 {
            return Ok(());
        }
        Err("its `reference` must be finite: a share of missing values, a mean, a deviation, 11 ascending quantiles"
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    type Change = fn(&mut Manifest);

    #[test]
    fn what_cannot_be_is_named() {
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
            let error = manifest.check().unwrap_err();
            assert!(error.contains(what), "{error}, and not {what}");
        }
    }
}
