//! Statistics and p-values are those of `scipy`: `scipy_cases.py` wrote `scipy_cases.json`.

use qualm_drift::adjust::benjamini_hochberg;
use qualm_drift::binned::{chi_square, chi_square_survival, jensen_shannon, stability_index};
use qualm_drift::two_sample::{distances, ks_asymptotic, ks_exact};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    two_sample: Vec<TwoSample>,
    binned: Vec<Binned>,
    survival: Vec<Survival>,
    kolmogorov: Vec<Kolmogorov>,
    adjusted: Vec<Adjusted>,
}

#[derive(Deserialize)]
struct TwoSample {
    name: String,
    a: Vec<f64>,
    b: Vec<f64>,
    statistic: f64,
    p_value: f64,
    wasserstein: f64,
}

#[derive(Deserialize)]
struct Binned {
    name: String,
    reference: Vec<f64>,
    live: Vec<f64>,
    statistic: f64,
    p_value: f64,
    jensen_shannon: f64,
    stability_index: f64,
}

#[derive(Deserialize)]
struct Survival {
    x: f64,
    degrees: u32,
    p_value: f64,
}

#[derive(Deserialize)]
struct Kolmogorov {
    statistic: f64,
    n: usize,
    m: usize,
    p_value: f64,
}

#[derive(Deserialize)]
struct Adjusted {
    p_values: Vec<f64>,
    adjusted: Vec<f64>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("scipy_cases.json")).expect("scipy_cases.py wrote it")
}

/// Within 10⁻⁹ of what it is, however small that is. Below 10⁻³⁰⁰ doubles have fewer digits.
fn assert_near(ours: f64, theirs: f64, what: &str) {
    let near = if theirs.abs() < 1e-300 { ours.abs() < 2e-300 } else { (ours - theirs).abs() <= 1e-9 * theirs.abs() };
    assert!(near, "{what}: {ours:e}, SciPy has {theirs:e}");
}

#[test]
fn two_samples() {
    for case in cases().two_sample {
        let TwoSample { name, a, b, statistic, p_value, wasserstein: distance } = case;
        assert_near(distances(&a, &b).ks, statistic, &format!("{name}: statistic"));
        assert_near(ks_exact(statistic, a.len(), b.len()), p_value, &format!("{name}: p-value"));
        assert_near(ks_exact(statistic, b.len(), a.len()), p_value, &format!("{name}: p-value, the other way round"));
        assert_near(distances(&a, &b).wasserstein, distance, &format!("{name}: Wasserstein"));
    }
}

#[test]
fn counts_in_bins() {
    for case in cases().binned {
        let Binned { name, reference, live, statistic, p_value, jensen_shannon: distance, stability_index: index } =
            case;
        let test = chi_square(&reference, &live);
        assert_near(test.statistic, statistic, &format!("{name}: chi-square"));
        assert_near(test.p_value, p_value, &format!("{name}: p-value"));
        assert_near(jensen_shannon(&reference, &live), distance, &format!("{name}: Jensen–Shannon"));
        assert_near(stability_index(&reference, &live), index, &format!("{name}: stability index"));
    }
}

#[test]
fn survival_functions() {
    for Survival { x, degrees, p_value } in cases().survival {
        assert_near(chi_square_survival(x, degrees), p_value, &format!("{x} with {degrees} degrees"));
    }
    for Kolmogorov { statistic, n, m, p_value } in cases().kolmogorov {
        assert_near(ks_asymptotic(statistic, n, m), p_value, &format!("Kolmogorov of {statistic}"));
    }
}

#[test]
fn adjusted_p_values() {
    for Adjusted { p_values, adjusted } in cases().adjusted {
        for (ours, theirs) in benjamini_hochberg(&p_values).into_iter().zip(adjusted) {
            assert_near(ours, theirs, "adjusted");
        }
    }
}
