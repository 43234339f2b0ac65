//! Devices by name.

pub mod measured;
#[cfg(feature = "cuda")]
pub mod pool;

#[cfg(feature = "cuda")]
use std::sync::OnceLock;

use candle_core::Device;
use serde::{Deserialize, Serialize};

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

/// This process's GPU, which is opened once, with one stream for all threads. candle's own default
/// is a stream in every thread, and nothing then orders what threads do with a tensor.
#[cfg(feature = "cuda")]
fn cuda() -> candle_core::Result<Device> {
    static OPENED: OnceLock<Device> = OnceLock::new();
    if let Some(device) = OPENED.get() {
        return Ok(device.clone());
    }
    let device = Device::new_cuda_with_stream(gpu_of_this_rank())?;
    let cuda = device.as_cuda_device()?;
    // SAFETY: no tensor exists yet, and all of this device's work, whichever thread asks for it, is
    // on its one stream, which orders it without events.
    unsafe { cuda.disable_event_tracking() };
    pool::keep(cuda);
    Ok(OPENED.get_or_init(|| device).clone())
}

/// candle's refusal.
#[cfg(not(feature = "cuda"))]
fn cuda() -> candle_core::Result<Device> {
    Device::new_cuda_with_stream(crate::ranks::number_on_host())
}

/// The first GPU that this process sees. Several ranks on a machine take one after another of those
/// that they see; a launcher may show each only its own.
#[cfg(feature = "cuda")]
fn gpu_of_this_rank() -> usize {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    let number = crate::ranks::number_on_host();
    let seen = CudaContext::device_count().map_or(1, |gpus| gpus.max(1) as usize);
    if crate::ranks::is_several() {
        let gpu = number % seen;
        tracing::info!("rank {} takes GPU {gpu} of {seen} that it sees", crate::ranks::number());
    }
    number % seen
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

/// What sort of device it is, by the name that [`device`] knows it by.
pub(crate) fn id(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// A device as rank 0 tells it to the others, each of which has one of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceKind {
    id: String,
    /// The name of a GPU.
    name: Option<String>,
    /// The version of its driver, which compiles the kernels for it.
    driver: Option<i32>,
}

impl DeviceKind {
    pub fn of(device: &Device) -> Self {
        Self {
            id: id(device).into(),
            name: measured::name(device),
            driver: measured::driver(device),
        }
    }

    /// This process's device of the kind.
    ///
    /// # Errors
    /// If there is none, or a GPU of another name or driver, whose bits would differ.
    pub fn open(&self) -> Result<Device> {
        let device = device(&self.id)?;
        self.check(&Self::of(&device))?;
        Ok(device)
    }

    fn check(&self, own: &Self) -> Result<()> {
        let name = |kind: &Self| {
            let name = kind.name.clone().unwrap_or_else(|| "another device".into());
            kind.driver.map_or(name.clone(), |driver| format!("{name} with CUDA {driver}"))
        };
        match own == self {
            true => Ok(()),
            false => Err(input(format!(
                "it has {}, rank 0 has {}: the bits of their sums would differ. Start ranks on \
                 GPUs of one kind, with one driver",
                name(own),
                name(self)
            ))),
        }
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
    fn a_rank_has_the_kind_of_device_that_rank_0_has() {
        let kind = DeviceKind::of(&Device::Cpu);
        assert!(kind.open().is_ok_and(|device| device.is_cpu()));
        let of = |name: &str, driver| DeviceKind {
            id: "cuda".into(),
            name: Some(name.into()),
            driver: Some(driver),
        };
        let (own, same) = (of("H100", 13000), of("H100", 13000));
        assert!(own.check(&same).is_ok() && own.check(&of("H100", 12080)).is_err());
        let message = own.check(&of("A100", 13000)).expect_err("another GPU").to_string();
        assert!(message.starts_with("it has A100 with CUDA 13000, rank 0 has H100"), "{message}");
    }

    #[test]
    fn other_names_are_refused_with_those_that_are_known() {
        assert_eq!(refusal("abacus"), "--device abacus: the devices are cpu, cuda, metal");
    }
}
