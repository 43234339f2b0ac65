#![doc = include_str!("../README.md")]

mod arithmetic;
pub mod artifacts;
pub mod cli;
mod compaction;
pub mod config;
pub mod device;
mod distinct;
mod energy;
pub mod error;
mod exit_status;
pub mod explore;
mod export;
mod faces;
mod figures;
pub mod hash;
mod interrupt;
pub mod label;
pub mod memory;
mod networks;
pub mod operate;
pub mod output;
mod pace;
mod pages;
mod program;
mod progress;
mod provenance;
mod ranks;
pub mod row_counts;
pub mod run;
mod seen;
mod session;
mod stages;
pub mod studies;
mod tables;
pub mod web;

pub use self::stages::attribute::model_of;
