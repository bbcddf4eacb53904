//! Model bundles: what is in one ([`manifest`]), and how it is packed, signed, checked and kept.

pub mod duration;
pub mod manifest;
