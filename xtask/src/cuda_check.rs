//! `cuda-check`: is the GPU right? Every operation and gradient on it against the CPU's in f32 and
//! a plain composition in f64.

mod checks;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use clap::Args;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use foresee::device::device;
use foresee::output::print;

use crate::shell::chosen;

#[derive(Args)]
pub struct CudaCheckArgs {
    /// Only checks whose name contains this; can be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
}

/// From inputs to outputs by name.
type Compute = Box<dyn Fn(&[Tensor]) -> Result<Vec<(&'static str, Tensor)>>>;

/// Something that is computed in the same way on any device, in f32 or f64.
pub struct Check {
    pub name: String,
    /// Name, shape and largest value of each input.
    pub inputs: Vec<(&'static str, Vec<usize>, f32)>,
    pub compute: Compute,
    /// Of outputs and of gradients, relative to the largest value of each.
    pub tolerance: f64,
    pub gradient_tolerance: f64,
}

/// An output or a gradient, in f64 on the CPU.
struct Quantity {
    name: String,
    values: Vec<f64>,
    gradient: bool,
}

/// The largest share of its tolerance that a check's quantities reach.
struct Outcome {
    /// Which quantity.
    worst: String,
    /// From the f64 reference, and from the CPU's f32.
    from_reference: f64,
    from_cpu: f64,
    tolerance: f64,
}

impl Outcome {
    fn passed(&self) -> bool {
        self.reached() <= 1.
    }

    /// The share of the tolerance; NaN, which the maximum of floats would pass over, if a distance
    /// is.
    fn reached(&self) -> f64 {
        let (a, b) = (self.from_reference / self.tolerance, self.from_cpu / self.tolerance);
        if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
    }
}

pub fn cuda_check(args: &CudaCheckArgs) -> Result<()> {
    let checks = chosen(checks::all(), &args.only, |check| check.name.clone(), "checks")?;
    let device = device("cuda")?;
    let failed = run(&checks, &device)?;
    ensure!(failed == 0, "{failed} of {} checks failed", checks.len());
    print(&format!("all {} checks passed\n", checks.len()))
}

/// Prints a line for each check, and tells how many failed.
fn run(checks: &[Check], device: &Device) -> Result<usize> {
    print(&format!(
        "{:<68}{:<18}{:>12}{:>12}{:>12}\n",
        "check", "worst", "from f64", "from CPU", "tolerance"
    ))?;
    let mut failed = 0;
    for check in checks {
        // An error of one operation does not keep the others from being checked.
        let verdict = match outcome(check, device) {
            Ok(o) => {
                let numbers = format!(
                    "{:<18}{:>12.1e}{:>12.1e}{:>12.0e}",
                    o.worst, o.from_reference, o.from_cpu, o.tolerance
                );
                if o.passed() { Ok(numbers) } else { Err(format!("{numbers}   FAILED")) }
            }
            Err(e) => Err(format!("FAILED: {e:#}")),
        };
        failed += usize::from(verdict.is_err());
        print(&format!("{:<68}{}\n", check.name, verdict.unwrap_or_else(|e| e)))?;
    }
    Ok(failed)
}

fn outcome(check: &Check, device: &Device) -> Result<Outcome> {
    let own = quantities(check, device, DType::F32)?;
    let again = quantities(check, device, DType::F32)?;
    let (cpu, reference) = (
        quantities(check, &Device::Cpu, DType::F32)?,
        quantities(check, &Device::Cpu, DType::F64)?,
    );
    let mut worst: Option<Outcome> = None;
    for (((own, again), cpu), reference) in own.iter().zip(&again).zip(&cpu).zip(&reference) {
        ensure!(
            own.values.iter().map(|v| v.to_bits()).eq(again.values.iter().map(|v| v.to_bits())),
            "{}: a second run gave other bits",
            own.name
        );
        // A curve of n = 40 multiplies a mask's rounding error by up to 40.
        let steep = if own.name.ends_with("n = 40") { 1e-4 } else { 0. };
        let of_outputs = check.tolerance.max(steep);
        let tolerance = if own.gradient { check.gradient_tolerance } else { of_outputs };
        let found = Outcome {
            worst: own.name.clone(),
            from_reference: distance(&own.values, &reference.values),
            from_cpu: distance(&own.values, &cpu.values),
            tolerance,
        };
        let reached = found.reached();
        if worst.as_ref().is_none_or(|worst| reached.is_nan() || reached > worst.reached()) {
            worst = Some(found);
        }
    }
    worst.context("nothing was computed")
}

/// The largest difference, relative to the largest value of the second; NaN if there is one on one
/// side only.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| {
        if a.is_nan() && b.is_nan() || a == b { 0. } else { (a - b).abs() / largest }
    });
    let most = differences.fold(0f64, |most, d| if d > most || d.is_nan() { d } else { most });
    if a.len() == b.len() { most } else { f64::NAN }
}

