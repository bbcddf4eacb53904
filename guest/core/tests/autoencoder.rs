//! Networks reconstruct what ONNX Runtime does; see `autoencoder/make.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rule;

use std::fs;
use std::path::Path;

use qualm_core::autoencoder::Autoencoder;
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};
use qualm_core::autoencoder::weights::{Tensor, Weights};
use qualm_core::model::{Model, Writer};
use serde::Deserialize;

use rule::{WINDOW, by_rule};

#[derive(Deserialize)]
struct Case {
    network: String,
    features: usize,
    window: usize,
    hidden: usize,
    layers: usize,
    bottleneck: usize,
    kernel: usize,
    saved: bool,
    output: Vec<f32>,
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_slice(include_bytes!("autoencoder/cases.json")).unwrap()
    }

    fn architecture(&self, order: Order) -> Architecture {
        let Self { features, window, hidden, layers, bottleneck, kernel, .. } = *self;
        let network = Network::ALL.into_iter().find(|network| network.name() == self.network).unwrap();
        Architecture { network, features, window, hidden, layers, bottleneck, kernel, order }
    }

    fn weights(&self, order: Order) -> Weights {
        let architecture = self.architecture(order);
        if !self.saved {
            return rule::weights(architecture);
        }
        let file = format!("tests/autoencoder/{}.safetensors", self.network);
        let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let model = Model::read(&bytes).unwrap();
        let tensor = |name: &str| {
            let (shape, numbers) = model.tensor_of_floats(name)?;
            Ok(Tensor { shape, numbers })
        };
        Weights::new(architecture, tensor).unwrap()
    }

    fn rows(&self) -> Vec<f32> {
        by_rule(WINDOW, self.window * self.features, 3.0)
    }
}

fn assert_close(ours: &[f32], theirs: &[f32], case: &Case) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let apart = ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
    let Case { network, features, hidden, layers, kernel, .. } = case;
    println!("{network} {features} features, hidden {hidden}, {layers} layers, kernel {kernel}: {apart:.1e}");
    assert!(apart < 1e-5, "{network}: {apart} apart");
    apart
}

#[test]
fn windows_are_reconstructed_as_onnx_runtime_does() {
    for case in Case::all() {
        let mut network = Autoencoder::new(&case.weights(Order::Forward));
        let mut out = vec![f32::NAN; case.output.len()];
        network.reconstruct(&case.rows(), &mut out);
        assert_close(&out, &case.output, &case);
    }
}

#[test]
fn reversed_decodes_the_newest_row_first() {
    for case in Case::all() {
        let (rows, features) = (case.rows(), case.features);
        let mut network = Autoencoder::new(&case.weights(Order::Reversed));
        let mut out = vec![f32::NAN; case.output.len()];
        network.reconstruct(&rows, &mut out);
        let mut expected = case.output.clone();
        if case.network != "conv" {
            expected = case.output.chunks(features).rev().flatten().copied().collect();
        }
        assert_close(&out, &expected, &case);
    }
}

