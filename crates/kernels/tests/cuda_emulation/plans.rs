//! Runs a plan's launches by the emulator.

use foresee_kernels::cuda::{self, Plan};

use super::emulator::{Argument, Emulator, Launch, bytes, floats};

/// Runs a plan on inputs and returns the buffers that it allocated, which were NaN before but for
/// its tables.
pub fn run(emulator: &Emulator, plan: &Plan, inputs: &[&[f32]], seed: u64) -> Vec<Vec<f32>> {
    assert_eq!(inputs.len(), plan.inputs);
    let made = plan.made.iter().enumerate().map(|(at, &words)| {
        match plan.tables.iter().find(|(of, _)| *of == at) {
            Some((_, table)) => table.iter().flat_map(|word| word.to_le_bytes()).collect(),
            None => vec![0xFF; 4 * words],
        }
    });
    let buffers: Vec<Vec<u8>> = inputs.iter().map(|values| bytes(values)).chain(made).collect();
    let launches: Vec<Launch> = plan.launches.iter().map(launch).collect();
    emulator.run(seed, &buffers, &launches)[inputs.len()..].iter().map(|b| floats(b)).collect()
}

fn launch(launch: &cuda::Launch) -> Launch {
    let argument = |argument: &cuda::Argument| match *argument {
        cuda::Argument::Buffer(at) => Argument::Buffer(at),
        cuda::Argument::U32(value) => Argument::U32(value),
        cuda::Argument::F32(value) => Argument::F32(value),
    };
    let cuda::Launch { kernel, grid, block, shared, arguments } = launch;
    Launch {
        kernel: (*kernel).into(),
        grid: *grid,
        block: *block,
        shared: *shared,
        arguments: arguments.iter().map(argument).collect(),
    }
}
