#![doc = include_str!("../README.md")]

mod abn;
mod baseline;
mod draw;
mod error;
mod face_tracer;
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
pub use face_tracer::{
    Aggregation, Choice, FaceTracer, FaceTracerConfig, Feature, PixelType, Region,
    ValueNormalisation,
};
pub use mixed_objective::{class_weights, mixed_objective};
pub use moon::MoonConfig;
pub use resnet::{Depth, ResNetConfig, Stem};
pub use system::System;
