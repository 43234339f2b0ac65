#![doc = include_str!("../README.md")]

mod abn;
mod aligned;
mod anet;
mod baseline;
mod draw;
mod error;
mod face_tracer;
mod layers;
mod lnets_anet;
mod machines;
mod mixed_objective;
mod moon;
mod panda;
mod parts;
mod resnet;
mod svm;
mod system;
mod training;
mod weights;

pub use abn::{ATTENTION, AbnConfig, Maps};
pub use anet::AnetConfig;
pub use baseline::Baseline;
pub use error::{Error, Result};
pub use face_tracer::{
    Aggregation, Choice, FaceTracer, FaceTracerConfig, Feature, PixelType, Region,
    ValueNormalisation,
};
pub use lnets_anet::{FACE_WINDOW, HEAD_WINDOW, LnetsAnetConfig};
pub use mixed_objective::{class_weights, mixed_objective};
pub use moon::MoonConfig;
pub use panda::PandaConfig;
pub use parts::{ALIGNED_LANDMARKS, Part};
pub use resnet::{Depth, ResNetConfig, Stem};
pub use system::System;
