//! Work on history: collecting, reading, validating, training, evaluating and explaining; and packing plugins, which needs
//! none.

pub mod collect;
pub mod drift;
pub mod evaluate;
pub mod explain;
pub mod history;
pub mod pack;
pub mod progress;
pub mod retrain;
pub mod subject;
pub mod table;
pub mod train;
pub mod validate;
