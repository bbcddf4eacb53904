//! A bundle: a model, its manifest, golden rows, and optionally a component and a signature.
//!
//! A [`Bundle`] is consistent: its manifest is valid, every file has the digest that the manifest lists, and the golden rows
//! have as many values as there are features. What depends on more than the bundle is checked separately: whether it is
//! [trusted](Bundle::check_trust) and has not [expired](Bundle::check_expiry), and whether its detector
//! [reproduces the golden scores](Bundle::open).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use qualm_contract::{Detector, ModelFactory, ModelSource, Wanted};
use qualm_system::digest::sha256;
use qualm_system::untrusted::clean;

use crate::error::Fault;
use crate::files::{self, Files};
use crate::golden::{self, Golden};
use crate::manifest::{self, FORMAT, Manifest};
use crate::reference::ReferenceFile;
use crate::signature::{SecretKey, Signed, Trust};

/// A model with its manifest and golden rows.
#[derive(Clone)]
pub struct Bundle {
    /// The manifest, parsed.
    pub manifest: Manifest,
    /// The manifest's bytes, which are what is signed.
    pub manifest_text: Vec<u8>,
    /// The model that the detector is opened with.
    pub model: Vec<u8>,
    /// Rows with the scores that the detector must reproduce.
    pub golden: Golden,
    /// What the training rows looked like; `None` in bundles of earlier versions, whose drift is unknown.
    pub reference: Option<ReferenceFile>,
    /// The plugin's component; `None` for a built-in detector.
    pub component: Option<Vec<u8>>,
    /// The signature of the manifest, not yet checked.
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
    /// Parses the files and checks that they are consistent.
    pub(crate) fn from_files(files: Files) -> Result<Self, Fault> {
        let bundle = Self::parse(files)?;
        bundle.check_integrity()?;
        Ok(bundle)
    }

    /// Parses the files, without [checking](Self::check_integrity) that they are consistent.
    ///
    /// # Errors
    ///
    /// If a file is missing or cannot be parsed.
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
            reference: files.take_if_there(files::REFERENCE).map(ReferenceFile::read).transpose()?,
            component: files.take_if_there(files::COMPONENT),
            signature: signature.map_err(|_| Fault::Signature(format!("{} is not UTF-8", files::SIGNATURE)))?,
        })
    }

    /// Checks that every file has the digest that the manifest lists, and that the golden rows fit the features.
    ///
    /// # Errors
    ///
    /// Names the file that does not fit.
    pub fn check_integrity(&self) -> Result<(), Fault> {
        let mut listed = self.manifest.sha256.clone();
        for (name, bytes) in self.files_with_digest() {
            match listed.remove(name) {
                Some(digest) if digest == sha256(bytes) => {}
                Some(_) => return Err(Fault::Digest(name.to_owned())),
                None => return Err(Fault::Manifest(format!("[sha256] does not list {name}, which is there"))),
            }
        }
        if let Some((name, _)) = listed.pop_first() {
            return Err(Fault::File { file: name, what: "it is missing; bundle.toml lists it".to_owned() });
        }
        let features = self.manifest.features.len();
        if let Some(ReferenceFile { reference, .. }) = &self.reference
            && reference.features.len() != features
        {
            let what = format!("it is of {} features, but there are {features}", reference.features.len());
            return Err(Fault::File { file: files::REFERENCE.to_owned(), what });
        }
        let golden = self.golden.features;
        if features != golden {
            return Err(Fault::Golden(format!("its rows have {golden} values, but there are {features} features")));
        }
        Ok(())
    }

    /// The bundle's identity: the digest of the manifest, which lists the digests of all other files.
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
        .chain(self.files_with_digest())
    }

    /// The files whose digests the manifest lists.
    fn files_with_digest(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let component = self.component.as_ref().map(|component| (files::COMPONENT, &**component));
        let reference = self.reference.as_ref().map(|reference| (files::REFERENCE, reference.bytes()));
        [(files::MODEL, &*self.model), (files::GOLDEN, self.golden.bytes())]
            .into_iter()
            .chain(reference)
            .chain(component)
    }

    /// Checks that it has not expired.
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

    /// Checks its signature.
    ///
    /// # Errors
    ///
    /// [`Fault::Signature`].
    pub fn check_trust(&self, trust: &Trust) -> Result<Signed, Fault> {
        trust.check(&self.manifest_text, self.signature.as_deref())
    }

    /// Checks that the detector has the kind and the number of features that the manifest lists.
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

    /// Opens its detector and [verifies](Self::verify) it.
    ///
    /// # Errors
    ///
    /// As [`ModelFactory::open_model`] and [`verify`](Self::verify).
    pub fn open(&self, factory: &dyn ModelFactory) -> Result<Box<dyn Detector>, Fault> {
        let mut detector = factory.open_model(self.source())?;
        self.verify(&mut *detector)?;
        Ok(detector)
    }

    /// What the factory opens the detector from.
    #[must_use]
    pub fn source(&self) -> ModelSource<'_> {
        let Manifest { name, version, .. } = &self.manifest;
        ModelSource { name, version: *version, component: self.component.as_deref(), model: &self.model }
    }

    /// Checks that a fresh detector is the one that the manifest describes, and reproduces the scores of the golden rows.
    /// Afterwards the detector has forgotten them.
    ///
    /// # Errors
    ///
    /// [`Fault::Model`] or [`Fault::Golden`]; [`Fault::Deadline`] or [`Fault::System`] if this machine prevented scoring.
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
    /// If the system provides no randomness.
    pub fn sign(&mut self, key: &SecretKey) -> Result<(), Fault> {
        let Manifest { name, version, .. } = &self.manifest;
        let comment = format!("qualm bundle {name}, version {version}");
        let signed = key.sign(&self.manifest_text, &comment);
        self.signature = Some(signed.map_err(|error| Fault::Signature(error.to_string()))?);
        Ok(())
    }
}

