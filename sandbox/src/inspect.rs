//! Inspection of a component before it is compiled: its imports, and the version of the contract.

use std::collections::BTreeSet;

use qualm_system::untrusted::one_line;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, Encoding, Parser, Payload,
};

/// The interface that every detector exports, before its version.
const DETECTION_INTERFACE: &str = "qualm:detector/detection@";
/// The interface of detectors with training.
const TRAINING_INTERFACE: &str = "qualm:detector/training@";
/// The interface that detectors may import.
pub(crate) const LOG_INTERFACE: &str = "qualm:detector/log@";

/// The prefix of compatible versions of the contract.
const KNOWN_CONTRACTS: &str = "0.1.";

/// The parts of WASI 0.2 that a language's runtime may import. They give no rights.
const WASI_PACKAGES: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// The most bytes of a component. A whole Python takes 18 MiB.
const MAX_COMPONENT_BYTES: usize = 96 << 20;

/// The deepest nesting of modules and components: enough for tools, and few enough for any stack.
const MAX_NESTING: usize = 8;

/// What is known of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentInfo {
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// Whether it has training.
    pub trains: bool,
    /// Whether it is composed of components that call each other, as tools that replace WASI produce. The engine copies their
    /// arguments, which no deadline interrupts.
    pub composed: bool,
}

/// Why a component is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// It is too large.
    #[error("it has {0} bytes; {MAX_COMPONENT_BYTES} are the most that a component may have")]
    Large(usize),
    /// It is no component.
    #[error("it is no WebAssembly component ({0}); `qualm plugin new` makes a folder that builds one")]
    Malformed(String),
    /// It imports something that is not allowed.
    #[error(
        "it imports `{0}`, which a detector may not have: only `qualm:detector/log`, and of WASI_PACKAGES 0.2 `cli`, `clocks`, \
         `filesystem`, `io`, `random` and `sockets`, without any rights"
    )]
    Import(String),
    /// It is composed of components in a way that may take unlimited time.
    #[error("it is composed of components that call one another, and {0}")]
    Composed(&'static str),
    /// It is no detector.
    #[error("it does not export `qualm:detector/detection`, as a detector must; see wit/detection.wit")]
    NoDetector,
    /// It is built for an unsupported version of the contract.
    #[error("it is built for version {version} of `qualm:detector`; known here is {KNOWN_CONTRACTS}x: {}", remedy(.version))]
    Contract {
        /// Its version.
        version: String,
    },
}

/// Reads the outermost layer of a component, in time linear in its size.
///
/// # Errors
///
/// Why it cannot be used.
pub fn inspect(component: &[u8]) -> Result<ComponentInfo, ComponentError> {
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(ComponentError::Large(component.len()));
    }
    let malformed = |why: &dyn std::fmt::Display| ComponentError::Malformed(one_line(&why.to_string()));
    let (mut imports, mut contract, mut trains) = (Vec::new(), None, false);
    let (mut depth, mut lifted, mut composed, mut utf8) = (0, false, false, true);
    // The components that are instantiated in each of those that are being read.
    let mut instantiated = vec![BTreeSet::new()];
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| malformed(&error))?;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(malformed(&"it is a module, and not made a component yet"));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                instantiated.push(BTreeSet::new());
            }
            Payload::End(_) => {
                depth -= 1; // the last one is that of the component itself
                instantiated.pop();
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(|error| malformed(&error))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let name = export.map_err(|error| malformed(&error))?.name.name;
                    trains |= name.starts_with(TRAINING_INTERFACE);
                    // Of several versions, a compatible one.
                    let is_known =
                        contract.as_ref().is_some_and(|contract: &String| contract.starts_with(KNOWN_CONTRACTS));
                    if let (Some(version), false) = (name.strip_prefix(DETECTION_INTERFACE), is_known) {
                        contract = Some(version.to_owned());
                    }
                }
            }
            // In what tools produce, a component's calls come before its exports, and nested components only pass exports on.
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    let options = match function.map_err(|error| malformed(&error))? {
                        CanonicalFunction::Lift { options, .. } => {
                            lifted = true;
                            composed |= depth > 0;
                            options
                        }
                        CanonicalFunction::Lower { options, .. } => {
                            composed |= lifted || depth > 0;
                            options
                        }
                        _ => continue,
                    };
                    let other = [CanonicalOption::UTF16, CanonicalOption::CompactUTF16];
                    utf8 &= !options.iter().any(|option| other.contains(option));
                }
            }
            // Each level could double the work, unless each component is instantiated only once.
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { component_index, .. } =
                        instance.map_err(|error| malformed(&error))?
                        && !instantiated.last_mut().is_some_and(|known| known.insert(component_index))
                    {
                        return Err(ComponentError::Composed("one of them is there twice"));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. }
                    | ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } =
                        alias.map_err(|error| malformed(&error))?
                    {
                        return Err(ComponentError::Composed("one of them has two names"));
                    }
                }
            }
            _ => {}
        }
        if depth > MAX_NESTING as i32 {
            return Err(malformed(&format!("more than {MAX_NESTING} components within one another")));
        }
    }
    let contract = contract.ok_or(ComponentError::NoDetector)?;
    if !contract.starts_with(KNOWN_CONTRACTS) {
        return Err(ComponentError::Contract { version: one_line(&contract) });
    }
    imports.iter().try_for_each(|name| check_import(name))?;
    if composed && !utf8 {
        // Converting an encoding takes ten times as long as copying.
        return Err(ComponentError::Composed("hand over texts that are not UTF-8"));
    }
    Ok(ComponentInfo { imports, contract, trains, composed })
}

