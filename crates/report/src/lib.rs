#![doc = include_str!("../README.md")]

mod error;
pub mod frame;

pub use error::{Error, Result};
