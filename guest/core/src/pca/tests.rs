//! The detector as a whole, and what the tests of its parts share.

use qualm_contract::{Detector, Wanted};

use super::form::{Form, Parts};
use super::*;
use crate::linalg::as_matrix;
use crate::trained::Kernel;
use crate::trained::calibrate::Threshold;

/// Random numbers: xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, near enough: the sum of twelve uniform ones.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// What reference.py wrote.
pub(crate) struct Reference(&'static str);

impl Reference {
    pub(crate) fn read() -> Self {
        Self(include_str!("reference.txt"))
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let line = line.unwrap_or_else(|| panic!("reference.txt has no `{name}`"));
        line.split(' ').map(|number| number.parse().unwrap()).collect()
    }

    /// Sees whether numbers are as they are there, but for `error` times the largest.
    pub(crate) fn near(&self, name: &str, numbers: &[f64], error: f64) {
        let expected = self.numbers(name);
        assert_eq!(expected.len(), numbers.len(), "{name}");
        let scale = expected.iter().fold(0.0, |scale, x| f64::max(scale, x.abs()));
        for (at, (expected, found)) in expected.iter().zip(numbers).enumerate() {
            assert!((expected - found).abs() <= error * scale, "{name}, number {at} is {found}, not {expected}");
        }
    }
}

fn settings(scaling: Scaling) -> Settings {
    Settings { scaling, threshold: Threshold::FalseAlarmRate(1e-4), ..Settings::default() }
}

/// Rows of six features on two causes: the fifth is twice the first, the sixth never moves.
fn rows(random: &mut Random, count: usize) -> Vec<f64> {
    let mut rows = Vec::new();
    for _ in 0..count {
        let (a, b) = (random.normal(), random.normal());
        let first = a + 0.1 * random.normal();
        let rest = [a + b + 0.1 * random.normal(), b - a + 0.1 * random.normal(), b + 0.1 * random.normal()];
        rows.extend([first, rest[0], rest[1], rest[2], 2.0 * first, 0.25]);
    }
    rows
}

fn fitted(train: &[f64], features: usize, scaling: Scaling, parameters: &Parameters) -> Result<Trained, FitError> {
    let validation: Vec<f64> = train.iter().copied().cycle().take(400 * features).collect();
    let batch = Batch { series: &[0; 400], times: &[0; 400], values: &validation };
    fit(Rows::new(train, features), batch, &settings(scaling), parameters)
}

fn observed(detector: &mut dyn Detector, values: &[f64]) -> qualm_contract::Verdicts {
    let count = values.len() / detector.describe().features as usize;
    let batch = Batch { series: &vec![0; count], times: &vec![0; count], values };
    detector.verdicts_of(batch, Wanted::CONTRIBUTIONS).unwrap()
}

/// Each index with each way to add up errors, and what else changes the way of a row.
fn variety() -> Vec<Parameters> {
    let mut all = Vec::new();
    for index in [Index::Distance, Index::Error, Index::Combined] {
        for residuals in [Residuals::Plain, Residuals::Weighted { clip: Some(4.0) }, Residuals::Weighted { clip: None }]
        {
            for components in [Components::Share(0.9), Components::Count(1)] {
                for (clip, shrinkage) in [(None, Shrinkage::Fixed(0.0)), (Some(5.0), Shrinkage::Auto)] {
                    let learning_clip = clip.map(|clip| clip / 2.0);
                    all.push(Parameters { components, shrinkage, clip, learning_clip, index, residuals });
                }
            }
        }
    }
    all
}

#[test]
fn it_is_what_numpy_makes_of_the_same_rows() {
    let reference = Reference::read();
    let (train, rows) = (reference.numbers("train rows"), reference.numbers("rows"));
    let count = |count| Components::Count(count);
    let default = Parameters::default();
    let clipped = |clip| Residuals::Weighted { clip };
    let cases = [
        ("default", default.clone()),
        (
            "distance",
            Parameters {
                index: Index::Distance,
                clip: None,
                learning_clip: None,
                shrinkage: Shrinkage::Fixed(0.0),
                components: count(2),
                ..default.clone()
            },
        ),
        (
            "full distance",
            Parameters {
                index: Index::Distance,
                clip: Some(10.0),
                learning_clip: None,
                shrinkage: Shrinkage::Fixed(0.1),
                components: count(6),
                ..default.clone()
            },
        ),
        ("error", Parameters { index: Index::Error, clip: None, components: count(1), ..default.clone() }),
        (
            "weighted",
            Parameters { clip: Some(10.0), components: count(2), residuals: clipped(Some(4.0)), ..default.clone() },
        ),
        (
            "weighted error",
            Parameters { index: Index::Error, clip: Some(3.0), residuals: clipped(None), ..default.clone() },
        ),
    ];
    for (name, parameters) in cases {
        let mut form = learn::learn(as_matrix(&train, 6), &parameters).unwrap();
        let mut raw = Vec::new();
        form.score_rows(as_matrix(&rows, 6), &mut raw);
        reference.near(&format!("{name} raw"), &raw, 1e-11);
        let mut contributions = vec![0.0; rows.len()];
        for (row, contributions) in rows.chunks_exact(6).zip(contributions.chunks_exact_mut(6)) {
            form.explain_row(row, contributions);
        }
        reference.near(&format!("{name} contributions"), &contributions, 1e-11);
    }
}

#[test]
fn contributions_add_up_and_rows_do_not_know_of_one_another() {
    let train = rows(&mut Random(1), 500);
    let test: Vec<f64> = rows(&mut Random(2), 50).iter().enumerate().map(|(at, x)| x * (at % 7) as f64).collect();
    for parameters in variety() {
        let mut form = learn::learn(as_matrix(&train, 6), &parameters).unwrap();
        let (mut together, mut alone, mut contributions) = (Vec::new(), Vec::new(), [f64::NAN; 6]);
        form.score_rows(as_matrix(&test, 6), &mut together);
        for (row, together) in test.chunks_exact(6).zip(&together) {
            form.score_rows(as_matrix(row, 6), &mut alone);
            form.explain_row(row, &mut contributions);
            let sum: f64 = contributions.iter().sum();
            assert!(contributions.iter().all(|x| *x >= 0.0), "{parameters:?}: {contributions:?}");
            assert!((sum - together * together).abs() <= 1e-12 * sum, "{parameters:?}: {sum} is not {together}²");
        }
        let bits = |raw: &[f64]| raw.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone));
    }
}

