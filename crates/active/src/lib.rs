#![doc = include_str!("../README.md")]

mod answers;
mod badge;
mod choose;
mod combine;
mod curve;
mod error;
mod expected_gradient;
mod k_centre;
mod product;
mod random;
mod strategy;
mod stream;
mod uncertainty;

pub use answers::{Answers, Model, Table};
pub use badge::{Embedding, badge, squared_distance};
pub use choose::{Pool, Settings, choose};
pub use combine::Combination;
pub use curve::LearningCurve;
pub use error::{AnyError, Error, Result};
pub use expected_gradient::expected_gradient;
pub use k_centre::{k_centre, radius};
pub use random::in_random_order;
pub use strategy::Strategy;
pub use stream::{
    Decision, Stream, StreamRule, StreamSettings, mean_kl, query_probability, vote_entropy,
};
pub use uncertainty::{entropy, least_confidence, margin};
