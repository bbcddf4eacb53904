//! Whole trainings of small networks.

use std::io;

use qualm_core::autoencoder::architecture::{Architecture, Network, Order};
use qualm_neural::{Checkpoint, CheckpointError, Options, Rows, Stop, TrainError, Trained, Watch, Windows, train};

const SMALL: Architecture = Architecture {
    network: Network::Lstm,
    features: 2,
    window: 8,
    hidden: 8,
    layers: 2,
    bottleneck: 3,
    kernel: 3,
    order: Order::Reversed,
};

const QUICK: Options =
    Options { dropout: 0.1, batch: 16, thinning: 1, epochs: 4, patience: 4, learning_rate: 1e-2, clip: 1.0, seed: 7 };

/// Two sines, of which a tenth of the cells is not known.
struct Sines {
    values: Vec<f32>,
    known: Vec<bool>,
}

impl Sines {
    fn new() -> Self {
        let values = (0..300).flat_map(|at| [(at as f32 * 0.3).sin(), (at as f32 * 0.15).cos()]).collect();
        let known = (0..600).map(|cell| cell * 7 % 10 != 0).collect();
        Self { values, known }
    }

    fn train(&self, network: Network, options: &Options, from: Option<Checkpoint>, watch: &mut dyn Watch) -> Trained {
        self.try_train(network, options, from, watch).expect("all fits")
    }

    fn try_train(
        &self,
        network: Network,
        options: &Options,
        from: Option<Checkpoint>,
        watch: &mut dyn Watch,
    ) -> Result<Trained, TrainError> {
        let rows = Rows { features: 2, values: &self.values, known: &self.known };
        let windows = |from, to| Windows::new(rows, std::slice::from_ref(&(from..to)), 8, 2).expect("long runs");
        let architecture = Architecture { network, ..SMALL };
        train(&architecture, options, &windows(0, 240), &windows(240, 300), from, watch)
    }
}

/// Keeps each checkpoint as bytes.
#[derive(Default)]
struct Keep(Vec<Vec<u8>>);

impl Watch for Keep {
    fn epoch(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.0.push(checkpoint.to_bytes());
        Ok(())
    }
}

fn bits(trained: &Trained) -> Vec<u32> {
    trained.tensors.iter().flat_map(|(_, _, numbers)| numbers).map(|number| number.to_bits()).collect()
}

#[test]
fn sines_are_learnt() {
    let sines = Sines::new();
    for network in Network::ALL {
        // With more patience than epochs: an LSTM learns one sine first.
        let options = Options { dropout: 0.0, batch: 8, epochs: 60, patience: 60, ..QUICK };
        let trained = sines.train(network, &options, None, &mut ());
        let log = &trained.log;
        assert!(log.untrained > 0.2, "{network:?}: {log:?}");
        assert!(log.best.validation < 0.1, "{network:?}: {log:?}");
        assert_eq!(log.best.validation.to_bits(), log.epochs[log.best.epoch - 1].validation.to_bits());
        let shapes: Vec<_> = trained.tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
        assert_eq!(shapes, Architecture { network, ..SMALL }.tensors());
    }
}

#[test]
fn one_seed_gives_one_network() {
    let sines = Sines::new();
    for network in Network::ALL {
        let train = |seed| bits(&sines.train(network, &Options { seed, ..QUICK }, None, &mut ()));
        // At the same time, so that they would disturb each other if they could.
        let (one, same) = std::thread::scope(|scope| {
            let one = scope.spawn(|| train(7));
            (train(7), one.join().unwrap())
        });
        assert_eq!(one, same, "{network:?}");
        assert_ne!(one, train(8), "{network:?}");
    }
}

#[test]
fn cells_that_are_not_known_do_not_matter() {
    let sines = Sines::new();
    let mut others = Sines::new();
    for (value, known) in others.values.iter_mut().zip(&others.known) {
        if !known {
            *value = f32::NAN;
        }
    }
    for network in Network::ALL {
        let one = sines.train(network, &QUICK, None, &mut ());
        let other = others.train(network, &QUICK, None, &mut ());
        assert_eq!(bits(&one), bits(&other), "{network:?}");
        assert_eq!(one.log, other.log);
    }
}

#[test]
fn an_interruption_changes_nothing() {
    let sines = Sines::new();
    for network in Network::ALL {
        let mut kept = Keep::default();
        let whole = sines.train(network, &QUICK, None, &mut kept);
        assert_eq!(kept.0.len(), 4);
        for (epoch, bytes) in (1..).zip(&kept.0) {
            let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
            assert_eq!(checkpoint.epochs().len(), epoch);
            assert_eq!(checkpoint.to_bytes(), *bytes);
            let mut rest = Keep::default();
            let resumed = sines.train(network, &QUICK, Some(checkpoint), &mut rest);
            assert_eq!(bits(&whole), bits(&resumed), "{network:?} after epoch {epoch}");
            assert_eq!(whole.log, resumed.log);
            assert_eq!(rest.0, kept.0[epoch..]);
        }
    }
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let sines = Sines::new();
    let mut kept = Keep::default();
    sines.train(Network::Conv, &QUICK, None, &mut kept);
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("checkpoint");
    assert!(Checkpoint::read(&path).unwrap().is_none());
    let checkpoint = Checkpoint::from_bytes(&kept.0[0]).unwrap();
    checkpoint.write(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().unwrap(), checkpoint);
    let others = Options { seed: 8, ..QUICK };
    let result = sines.try_train(Network::Conv, &others, Some(checkpoint.clone()), &mut ());
    assert!(matches!(result, Err(TrainError::Checkpoint(CheckpointError::Other))));
    let mut changed = Sines::new();
    changed.values[1] += 1.0;
    let result = changed.try_train(Network::Conv, &QUICK, Some(checkpoint), &mut ());
    assert!(matches!(result, Err(TrainError::Checkpoint(CheckpointError::Other))));
    for length in [0, 7, 100, kept.0[0].len() - 1] {
        assert!(matches!(Checkpoint::from_bytes(&kept.0[0][..length]), Err(CheckpointError::Damaged(_))));
    }
}

#[test]
fn a_training_that_diverges_keeps_the_best() {
    let sines = Sines::new();
    for (network, learning_rate) in [(Network::Conv, 1e30), (Network::Lstm, 1e30), (Network::Gru, 1e30)] {
        let trained = sines.train(network, &Options { learning_rate, ..QUICK }, None, &mut ());
        let log = &trained.log;
        assert!(matches!(log.stop, Stop::Diverged { .. }), "{network:?}: {log:?}");
        assert!(log.best.validation <= log.untrained);
        assert!(trained.tensors.iter().flat_map(|(_, _, numbers)| numbers).all(|number| number.is_finite()));
    }
    // One that got worse without overflow is stopped by patience, and the weights are those before it.
    let worse = Options { learning_rate: 1e3, epochs: 20, patience: 2, ..QUICK };
    let log = sines.train(Network::Lstm, &worse, None, &mut ()).log;
    assert_eq!((log.best.epoch, log.stop, log.epochs.len()), (0, Stop::Patience, 2));
}