#[test]
fn what_breaks_the_correlation_is_found_where_no_feature_is_out() {
    let random = &mut Random(3);
    let (train, validation) = (rows(random, 2000), rows(random, 2000));
    let batch = Batch { series: &[0; 2000], times: &[0; 2000], values: &validation };
    // In the training rows the first two features are both high, or both low, more often than not; the first and the
    // fifth always are.
    let mut planted = rows(random, 1);
    (planted[0], planted[4]) = (1.0, -2.0);
    let zscore = crate::zscore::fit(Rows::new(&train, 6), batch, &settings(Scaling::Standard)).unwrap();
    let score = |model: &[u8]| observed(&mut *crate::open(model).unwrap(), &planted).scores[0];
    assert!(score(&zscore.to_model()) < 0.9);
    let weighted = Residuals::Weighted { clip: Some(10.0) };
    for (index, residuals) in
        [(Index::Error, Residuals::Plain), (Index::Combined, Residuals::Plain), (Index::Combined, weighted)]
    {
        let parameters = Parameters { index, residuals, ..Parameters::default() };
        let pca = fit(Rows::new(&train, 6), batch, &settings(Scaling::Standard), &parameters).unwrap();
        let score = score(&pca.to_model());
        assert!(score > 1.0, "{score} by {index:?}, {residuals:?}");
        let explained = observed(&mut *crate::open(&pca.to_model()).unwrap(), &planted).contributions;
        let largest = (0..6).max_by(|&a, &b| explained[a].total_cmp(&explained[b])).unwrap();
        assert!([0, 4].contains(&largest), "{explained:?}");
    }
}

#[test]
fn a_single_feature_far_out_is_found_among_many_that_do_as_they_like() {
    let random = &mut Random(10);
    let train: Vec<f64> = (0..40 * 2000).map(|_| random.normal()).collect();
    let validation: Vec<f64> = (0..40 * 2000).map(|_| random.normal()).collect();
    let batch = Batch { series: &[0; 2000], times: &[0; 2000], values: &validation };
    let trained = fit(Rows::new(&train, 40), batch, &settings(Scaling::Standard), &Parameters::default()).unwrap();
    let model = trained.to_model();
    for feature in 0..40 {
        let mut detector = crate::open(&model).unwrap();
        let mut row = train[..40].to_vec();
        row[feature] = 1e3;
        let verdicts = observed(&mut *detector, &row);
        assert!(verdicts.scores[0] > 1.0, "{feature}: {}", verdicts.scores[0]);
        assert!(verdicts.contributions.iter().all(|x| *x <= verdicts.contributions[feature]), "{feature}");
    }
}

