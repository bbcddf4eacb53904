//! What applications ask: which models there are, scores for rows, and models of data of their own.

pub mod handlers;
pub mod jobs;
pub mod models;
pub mod problem;
pub mod score;