/// Outputs, and the gradients of a weighted sum of them for every input.
fn quantities(check: &Check, device: &Device, dtype: DType) -> Result<Vec<Quantity>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut draw = |shape: &[usize], scale: f32| -> Result<Tensor> {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| (2. * rng.random::<f32>() - 1.) * scale).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    };
    let inputs = check
        .inputs
        .iter()
        .map(|(_, shape, scale)| Ok(Var::from_tensor(&draw(shape, *scale)?)?))
        .collect::<Result<Vec<_>>>()?;
    let outputs =
        (check.compute)(&inputs.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>())?;
    let mut found = vec![];
    let mut loss = Tensor::zeros((), dtype, device)?;
    for (name, output) in outputs {
        loss = (loss + (draw(output.dims(), 1.)? * &output)?.sum_all()?)?;
        found.push(Quantity { name: name.into(), values: on_cpu(&output)?, gradient: false });
    }
    if loss.track_op() {
        let gradients = loss.backward()?;
        for ((name, ..), input) in check.inputs.iter().zip(&inputs) {
            if let Some(gradient) = gradients.get(input.as_tensor()) {
                let (name, values) = (format!("d{name}"), on_cpu(gradient)?);
                found.push(Quantity { name, values, gradient: true });
            }
        }
    }
    Ok(found)
}

fn on_cpu(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use foresee::error::input;

    use super::*;

    /// The CPU passes its own checks, so that one that fails on a GPU tells of the GPU.
    #[test]
    fn the_cpu_passes() -> Result<()> {
        assert_eq!(run(&checks::small(), &Device::Cpu)?, 0);
        Ok(())
    }

    #[test]
    #[ignore = "takes a minute and several GB"]
    fn the_cpu_passes_at_a_real_networks_sizes() -> Result<()> {
        assert_eq!(run(&checks::large(), &Device::Cpu)?, 0);
        Ok(())
    }

    #[test]
    fn what_is_wrong_fails() -> Result<()> {
        let wrong = |off: f64| Check {
            name: "x²".into(),
            inputs: vec![("x", vec![7], 1.)],
            // Right in f64, off by a factor in f32.
            compute: Box::new(move |x| {
                Ok(vec![(
                    "y",
                    (x[0].sqr()? * if x[0].dtype() == DType::F32 { 1. + off } else { 1. })?,
                )])
            }),
            tolerance: 1e-5,
            gradient_tolerance: 1e-4,
        };
        assert_eq!(run(&[wrong(0.), wrong(1e-3), wrong(f64::NAN)], &Device::Cpu)?, 2);
        let failing = Check { compute: Box::new(|_| Err(input("no such operation"))), ..wrong(0.) };
        assert_eq!(run(&[failing, wrong(0.)], &Device::Cpu)?, 1);
        assert!(distance(&[1.], &[1., 2.]).is_nan() && distance(&[1.], &[f64::NAN]).is_nan());
        Ok(())
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_the_feature_it_says_how_to_build_it() {
        let message = cuda_check(&CudaCheckArgs { only: vec![] }).expect_err("no GPU").to_string();
        assert!(message.contains("--features cuda"), "{message}");
        let message = cuda_check(&CudaCheckArgs { only: vec!["abacus".into()] })
            .expect_err("no such check")
            .to_string();
        assert!(message.contains("the checks are\n"), "{message}");
    }
}