#[test]
fn values_that_are_not_scaled_are_not_clipped() {
    let random = &mut Random(11);
    let train: Vec<f64> = rows(random, 1000).iter().map(|x| 1e6 + 1e3 * x).collect();
    let trained = fitted(&train, 6, Scaling::None, &Parameters::default()).unwrap();
    let mut detector = crate::open(&trained.to_model()).unwrap();
    let mut row = train[..6].to_vec();
    assert!(observed(&mut *detector, &row).scores[0] < 1.0);
    row[4] = 2e6 - row[4] + 3e3;
    assert!(observed(&mut *detector, &row).scores[0] > 1.0);
}

#[test]
fn rows_that_say_little_blow_nothing_up() {
    let random = &mut Random(4);
    let few = rows(random, 3);
    let constant = [3.0, 0.1, -1e9].repeat(50);
    let doubled: Vec<f64> = (0..300).flat_map(|_| [random.normal(); 7]).collect();
    let alone: Vec<f64> = (0..300).map(|_| random.normal()).collect();
    let far: Vec<f64> = (0..300).flat_map(|at| [if at == 7 { 1e300 } else { random.normal() }, -1e200]).collect();
    let holes: Vec<f64> =
        rows(random, 200).iter().map(|x| if random.uniform() < 0.3 { f64::NAN } else { *x }).collect();
    for (train, features) in [(&few, 6), (&constant, 3), (&doubled, 7), (&alone, 1), (&far, 2), (&holes, 6)] {
        for scaling in Scaling::ALL {
            for parameters in variety() {
                let trained = match fitted(train, features, scaling, &parameters) {
                    Ok(trained) => trained,
                    // A single feature leaves no error.
                    Err(error) => {
                        assert!(parameters.index == Index::Error && error.0.contains("unexplained"), "{error}");
                        continue;
                    }
                };
                let mut detector = crate::open(&trained.to_model()).unwrap();
                let same = observed(&mut *detector, train).scores;
                assert!(same.iter().all(|score| score.is_finite() || features == 6), "{scaling:?} {parameters:?}");
                for value in [f64::MAX, -f64::MAX, 1e6, 0.0, f64::INFINITY] {
                    let verdicts = observed(&mut *detector, &vec![value; features]);
                    let finite = |x: &f64| x.is_finite() && *x >= 0.0;
                    assert!(verdicts.scores.iter().chain(&verdicts.contributions).all(finite), "{verdicts:?}");
                }
                let missing = observed(&mut *detector, &vec![f64::NAN; features]);
                assert!(missing.scores[0].is_nan());
            }
        }
    }
    // Rows as they were in training are ordinary, be they all alike, and no others are. (In which of the directions that
    // the distance looks at something moved is chance then.)
    for parameters in variety().into_iter().filter(|parameters| parameters.index != Index::Distance) {
        let trained = fitted(&constant, 3, Scaling::Standard, &parameters).unwrap();
        let mut detector = crate::open(&trained.to_model()).unwrap();
        let verdicts = observed(&mut *detector, &[3.0, 0.1, -1e9, 3.0, 0.1, 1e9]);
        assert!(verdicts.scores[0] == 0.0 && verdicts.scores[1] > 1.0, "{parameters:?}: {verdicts:?}");
    }
}

#[test]
fn a_model_is_the_same_bytes_and_scores_to_the_bit() {
    let train = rows(&mut Random(5), 300);
    let test = rows(&mut Random(6), 21);
    for parameters in variety() {
        let mut trained = fitted(&train, 6, Scaling::Robust, &parameters).unwrap();
        let model = trained.to_model();
        assert_eq!(model, fitted(&train, 6, Scaling::Robust, &parameters).unwrap().to_model());
        let mut opened = open(&Model::read(&model).unwrap()).unwrap();
        assert_eq!(opened.to_model(), model);
        let series = [0; 21];
        let batch = Batch { series: &series, times: &[0; 21], values: &test };
        let bits = |trained: &mut Trained| trained.raw_scores(batch).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&mut opened), bits(&mut trained));
    }
}

