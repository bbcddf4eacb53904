//! One file of rows: a safetensors file in zstd.

use std::io::Read as _;

use qualm_core::model::{Model, Writer};
use zstd::stream::read::Decoder;

use super::Rows;

/// The version of the layout.
const VERSION: &str = "1";

/// The largest size of a segment, not compressed.
const MAX_BYTES: u64 = 64 << 20;

/// How much zstd tries; it is done beside metrics.
const LEVEL: i32 = 1;

/// Why a file is no segment.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is no zstd file of up to {MAX_BYTES} bytes")]
    Compression,
    #[error("{0}")]
    Layout(String),
}

/// The bytes of a segment.
///
/// # Errors
///
/// As zstd says.
pub(super) fn encode(rows: &Rows, features: &[String]) -> std::io::Result<Vec<u8>> {
    let mut file = Writer::default();
    let list = |names: &[String]| serde_json::to_string(names).unwrap_or_default(); // texts always are JSON
    file.set("kind", "rows")
        .set("version", VERSION)
        .set("features", list(features))
        .set("entities", list(&rows.entities));
    file.times("times", &rows.times).integers("series", &rows.series);
    file.doubles("values", &[rows.len(), features.len()], &rows.values).doubles(
        "scores",
        &[rows.scores.len()],
        &rows.scores,
    );
    zstd::encode_all(&*file.finish(), LEVEL)
}

/// The rows of a segment; `None` where they are of other features.
pub(super) fn decode(bytes: &[u8], features: &[String]) -> Result<Option<Rows>, Damage> {
    let mut plain = Vec::new();
    let mut decoder = Decoder::with_buffer(bytes).map_err(|_| Damage::Compression)?;
    decoder.window_log_max(27).map_err(|_| Damage::Compression)?;
    decoder.take(MAX_BYTES + 1).read_to_end(&mut plain).map_err(|_| Damage::Compression)?;
    if plain.len() as u64 > MAX_BYTES {
        return Err(Damage::Compression);
    }
    let layout = |error: qualm_contract::Error| Damage::Layout(error.to_string());
    let file = Model::read(&plain).map_err(layout)?;
    if (file.text("kind").map_err(layout)?, file.text("version").map_err(layout)?) != ("rows", VERSION) {
        return Err(Damage::Layout("it contains no rows of this version".to_owned()));
    }
    let names = |what: &str| {
        let list = serde_json::from_str::<Vec<String>>(file.text(what).map_err(layout)?);
        list.map_err(|error| Damage::Layout(format!("its {what} are no list of names ({error})")))
    };
    if names("features")? != features {
        return Ok(None);
    }
    let rows = Rows {
        times: file.times("times").map_err(layout)?,
        series: file.integers("series").map_err(layout)?,
        entities: names("entities")?,
        values: file.values("values").map_err(layout)?,
        scores: file.values("scores").map_err(layout)?,
    };
    let count = rows.len();
    let columns = [rows.series.len(), rows.scores.len()].iter().all(|length| *length == count);
    if !columns || Some(rows.values.len()) != count.checked_mul(features.len()) {
        return Err(Damage::Layout("its columns differ in length".to_owned()));
    }
    if rows.series.iter().any(|series| *series as usize >= rows.entities.len()) {
        return Err(Damage::Layout("a row is of an entity without a name".to_owned()));
    }
    Ok(Some(rows))
}
