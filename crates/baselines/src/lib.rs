#![doc = include_str!("../README.md")]

mod abn;
mod baseline;
mod draw;
mod error;
mod layers;
mod mixed_objective;
mod moon;
mod resnet;
mod system;
mod training;
mod weights;

pub use abn::{ATTENTION, AbnConfig, Maps};
pub use baseline::Baseline;
pub use error::{Error, Result};
pub use mixed_objective::{class_weights, mixed_objective};
pub use moon::MoonConfig;
pub use resnet::{Depth, ResNetConfig, Stem};
pub use system::System;