#[test]
fn a_damaged_model_is_refused_or_scores_all_the_same() {
    let train = rows(&mut Random(7), 300);
    let model = fitted(&train, 6, Scaling::Standard, &Parameters::default()).unwrap().to_model();
    let random = &mut Random(8);
    let (mut opened, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut damaged = model.clone();
        for _ in 0..=round % 3 {
            let at = (random.uniform() * damaged.len() as f64) as usize;
            damaged[at] = match round % 2 {
                0 => (random.uniform() * 256.0) as u8,
                _ => damaged[at] ^ (1 << (random.uniform() * 8.0) as u8),
            };
        }
        if round % 10 == 0 {
            damaged.truncate((random.uniform() * damaged.len() as f64) as usize);
        }
        let Ok(mut detector) = crate::open(&damaged) else {
            refused += 1;
            continue;
        };
        opened += 1;
        if detector.describe().features == 6 {
            let verdicts = observed(&mut *detector, &train[..60]);
            assert!(verdicts.scores.iter().all(|score| score.is_finite()), "{verdicts:?}");
        }
    }
    assert!(opened > 1000 && refused > 1000, "{opened} opened, {refused} refused");
}

#[test]
fn parts_that_cannot_be_are_refused() {
    let good = Parts {
        clip: 5.0,
        mean: vec![0.0; 2],
        component_weights: vec![1.0],
        error_weights: vec![1.0; 2],
        error_clip: 3.0,
    };
    let loadings = [0.6, 0.8];
    let read = |parts: Parts, loadings: &[f64], features: usize| {
        let mut writer = crate::model::Writer::default();
        Form::new(parts, as_matrix(loadings, 2)).write_model(&mut writer);
        Form::read_model(&Model::read(&writer.finish()).unwrap(), features).map(|_| ())
    };
    read(good.clone(), &loadings, 2).unwrap();
    for (parts, features, what) in [
        (good.clone(), 3, "`mean` has 2 numbers"),
        (good.clone(), 5000, "5000 features"),
        (Parts { clip: 0.0, ..good.clone() }, 2, "`clip` of 0"),
        (Parts { error_clip: f64::INFINITY, ..good.clone() }, 2, "`error_clip` is inf"),
        (Parts { component_weights: vec![-1.0], ..good.clone() }, 2, "`component_weights` has -1"),
        (Parts { error_weights: vec![1e300, 0.0], ..good.clone() }, 2, "`error_weights` has 1e300"),
        (Parts { mean: vec![f64::NAN, 0.0], ..good.clone() }, 2, "`mean` has a NaN"),
    ] {
        let error = read(parts, &loadings, features).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    let error = read(good.clone(), &[0.6, -7.0], 2).unwrap_err();
    assert!(error.to_string().contains("`loadings` has -7"), "{error}");
    let error = read(Parts { component_weights: vec![], ..good }, &[], 2).unwrap_err();
    assert!(error.to_string().contains("0 components"), "{error}");
}

#[test]
fn parameters_that_cannot_be_are_refused() {
    let train = rows(&mut Random(9), 100);
    let default = Parameters::default();
    for (parameters, what) in [
        (Parameters { components: Components::Count(0), ..default.clone() }, "0 components"),
        (Parameters { components: Components::Count(7), ..default.clone() }, "7 components"),
        (Parameters { components: Components::Share(f64::NAN), ..default.clone() }, "share of variance"),
        (Parameters { shrinkage: Shrinkage::Fixed(1.5), ..default.clone() }, "shrinkage of 1.5"),
        (Parameters { clip: Some(0.0), ..default.clone() }, "values are clipped at 0"),
        (Parameters { learning_clip: Some(f64::NAN), ..default.clone() }, "values to learn from are clipped at NaN"),
        (Parameters { residuals: Residuals::Weighted { clip: Some(-1.0) }, ..default.clone() }, "errors are clipped"),
        (
            Parameters {
                components: Components::Count(6),
                shrinkage: Shrinkage::Fixed(0.1),
                index: Index::Error,
                ..default.clone()
            },
            "unexplained",
        ),
    ] {
        let error = fitted(&train, 6, Scaling::Standard, &parameters).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(fitted(&train[..6], 6, Scaling::Standard, &default).unwrap_err().0.contains("two rows"));
    for index in Index::ALL {
        assert_eq!(index.name().parse(), Ok(index));
    }
    assert!("both".parse::<Index>().unwrap_err().to_string().contains("`both` is no index"));
}
