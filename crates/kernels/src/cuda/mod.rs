//! Work for a CUDA device as plain data: which kernels of `cuda/*.cu` are launched, in which order,
//! with which grids, on which buffers. Written down apart from any device, so that the same
//! launches run on a GPU (feature `cuda`) and, in tests, on the CPU. Every sum has an order that
//! depends on shapes alone, and no kernel adds atomically: the same bits on every run.

pub mod conv;
pub mod heads;
pub mod norm;
#[cfg(feature = "cuda")]
pub(crate) mod ops;

/// Launches of one module's kernels.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `cuda/{module}.cu`
    pub module: &'static str,
    /// How many buffers are given, all of `f32`. They come first in the numbering.
    pub inputs: usize,
    /// The lengths, in words of 4 bytes, of the buffers that are made. Their contents are undefined
    /// before a launch writes them.
    pub made: Vec<usize>,
    /// One after another.
    pub launches: Vec<Launch>,
}

/// One launch of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The kernel's name in its module.
    pub kernel: &'static str,
    /// Blocks.
    pub grid: (u32, u32, u32),
    /// Threads of a block.
    pub block: (u32, u32, u32),
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
    /// What the kernel is called with, in its order.
    pub arguments: Vec<Argument>,
}

/// An argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument {
    /// A buffer, by its number.
    Buffer(usize),
    /// A count, an offset or a switch.
    U32(u32),
    /// A number.
    F32(f32),
}

impl Plan {
    /// No launch yet, of `inputs` buffers that are given.
    pub fn new(module: &'static str, inputs: usize) -> Self {
        Self { module, inputs, made: vec![], launches: vec![] }
    }

    /// Bytes of dynamic shared memory that a launch asks for at most.
    pub fn shared(&self) -> u32 {
        self.launches.iter().map(|launch| launch.shared).max().unwrap_or(0)
    }

    /// A further buffer.
    pub fn buffer(&mut self, words: usize) -> Argument {
        self.made.push(words);
        Argument::Buffer(self.inputs + self.made.len() - 1)
    }

    /// A further launch. One without any block is left out.
    pub fn launch(
        &mut self,
        kernel: &'static str,
        grid: (usize, usize, usize),
        block: (u32, u32, u32),
        shared: usize,
        arguments: &[Argument],
    ) {
        if grid.0 * grid.1 * grid.2 > 0 {
            let grid = (grid.0 as u32, grid.1 as u32, grid.2 as u32);
            self.launches.push(Launch {
                kernel,
                grid,
                block,
                shared: shared as u32,
                arguments: arguments.to_vec(),
            });
        }
    }
}

/// A count as the kernels take it, which multiply it in 64 bits only where products can be larger.
///
/// # Panics
/// If it is not below 2³¹.
pub(crate) fn count(n: usize) -> Argument {
    assert!(n < MOST, "{n} is too many for one launch");
    Argument::U32(n as u32)
}

/// Tensors of more elements are left to candle's own operations.
pub(crate) const MOST: usize = 1 << 31;
