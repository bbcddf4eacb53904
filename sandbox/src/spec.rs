//! What a detector is started from: its component, its model, its limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use wasmtime::component::{Component, InstancePre};

use crate::bindings::exports::qualm::detector::{details, detection, siblings};
use crate::engine::Sandbox;
use crate::error::LoadError;
use crate::guest_log::GuestLog;
use crate::imports::link;
use crate::inspect::ComponentInfo;
use crate::meter::Meter;

/// The interface of reasons and bands. A component may have an older compatible version.
const DETAILS: &str = "qualm:detector/details@0.1.2";
/// The interface of siblings.
const SIBLINGS: &str = "qualm:detector/siblings@0.1.2";

/// The most memory of a component that is composed of others. To copy half of it from one to another takes the engine some ten
/// milliseconds, which no deadline interrupts.
const MAX_COMPOSED_MEMORY: usize = 32 << 20;

/// The limits of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// The deadline of a call. On a busy machine a call gets more: the second half is time on a processor.
    pub deadline: Duration,
}

impl Default for Limits {
    /// Room for a million series of `streaming` and all their seasons, and a tenth of a second: ten times what a full batch
    /// takes, and short enough not to be noticed.
    fn default() -> Self {
        Self { memory: 640 << 20, deadline: Duration::from_millis(100) }
    }
}

/// Name, version and kind of a trained model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The kind of detector.
    pub kind: String,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, kind } = self;
        write!(f, "{name} version {version} ({kind})")
    }
}

/// What is needed to start a detector, any number of times.
#[derive(Clone)]
pub struct DetectorSpec {
    pub(crate) sandbox: Sandbox,
    pub(crate) instance_pre: InstancePre<Meter>,
    pub(crate) detection: Arc<detection::GuestIndices>,
    /// If it exports reasons and bands.
    pub(crate) details: Option<Arc<details::GuestIndices>>,
    /// If it accepts groups of siblings.
    pub(crate) siblings: Option<Arc<siblings::GuestIndices>>,
    /// What is known of a plugin's component; `None` if it is built in.
    pub(crate) component_info: Option<Arc<ComponentInfo>>,
    pub(crate) log: GuestLog,
    pub(crate) model: Arc<[u8]>,
    pub(crate) title: Option<Arc<Title>>,
    pub(crate) limits: Limits,
}

impl fmt::Debug for DetectorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectorSpec").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl DetectorSpec {
    /// Compiles a trusted component.
    ///
    /// # Errors
    ///
    /// If it is no component, imports anything, or does not export the contract.
    pub fn new(sandbox: &Sandbox, component: &[u8], model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        Self::of(sandbox, &sandbox.load(component)?, model, limits)
    }

    /// Compiles an untrusted component, which may import what the contract allows.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn plugin(sandbox: &Sandbox, component: &[u8], model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let (component, component_info) = sandbox.load_plugin(component)?;
        let memory = if component_info.composed { limits.memory.min(MAX_COMPOSED_MEMORY) } else { limits.memory };
        if memory < limits.memory {
            debug!("a component that is composed of others has {} MiB of memory at most", memory >> 20);
        }
        let limits = Limits { memory, ..limits };
        Ok(Self { component_info: Some(Arc::new(component_info)), ..Self::of(sandbox, &component, model, limits)? })
    }

    fn of(sandbox: &Sandbox, component: &Component, model: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let instance_pre = link(sandbox.engine(), component)?.instantiate_pre(component)?;
        let detection = Arc::new(detection::GuestIndices::new(&instance_pre)?);
        let has_details = component.get_export_index(None, DETAILS).is_some();
        let details = has_details.then(|| details::GuestIndices::new(&instance_pre)).transpose()?.map(Arc::new);
        let has_siblings = component.get_export_index(None, SIBLINGS).is_some();
        let siblings = has_siblings.then(|| siblings::GuestIndices::new(&instance_pre)).transpose()?.map(Arc::new);
        let log = GuestLog::new("plugin");
        Ok(Self {
            sandbox: sandbox.clone(),
            instance_pre,
            detection,
            details,
            siblings,
            component_info: None,
            log,
            model: model.into(),
            title: None,
            limits,
        })
    }

    /// The same component with another model.
    #[must_use]
    pub fn with_model(&self, model: Vec<u8>) -> Self {
        Self { model: model.into(), title: None, ..self.clone() }
    }

    /// The same component, used by the interface `detection` only.
    #[must_use]
    pub fn without_details(&self) -> Self {
        Self { details: None, ..self.clone() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// Whether it gives reasons and bands.
    #[must_use]
    pub fn has_details(&self) -> bool {
        self.details.is_some()
    }

    /// Whether it accepts groups of siblings.
    #[must_use]
    pub fn has_siblings(&self) -> bool {
        self.siblings.is_some()
    }

    /// The limits of its guests.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is known of the component, if it is a plugin.
    #[must_use]
    pub fn component_info(&self) -> Option<&ComponentInfo> {
        self.component_info.as_deref()
    }

    /// The log of its guests.
    #[must_use]
    pub fn log(&self) -> &GuestLog {
        &self.log
    }

    /// The same with the title of its model.
    #[must_use]
    pub fn titled(self, title: Arc<Title>) -> Self {
        Self { log: GuestLog::new(&title.name), title: Some(title), ..self }
    }

    /// The title of its model, if that was trained.
    #[must_use]
    pub fn title(&self) -> Option<&Arc<Title>> {
        self.title.as_ref()
    }
}
