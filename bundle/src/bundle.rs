//! A bundle: a model and all that must come with it.
//!
//! What is a [`Bundle`] is whole: its manifest can be, every file is the one that the manifest means, and the golden rows
//! fit the features. What depends on more than the bundle is asked separately: whether it is [trusted](Bundle::check_trust)
//! and still [good](Bundle::check_expiry), and whether its detector [scores](Bundle::open) as it must.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use qualm_contract::{Detector, ModelFactory, ModelSource, Wanted};

use crate::clean::clean;
use crate::digest::sha256;
use crate::error::Fault;
use crate::files::{self, Files};
use crate::golden::{self, Golden};
use crate::manifest::{self, FORMAT, Manifest};
use crate::signature::{SecretKey, Signed, Trust};

/// A model and all that must come with it.
#[derive(Clone)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The very bytes that are signed.
    pub manifest_text: Vec<u8>,
    /// What the detector receives.
    pub model: Vec<u8>,
    /// Rows that must get their scores.
    pub golden: Golden,
    /// The detector itself, where it is a plugin.
    pub component: Option<Vec<u8>>,
    /// Who made it; not checked yet.
    pub signature: Option<String>,
}

impl From<qualm_contract::Error> for Fault {
    fn from(error: qualm_contract::Error) -> Self {
        match error {
            qualm_contract::Error::NoSandbox => Self::Sandbox,
            qualm_contract::Error::BadComponent(what) => Self::File { file: files::COMPONENT.to_owned(), what },
            qualm_contract::Error::Deadline(what) => Self::Deadline(clean(&what)),
            qualm_contract::Error::System(what) => Self::System(clean(&what)),
            other => Self::Model(clean(&other.to_string())),
        }
    }
}

impl Bundle {
    /// Makes one of its files.
    pub(crate) fn of(files: Files) -> Result<Self, Fault> {
        let bundle = Self::parse(files)?;
        bundle.check_whole()?;
        Ok(bundle)
    }

    /// Makes one of its files, without a look at whether they belong together: [`check_whole`](Self::check_whole) does that.
    ///
    /// # Errors
    ///
    /// Names the file that is missing or cannot be read.
    pub fn parse(mut files: Files) -> Result<Self, Fault> {
        let manifest_text = files.take(files::MANIFEST)?;
        let manifest = Manifest::parse(&manifest_text).map_err(|error| Fault::Manifest(clean(&error.to_string())))?;
        let signature = files.take_if_there(files::SIGNATURE).map(String::from_utf8).transpose();
        Ok(Self {
            manifest,
            manifest_text,
            model: files.take(files::MODEL)?,
            golden: Golden::read(files.take(files::GOLDEN)?)
                .map_err(|error| Fault::Golden(clean(&error.to_string())))?,
            component: files.take_if_there(files::COMPONENT),
            signature: signature.map_err(|_| Fault::Signature(format!("{} is not UTF-8", files::SIGNATURE)))?,
        })
    }

    /// Whether every file is the one that the manifest means, and all fit together.
    ///
    /// # Errors
    ///
    /// Names the file that does not.
    pub fn check_whole(&self) -> Result<(), Fault> {
        let mut listed = self.manifest.sha256.clone();
        for (name, bytes) in self.digested() {
            match listed.remove(name) {
                Some(digest) if digest == sha256(bytes) => {}
                Some(_) => return Err(Fault::Digest(name.to_owned())),
                None => return Err(Fault::Manifest(format!("[sha256] does not list {name}, which is there"))),
            }
        }
        if let Some((name, _)) = listed.pop_first() {
            return Err(Fault::File { file: name, what: "it is missing; bundle.toml lists it".to_owned() });
        }
        let (features, golden) = (self.manifest.features.len(), self.golden.features);
        if features != golden {
            return Err(Fault::Golden(format!("its rows have {golden} values, but there are {features} features")));
        }
        Ok(())
    }

