//! The contract's side of LODA.
mod loda;
use exports::qualm::detector::{detection, detection::*, training, training::Parameter, training::Value::Number};
use loda::{Model, Projection};
wit_bindgen::generate!({ path: "../../wit", world: "trainable-plugin" });

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI); // tells damaged models

impl detection::Guest for Model {
    type Detector = Self;
}

impl GuestDetector for Model {
    fn open(model: Vec<u8>) -> Result<Detector, Error> {
        let model = postcard::from_bytes_crc32(&model, CRC.digest()).map(Detector::new::<Self>);
        model.map_err(|error| Error::BadModel(format!("it is no model of loda, version 1: {error}")))
    }
    fn describe(&self) -> Description {
        let (kind, version, features) = ("loda".to_owned(), "1".to_owned(), self.features as u32);
        let scale = "mean surprise along random projections; 1 is the threshold that training found".to_owned();
        Description { kind, version, features, warm_up: 0, scale }
    }
    fn observe(&self, batch: Observations, explain: bool) -> Result<Verdicts, Error> {
        let (rows, features) = (batch.series.len(), self.features);
        if batch.timestamps.len() != rows || batch.values.len() != rows * features {
            return Err(Error::BadShape(format!("not {rows} times and {rows} rows of {features} values")));
        }
        let scores: Vec<f64> = batch.values.chunks_exact(features).map(|row| self.score(row)).collect();
        let mut contributions = vec![0.0; if explain { batch.values.len() } else { 0 }];
        let rows = batch.values.chunks_exact(features).zip(contributions.chunks_exact_mut(features));
        for ((row, contributions), _) in rows.zip(&scores).filter(|(_, score)| **score > 1.0) {
            contributions.copy_from_slice(&self.explain(row));
        }
        Ok(Verdicts { scores, contributions })
    }
    fn forget(&self, _: Vec<u32>) {}
    fn save(&self, _: Vec<u32>) -> Vec<u8> {
        vec![1]
    }
    fn restore(&self, state: Vec<u8>, _: Vec<Option<u32>>) -> Result<(), Error> {
        if state == [1] { Ok(()) } else { Err(Error::BadState("loda, version 1, keeps no state".to_owned())) }
    }
}

impl training::Guest for Model {
    fn fit(rows: Observations, names: Vec<String>, set: Vec<Parameter>, seed: u64) -> Result<Vec<u8>, Error> {
        let (mut projections, mut bins, mut random) = (100, 50, fastrand::Rng::with_seed(seed));
        for Parameter { name, value } in set {
            match (name.as_str(), value) {
                ("projections", Number(number @ 1.0..=1e4)) => projections = number as usize,
                ("bins", Number(number @ 1.0..=1e4)) => bins = number as usize,
                _ => return Err(Error::Internal(format!("`{name}`: there are `projections` and `bins`, 1 to 10000"))),
            }
        }
        let learn = |_| Projection::fit(&rows.values, names.len(), bins, &mut random);
        let projections: Vec<_> = (0..projections).filter_map(learn).collect();
        let model = Self { features: names.len(), ordinary: 0.0, threshold: 1.0, projections };
        let learnt = Some(&model).filter(|model| !model.projections.is_empty());
        learnt.map(write).ok_or_else(|| Error::Internal("nothing can be learnt: each row lacks a value".to_owned()))
    }
    fn calibrate(model: Vec<u8>, ordinary: f64, threshold: f64) -> Result<Vec<u8>, Error> {
        Ok(write(&Self { ordinary, threshold, ..Self::open(model)?.into_inner() }))
    }
}

fn write(model: &Model) -> Vec<u8> {
    postcard::to_allocvec_crc32(model, CRC.digest()).expect("there is memory for it")
}

export!(Model);
