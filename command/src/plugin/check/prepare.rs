//! The first checks, each of which needs the one before: loads, trains and opens the plugin.

use qualm_contract::ParameterValue;
use qualm_sandbox::error::LoadError;
use qualm_sandbox::inspect::{ComponentError, ComponentInfo};
use qualm_sandbox::{DetectorSpec, Failure, Guest, Sandbox};
use serde_json::{Map, Value as Json};

use super::CheckError;
use super::report::{Failed, Outcome, Passed, Report, size};
use super::source::Random;
use super::subject::{Subject, limits};
use super::training;

/// Features of the training table without `--features`.
const DEFAULT_FEATURES: usize = 3;

/// A parameter that no plugin has.
const UNKNOWN_PARAMETER: &str = r#"{"no-such-parameter": 1}"#;

/// The plugin to check, and what it is opened with.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) component: Vec<u8>,
    /// The model of `--model`.
    pub(super) model: Option<Vec<u8>>,
    pub(super) features: Option<usize>,
    pub(super) parameters: Map<String, Json>,
}

/// Opens the plugin, and adds each step to the report; `None` where one fails.
///
/// # Errors
///
/// Where it is no detector, or a parameter cannot be set.
pub(super) fn prepare(
    request: &Request,
    sandbox: &Sandbox,
    report: &mut Report,
) -> Result<Option<Subject>, CheckError> {
    let spec = match DetectorSpec::plugin(sandbox, &request.component, Vec::new(), limits()) {
        Ok(spec) => spec,
        Err(LoadError::ComponentError(why @ ComponentError::Import(_))) => return Ok(failed(report, "imports", &why)),
        Err(LoadError::ComponentError(why @ ComponentError::Contract { .. })) => {
            return Ok(failed(report, "contract", &why));
        }
        Err(LoadError::ComponentError(why)) => return Err(why.into()),
        Err(why) => return Ok(failed(report, "compiles", &why)),
    };
    let Some(component_info) = spec.component_info().cloned() else { return Ok(None) };
    report.add("imports", Ok(imports(&component_info)));
    report.add("contract", Ok(contract(&component_info)));
    report.add("compiles", Ok(Passed::ok(size(request.component.len()))));
    let trains = component_info.trains && request.model.is_none();
    let model = match &request.model {
        Some(model) => Some(model.clone()),
        None if trains => {
            let parameters = parameters(&request.parameters)?;
            training::train(&spec, request.features.unwrap_or(DEFAULT_FEATURES), &parameters, report)
        }
        None => Some(Json::from(request.parameters.clone()).to_string().into_bytes()),
    };
    let Some(model) = model else { return Ok(None) };
    let is_set = request.model.is_none() && !trains;
    report.add("bad models", bad_models(&spec, &model, is_set));
    Ok(report.add_step("opens", open(sandbox, spec.with_model(model), trains, request.features)))
}

fn failed(report: &mut Report, check: &'static str, why: &dyn std::fmt::Display) -> Option<Subject> {
    report.add(check, Err(Failed::new(why.to_string())));
    None
}

fn imports(component_info: &ComponentInfo) -> Passed {
    let (wasi, ours): (Vec<_>, Vec<_>) = component_info.imports.iter().partition(|name| name.starts_with("wasi:"));
    let ours: Vec<&str> = ours.iter().map(|name| name.as_str()).collect();
    Passed::ok(match (ours.join(", "), wasi.len()) {
        (ours, 0) if ours.is_empty() => "none".to_owned(),
        (ours, 0) => ours,
        (ours, wasi) if ours.is_empty() => format!("{wasi} of WASI 0.2"),
        (ours, wasi) => format!("{ours}, and {wasi} of WASI 0.2"),
    })
}

fn contract(component_info: &ComponentInfo) -> Passed {
    let trains = if component_info.trains { ", and it learns from history" } else { "" };
    Passed::ok(format!("qualm:detector {}{trains}", component_info.contract))
}

/// The parameters in the contract's types.
fn parameters(set: &Map<String, Json>) -> Result<Vec<(String, ParameterValue)>, CheckError> {
    let value = |(name, value): (&String, &Json)| {
        let value = match value {
            Json::Bool(flag) => ParameterValue::Flag(*flag),
            Json::String(text) => ParameterValue::Text(text.clone()),
            Json::Number(number) => ParameterValue::Number(number.as_f64().unwrap_or(f64::NAN)),
            _ => return Err(CheckError::Parameter { name: name.clone(), value: value.clone() }),
        };
        Ok((name.clone(), value))
    };
    set.iter().map(value).collect()
}

/// Invalid models are refused; so is an unknown parameter, where the model is the parameters.
fn bad_models(spec: &DetectorSpec, model: &[u8], is_set: bool) -> Outcome {
    let mut bad = vec![
        ("no bytes", Vec::new()),
        ("noise", Random::new(71).bytes(100)),
        ("half a model", model[..model.len() / 2].to_vec()),
    ];
    if is_set {
        bad.push(("a parameter that nobody knows", UNKNOWN_PARAMETER.as_bytes().to_vec()));
    }
    let count = bad.len();
    for (what, model) in bad {
        match Guest::start(&spec.with_model(model)) {
            Err(Failure::Refused(why)) if why.starts_with("bad model") => {}
            Err(failure) => return Err(Failed::new(format!("given {what}, {failure}; it must answer bad-model"))),
            Ok(_) => return Err(Failed::new(format!("given {what}, it opens; it must answer bad-model"))),
        }
    }
    Ok(Passed::ok(format!("{count} kinds are refused")))
}

fn open(
    sandbox: &Sandbox,
    spec: DetectorSpec,
    trained: bool,
    features: Option<usize>,
) -> Result<(Subject, Passed), Failed> {
    let subject = Subject::open(sandbox, spec, trained)?;
    match features {
        Some(features) if features != subject.features() => Err(Failed::new(format!(
            "it describes itself as having {} features, where {features} were asked for",
            subject.features()
        ))),
        _ => Ok((subject, Passed::ok("with its model"))),
    }
}
