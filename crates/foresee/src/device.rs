//! Devices by name.

pub mod measured;
#[cfg(feature = "cuda")]
pub mod pool;

use candle_core::Device;

use crate::error::{Result, input};
use crate::program::build_with;
use crate::run::Run;

/// candle's message without the backtrace that may follow it.
fn unusable(name: &str, e: &candle_core::Error) -> anyhow::Error {
    let message = e.to_string();
    input(format!(
        "--device {name}: no usable GPU was found ({}); use --device cpu",
        message.lines().next().unwrap_or_default()
    ))
}

/// The first GPU, with one stream for all threads. candle's own default is a stream in every
/// thread, and nothing then orders what threads do with a tensor.
fn cuda() -> candle_core::Result<Device> {
    let device = Device::new_cuda_with_stream(0)?;
    #[cfg(feature = "cuda")]
    {
        let cuda = device.as_cuda_device()?;
        // SAFETY: no tensor exists yet, and all of this device's work, whichever thread asks for
        // it, is on its one stream, which orders it without events.
        unsafe { cuda.disable_event_tracking() };
        pool::keep(cuda);
    }
    Ok(device)
}

/// The device of a name: cpu, cuda or metal.
///
/// # Errors
/// If there is none, with what is missing.
pub fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" if cfg!(feature = "cuda") => cuda().map_err(|e| unusable(name, &e)),
        "metal" if !cfg!(target_vendor = "apple") => {
            Err(input("--device metal: Metal is on Apple's machines only; use --device cpu"))
        }
        "metal" if cfg!(feature = "metal") => Device::new_metal(0).map_err(|e| unusable(name, &e)),
        "cuda" | "metal" => Err(input(format!(
            "--device {name}: this program was built without it; use --device cpu, or build with \
             `{}`",
            build_with(name)
        ))),
        other => Err(input(format!("--device {other}: the devices are cpu, cuda, metal"))),
    }
}

/// The device asked for, or else the CPU, for a network of the user's own.
pub(crate) fn of_model(asked: Option<&str>) -> Result<Device> {
    device(asked.unwrap_or("cpu"))
}

/// The device asked for, or else the run's own.
pub(crate) fn of_run(asked: Option<&str>, run: &Run) -> Result<Device> {
    let own = run.manifest.device.as_str();
    let name = asked.unwrap_or(own);
    if name != own {
        tracing::info!("the run is of the device {own}; what is made now is computed on {name}");
    }
    device(name).map_err(|e| match asked {
        Some(_) => e,
        None => e.context(format!("{} was made on the device {own}", run.folder().display())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        device(name).map(|_| ()).expect_err("no such device here").to_string()
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn what_was_not_built_is_refused_with_the_way_to_build_it() {
        let message = refusal("cuda");
        assert!(
            message.contains("--features cuda") && message.contains("use --device cpu"),
            "{message}"
        );
    }

    #[test]
    #[cfg(not(target_vendor = "apple"))]
    fn metal_is_refused_where_there_is_none_whatever_was_built() {
        let message = refusal("metal");
        assert!(
            message.contains("Apple's machines only") && message.contains("use --device cpu"),
            "{message}"
        );
    }

    #[test]
    fn other_names_are_refused_with_those_that_are_known() {
        assert_eq!(refusal("abacus"), "--device abacus: the devices are cpu, cuda, metal");
    }
}
