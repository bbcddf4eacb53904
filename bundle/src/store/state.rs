//! `store.toml`: which bundle is current.

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;

const HEAD: &str = "\
# Which of the bundles beside this file runs. qualm writes it; to go back to an earlier one: `qualm bundle rollback`.

";

/// The contents of `store.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The version that ran before the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<u64>,
    /// Bundles up to this version are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rolled_back_from: Option<u64>,
    /// The current bundle; `None` only without a file.
    pub(super) current: Option<Current>,
}

/// The identity of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) sha256: String,
}

impl State {
    /// `None` if it is damaged.
    pub(super) fn parse(text: &str) -> Option<Self> {
        toml::from_str(text).ok().filter(|state: &Self| state.current.is_some())
    }

    pub(super) fn to_text(&self) -> String {
        // Numbers and strings always serialise.
        format!("{HEAD}{}", toml::to_string(self).expect("a store's state is TOML"))
    }
}

impl Current {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let (name, version) = (bundle.manifest.name.clone(), bundle.manifest.version);
        Self { name, version, sha256: bundle.digest() }
    }
}
