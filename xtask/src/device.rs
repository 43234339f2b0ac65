//! Devices by name.

use anyhow::Result;
use candle_core::Device;

use crate::error::input;

/// The device, or an error that says what is missing.
pub fn device(name: &str) -> Result<Device> {
    let missing = |feature: &str, e: candle_core::Error| {
        let built = match feature {
            "cuda" => cfg!(feature = "cuda"),
            _ => cfg!(feature = "metal"),
        };
        match built {
            true => input(format!("--device {feature}: no usable device was found ({e}); use --device cpu")),
            false => input(format!(
                "--device {feature}: this program was built without it; use --device cpu, or build with `cargo run --release --package xtask --features {feature} --`"
            )),
        }
    };
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda(0).map_err(|e| missing("cuda", e)),
        "metal" => Device::new_metal(0).map_err(|e| missing("metal", e)),
        other => Err(input(format!("--device {other}: the devices are cpu, cuda, metal"))),
    }
}
