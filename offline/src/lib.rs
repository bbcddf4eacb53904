//! What is done to history: reading it ([`history`]), training, validation, evaluation, explanation, collection.

pub mod collect;
pub mod evaluate;
pub mod explain;
pub mod history;
pub mod subject;
pub mod table;
pub mod train;
pub mod validate;
