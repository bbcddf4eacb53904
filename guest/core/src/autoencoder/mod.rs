//! `autoencoder`: how badly networks that learnt to reconstruct windows of ordinary rows reconstruct a window.

pub mod architecture;
