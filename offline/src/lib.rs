//! What is done to history: reading it ([`history`]), training, validation, evaluation, explanation, collection; and
//! bundles of plugins that need none of it.

pub mod collect;
pub mod evaluate;
pub mod explain;
pub mod history;
pub mod pack;
pub mod progress;
pub mod subject;
pub mod table;
pub mod train;
pub mod validate;