    /// What tells this bundle from any other: the digest of the manifest, which has the digests of all other files.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.manifest_text)
    }

    /// Its files in the order in which they are packed.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        [
            Some((files::MANIFEST, &*self.manifest_text)),
            self.signature.as_ref().map(|signature| (files::SIGNATURE, signature.as_bytes())),
        ]
        .into_iter()
        .flatten()
        .chain(self.digested())
    }

    /// The files whose digests the manifest has.
    fn digested(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let component = self.component.as_ref().map(|component| (files::COMPONENT, &**component));
        [(files::MODEL, &*self.model), (files::GOLDEN, self.golden.bytes())].into_iter().chain(component)
    }

    /// Whether it may be used now.
    ///
    /// # Errors
    ///
    /// [`Fault::Expired`].
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), Fault> {
        match self.manifest.expires {
            Some(expires) if expires <= now => Err(Fault::Expired(expires)),
            _ => Ok(()),
        }
    }

    /// Whether somebody who is trusted made it.
    ///
    /// # Errors
    ///
    /// [`Fault::Signature`].
    pub fn check_trust(&self, trust: &Trust) -> Result<Signed, Fault> {
        trust.check(&self.manifest_text, self.signature.as_deref())
    }

    /// Whether the detector that opened the model is the one that the manifest describes.
    ///
    /// # Errors
    ///
    /// [`Fault::Model`].
    pub fn check_detector(&self, kind: &str, features: usize) -> Result<(), Fault> {
        let Manifest { kind: expected, features: named, .. } = &self.manifest;
        if kind != expected {
            return Err(Fault::Model(format!("it is of the kind `{kind}`, but bundle.toml says `{expected}`")));
        }
        if features != named.len() {
            let named = named.len();
            return Err(Fault::Model(format!("it takes {features} features, but bundle.toml has {named}")));
        }
        Ok(())
    }

    /// Opens its detector, and makes sure that it [is the one that it must be](Self::verify).
    ///
    /// # Errors
    ///
    /// As [`ModelFactory::open_model`] and [`verify`](Self::verify).
    pub fn open(&self, factory: &dyn ModelFactory) -> Result<Box<dyn Detector>, Fault> {
        let mut detector = factory.open_model(self.source())?;
        self.verify(&mut *detector)?;
        Ok(detector)
    }

    /// What its detector is opened of.
    #[must_use]
    pub fn source(&self) -> ModelSource<'_> {
        let Manifest { name, version, .. } = &self.manifest;
        ModelSource { name, version: *version, component: self.component.as_deref(), model: &self.model }
    }

    /// Whether a detector that has seen nothing yet is the one that the manifest describes, and scores the golden rows as it
    /// must. It has forgotten them again.
    ///
    /// # Errors
    ///
    /// [`Fault::Model`] or [`Fault::Golden`]; [`Fault::Deadline`] or [`Fault::System`] where this machine kept it from
    /// scoring them.
    pub fn verify(&self, detector: &mut dyn Detector) -> Result<(), Fault> {
        let description = detector.describe();
        self.check_detector(&description.kind, description.features as usize)?;
        let checked = self.golden.check(|rows| Ok(detector.verdicts_of(rows, Wanted::SCORES)?.scores));
        checked.map_err(|error| match error {
            golden::Error::Detector(error) if error.is_transient() => Fault::from(error),
            error => Fault::Golden(clean(&error.to_string())),
        })?;
        Ok(detector.forget_series(&self.golden.series)?)
    }

    /// Signs the manifest.
    ///
    /// # Errors
    ///
    /// Where there is no randomness to be had.
    pub fn sign(&mut self, key: &SecretKey) -> Result<(), Fault> {
        let Manifest { name, version, .. } = &self.manifest;
        let comment = format!("qualm bundle {name}, version {version}");
        let signed = key.sign(&self.manifest_text, &comment);
        self.signature = Some(signed.map_err(|error| Fault::Signature(error.to_string()))?);
        Ok(())
    }
}

/// The same files.
impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.files().eq(other.files())
    }
}

/// Without megabytes of numbers.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} {}, {})", self.manifest.name, self.manifest.version, &self.digest()[..8])
    }
}

/// What a trainer has: a bundle yet to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it says of itself; its format and digests are filled in.
    pub manifest: Manifest,
    /// What the detector receives.
    pub model: Vec<u8>,
    /// Rows and their scores; see [`Golden::of`].
    pub golden: Golden,
    /// The detector itself, where it is a plugin.
    pub component: Option<Vec<u8>>,
}

impl Draft {
    /// Makes the bundle, which is then sure to load where there is such a factory.
    ///
    /// # Errors
    ///
    /// What would keep it from loading.
    pub fn finish(self, factory: &dyn ModelFactory) -> Result<Bundle, Fault> {
        let Self { manifest, model, golden, component } = self;
        let mut bundle = Bundle { manifest, manifest_text: Vec::new(), model, golden, component, signature: None };
        bundle.manifest.format = FORMAT;
        let digests: BTreeMap<_, _> = bundle.digested().map(|(name, file)| (name.to_owned(), sha256(file))).collect();
        bundle.manifest.sha256 = digests;
        let cannot = |error: manifest::Error| Fault::Manifest(error.to_string());
        bundle.manifest.check().map_err(cannot)?;
        bundle.manifest_text = bundle.manifest.to_text().map_err(cannot)?.into_bytes();
        // Through the same door as any other: what is too large or does not read back is found now.
        let mut read = Files::default();
        bundle.files().try_for_each(|(name, bytes)| read.read(name, bytes.len() as u64, bytes))?;
        let bundle = Bundle::of(read)?;
        bundle.open(factory)?;
        Ok(bundle)
    }
}

#[cfg(test)]
mod tests;
