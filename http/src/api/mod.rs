//! What applications ask: which models there are, scores for rows, and models of data of their own.
//!
//! [`Api`] has the routes. Behind them are [`models`], a directory of bundles, each with a [`Detector`](qualm_contract::Detector) that
//! scores; [`score`], which makes rows of a request and an answer of their scores; and [`jobs`], which make models of
//! uploads. None of these knows HTTP: what goes wrong is a [`Problem`](problem::Problem), which has a status.
//!
//! The reference is `openapi.json`, which is served as well.

mod handlers;
pub mod jobs;
pub mod models;
pub mod problem;
pub mod score;

pub use handlers::{Api, Options};