#[test]
fn the_newest_row_alone_has_the_same_bits() {
    for case in Case::all() {
        for order in Order::ALL {
            let mut network = Autoencoder::new(&case.weights(order));
            let (mut all, mut newest) = (vec![f32::NAN; case.output.len()], vec![f32::NAN; case.features]);
            network.reconstruct_newest(&case.rows(), &mut newest);
            network.reconstruct(&case.rows(), &mut all);
            assert_eq!(bits(&newest), bits(&all[all.len() - case.features..]), "{} {order:?}", case.network);
        }
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn what_was_reconstructed_before_does_not_matter() {
    for case in Case::all() {
        let rows = case.rows();
        let weights = case.weights(Order::Forward);
        let (mut first, mut later) = (vec![f32::NAN; rows.len()], vec![f32::NAN; rows.len()]);
        Autoencoder::new(&weights).reconstruct(&rows, &mut first);
        let mut network = Autoencoder::new(&weights);
        for other in [f32::MAX, -1e-40, f32::NAN] {
            network.reconstruct(&vec![other; rows.len()], &mut later);
        }
        network.reconstruct(&rows, &mut later);
        assert_eq!(bits(&first), bits(&later), "{}", case.network);
    }
}

#[test]
fn finite_windows_have_finite_reconstructions() {
    for case in Case::all() {
        let mut out = vec![f32::NAN; case.output.len()];
        let largest = |name: &str| {
            let tensors = case.architecture(Order::Forward).tensors();
            let (at, (_, shape)) = tensors.into_iter().enumerate().find(|(_, (known, _))| known == name).unwrap();
            let numbers = by_rule(at as u32, shape.iter().product(), 1.0);
            Ok(Tensor { shape, numbers: numbers.into_iter().map(|x| 1e6_f32.copysign(x)).collect() })
        };
        let largest = Weights::new(case.architecture(Order::Forward), largest).unwrap();
        for weights in [case.weights(Order::Forward), largest] {
            let mut network = Autoencoder::new(&weights);
            for scale in [0.0, 1e-45, 1e-38, 1e3, 1e10, f32::MAX] {
                for alike in [false, true] {
                    let signs = case.rows().into_iter();
                    let rows: Vec<f32> = signs.map(|sign| if alike { scale } else { scale.copysign(sign) }).collect();
                    network.reconstruct(&rows, &mut out);
                    assert!(out.iter().all(|number| number.is_finite()), "{} {scale}", case.network);
                }
            }
        }
    }
}

/// The gates are saturated: twice as much is the same.
#[test]
fn recurrent_networks_saturate() {
    for case in Case::all().into_iter().filter(|case| case.network != "conv") {
        let mut network = Autoencoder::new(&case.weights(Order::Forward));
        let mut reconstruct = |scale: f32| {
            let rows: Vec<f32> = case.rows().into_iter().map(|number| scale.copysign(number)).collect();
            let mut out = vec![f32::NAN; rows.len()];
            network.reconstruct(&rows, &mut out);
            out
        };
        assert_eq!(bits(&reconstruct(1e6)), bits(&reconstruct(f32::MAX)), "{}", case.network);
        assert!(reconstruct(f32::MAX).iter().all(|number| number.abs() < 10.0), "{}", case.network);
    }
}

#[test]
fn weights_are_written_as_they_are_read() {
    let mut writer = Writer::default();
    let all: Vec<Weights> =
        Case::all().iter().filter(|case| case.saved).map(|case| case.weights(Order::Reversed)).collect();
    for weights in &all {
        weights.write_model(&mut writer);
    }
    let bytes = writer.finish();
    let model = Model::read(&bytes).unwrap();
    for weights in all {
        assert_eq!(Weights::read_model(*weights.architecture(), &model).unwrap(), weights);
    }
    let other = Architecture { hidden: 6, ..Case::all()[0].architecture(Order::Forward) };
    let error = Weights::read_model(other, &model).unwrap_err().to_string();
    assert!(
        error.contains("`encoder.weight_ih_l0` has the shape [20, 3], with 60 numbers; it must be [24, 3]"),
        "{error}"
    );
}

#[test]
fn what_are_no_weights_is_refused() {
    for case in Case::all() {
        let (architecture, weights) = (case.architecture(Order::Forward), case.weights(Order::Forward));
        for (spoilt, shape) in architecture.tensors() {
            let refused = |spoil: &dyn Fn(&mut Tensor)| {
                let tensor = |name: &str| {
                    let tensors = architecture.tensors();
                    let shape = tensors.into_iter().find(|(known, _)| known == name).unwrap().1;
                    let mut tensor = Tensor { shape, numbers: weights.tensor(name).to_vec() };
                    if name == spoilt {
                        spoil(&mut tensor);
                    }
                    Ok(tensor)
                };
                Weights::new(architecture, tensor).unwrap_err().to_string()
            };
            assert!(refused(&|tensor| tensor.shape.push(1)).contains("must be"));
            assert!(refused(&|tensor| tensor.shape[0] += 1).contains(&format!("it must be {shape:?}")));
            assert!(refused(&|tensor| tensor.numbers.push(0.0)).contains("numbers; it must be"));
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e6] {
                let error = refused(&|tensor| *tensor.numbers.last_mut().unwrap() = value);
                assert!(error.contains(&format!("`{spoilt}` has a weight of {value}")), "{error}");
            }
        }
        let bytes = Writer::default().finish();
        let error = Weights::read_model(architecture, &Model::read(&bytes).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("no array `{}.encoder.", case.network)), "{error}");
        let wrong = Architecture { features: 0, ..architecture };
        assert!(Weights::new(wrong, |_| unreachable!()).unwrap_err().to_string().contains("`features` is 0"));
    }
}

#[test]
fn reconstruction_does_not_allocate() {
    for case in Case::all() {
        let rows = case.rows();
        let (mut out, mut newest) = (vec![0.0; rows.len()], vec![0.0; case.features]);
        let mut network = Autoencoder::new(&case.weights(Order::Reversed));
        let info = allocation_counter::measure(|| {
            network.reconstruct(&rows, &mut out);
            network.reconstruct_newest(&rows, &mut newest);
        });
        assert_eq!(info.count_total, 0, "{}: {info:?}", case.network);
    }
}