fn check_import(name: &str) -> Result<(), ComponentError> {
    let version = |package: &str, track: &str| {
        name.starts_with(package) && name.rsplit_once('@').is_some_and(|(_, version)| version.starts_with(track))
    };
    if version(LOG_INTERFACE, KNOWN_CONTRACTS) || WASI_PACKAGES.iter().any(|package| version(package, "0.2.")) {
        return Ok(());
    }
    Err(ComponentError::Import(one_line(name)))
}

/// What to do about an unsupported version of the contract.
fn remedy(contract: &str) -> &'static str {
    let number = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0_u32)).collect::<Vec<_>>();
    if number(contract) > number(KNOWN_CONTRACTS) {
        "a newer qualm may run it"
    } else {
        "build it anew against this version's wit/detection.wit"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(component: &str) -> Result<ComponentInfo, ComponentError> {
        inspect(&wat::parse_str(component).unwrap())
    }

    fn exporting(version: &str) -> String {
        format!("(component (instance $i) (export \"qualm:detector/detection@{version}\" (instance $i)))")
    }

    fn importing(name: &str, what: &str) -> Result<ComponentInfo, ComponentError> {
        text(&exporting("0.1.1").replacen("(component ", &format!("(component (import \"{name}\" ({what}))"), 1))
    }

    #[test]
    fn our_own_detector_imports_nothing() {
        let component_info = inspect(qualm_components::DETECTOR).unwrap();
        assert_eq!(
            component_info,
            ComponentInfo { imports: Vec::new(), contract: "0.1.2".to_owned(), trains: false, composed: false }
        );
    }

    #[test]
    fn components_that_call_one_another_are_distinguished() {
        let lifted = "(core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) \
                      (func $f (canon lift (core func $i \"f\")))";
        for (within, composed) in [
            (format!("(component {lifted})"), true),
            (format!("{lifted} (core func (canon lower (func $f)))"), true),
            (lifted.to_owned(), false),
        ] {
            let component = exporting("0.1.1").replacen("(component ", &format!("(component {within} "), 1);
            assert_eq!(text(&component).unwrap().composed, composed, "{within}");
        }
    }

    #[test]
    fn what_is_no_detector_is_refused_in_words() {
        let deep = "(component ".repeat(10) + &")".repeat(10);
        let large = vec![0; MAX_COMPONENT_BYTES + 1];
        let doubling = "(component (component (component $c) (instance (instantiate $c)) (instance (instantiate $c))))";
        let renaming = "(component (component $c) (component (alias outer 1 $c (component))))";
        let utf16 = exporting("0.1.1").replacen(
            "(component ",
            "(component (component (core module $m (memory (export \"m\") 1) (func (export \"f\") (param i32 i32)) \
             (func (export \"r\") (param i32 i32 i32 i32) (result i32) (i32.const 0))) \
             (core instance $i (instantiate $m)) (func (param \"t\" string) (canon lift (core func $i \"f\") \
             (memory $i \"m\") (realloc (func $i \"r\")) string-encoding=utf16)))",
            1,
        );
        for (component, what) in [
            (inspect(b"{}"), "it is no WebAssembly component (unexpected end"),
            (inspect(&[0; 64]), "it is no WebAssembly component (magic header not detected"),
            (inspect(&large), "100663297 bytes"),
            (text("(module)"), "it is a module, and not made a component yet"),
            (text(doubling), "it is composed of components that call one another, and one of them is there twice"),
            (text(renaming), "one of them has two names"),
            (text(&utf16), "hand over texts that are not UTF-8"),
            (text("(component)"), "does not export `qualm:detector/detection`"),
            (text(&deep), "more than 8 components within one another"),
            (importing("env", "func"), "it imports `env`, which"),
            (importing("wasi:http/types@0.2.0", "instance"), "it imports `wasi:http/types@0.2.0`"),
            (importing("wasi:cli/stdout@0.3.0", "instance"), "it imports `wasi:cli/stdout@0.3.0`"),
            (importing("qualm:detector/log@0.2.0", "instance"), "it imports `qualm:detector/log@0.2.0`"),
            (text(&exporting("0.2.0")), "version 0.2.0 of `qualm:detector`; known here is 0.1.x: a newer qualm may"),
            (text(&exporting("0.0.9")), "build it anew"),
        ] {
            let error = component.unwrap_err().to_string();
            assert!(error.contains(what), "{error}, and not {what}");
        }
        let mut cut = qualm_components::DETECTOR.to_vec();
        cut.truncate(cut.len() / 2);
        assert!(matches!(inspect(&cut), Err(ComponentError::Malformed(_))));
        assert_eq!(text(&exporting("0.1.7")).unwrap().contract, "0.1.7");
    }
}