/// Two bundles are equal if their files are.
impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.files().eq(other.files())
    }
}

/// Without the contents of the model.
impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} {}, {})", self.manifest.name, self.manifest.version, &self.digest()[..8])
    }
}

/// A bundle that is not yet finished: what a trainer produces.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The manifest; [`finish`](Self::finish) fills in its format and digests.
    pub manifest: Manifest,
    /// The model that the detector is opened with.
    pub model: Vec<u8>,
    /// Rows and their scores; see [`Golden::of`].
    pub golden: Golden,
    /// What the training rows looked like, if that is known.
    pub reference: Option<ReferenceFile>,
    /// The plugin's component; `None` for a built-in detector.
    pub component: Option<Vec<u8>>,
}

impl Draft {
    /// Builds the bundle and opens it once with `factory`, so that it is known to load.
    ///
    /// # Errors
    ///
    /// The reason why it would not load.
    pub fn finish(self, factory: &dyn ModelFactory) -> Result<Bundle, Fault> {
        let Self { manifest, model, golden, reference, component } = self;
        let (manifest_text, signature) = (Vec::new(), None);
        let mut bundle = Bundle { manifest, manifest_text, model, golden, reference, component, signature };
        bundle.manifest.format = FORMAT;
        let digests: BTreeMap<_, _> =
            bundle.files_with_digest().map(|(name, file)| (name.to_owned(), sha256(file))).collect();
        bundle.manifest.sha256 = digests;
        let cannot = |error: manifest::Error| Fault::Manifest(error.to_string());
        bundle.manifest.check().map_err(cannot)?;
        bundle.manifest_text = bundle.manifest.to_text().map_err(cannot)?.into_bytes();
        // Read back like any other bundle, so that files over the limits are found now.
        let mut read = Files::default();
        bundle.files().try_for_each(|(name, bytes)| read.read(name, bytes.len() as u64, bytes))?;
        let bundle = Bundle::from_files(read)?;
        bundle.open(factory)?;
        Ok(bundle)
    }
}

#[cfg(test)]
mod tests;
