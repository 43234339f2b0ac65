//! Work for a CUDA device as plain data: which kernels of `cuda/*.cu` are launched, in which order,
//! with which grids, on which buffers. Plans know no device: the same launches run on a GPU
//! (feature `cuda`) and, in tests, on the CPU.
//!
//! Every run gives the same bits: the order of each sum depends on shapes alone, and no kernel adds
//! atomically.

pub mod conv;
pub mod heads;
pub mod norm;
#[cfg(feature = "cuda")]
pub(crate) mod ops;

/// Launches of one module's kernels.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The name of the file `cuda/{module}.cu`.
    pub module: &'static str,
    /// The number of input buffers, all of `f32`. Buffers are numbered from these on.
    pub inputs: usize,
    /// The lengths, in words of 4 bytes, of the buffers to be allocated, numbered after the inputs.
    /// Their contents are undefined until a launch writes them.
    pub made: Vec<usize>,
    /// Words that some of the allocated buffers hold before the first launch: which of [`made`] it
    /// is, and all of its words.
    ///
    /// [`made`]: Self::made
    pub tables: Vec<(usize, Vec<u32>)>,
    /// The launches, in order.
    pub launches: Vec<Launch>,
}

/// One launch of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The kernel's name in its module.
    pub kernel: &'static str,
    /// The number of blocks in each dimension.
    pub grid: (u32, u32, u32),
    /// The number of threads of a block in each dimension.
    pub block: (u32, u32, u32),
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
    /// The kernel's arguments, in its order.
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
    /// A plan without launches that takes `inputs` buffers.
    pub fn new(module: &'static str, inputs: usize) -> Self {
        Self { module, inputs, made: vec![], tables: vec![], launches: vec![] }
    }

    /// The most bytes of dynamic shared memory that any launch needs.
    pub fn shared(&self) -> u32 {
        self.launches.iter().map(|launch| launch.shared).max().unwrap_or(0)
    }

    /// Adds a buffer to be allocated.
    pub fn buffer(&mut self, words: usize) -> Argument {
        self.made.push(words);
        Argument::Buffer(self.inputs + self.made.len() - 1)
    }

    /// Adds a buffer to be allocated that holds these words from the start.
    pub fn table(&mut self, words: Vec<u32>) -> Argument {
        let buffer = self.buffer(words.len());
        self.tables.push((self.made.len() - 1, words));
        buffer
    }

    /// Adds a launch, unless it has no block.
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

/// A count as an argument. Kernels multiply counts in 64 bits only where products can exceed 32
/// bits.
///
/// # Panics
/// If it is not below 2³¹.
pub(crate) fn count(n: usize) -> Argument {
    assert!(n < MOST, "{n} is too many for one launch");
    Argument::U32(n as u32)
}

/// Tensors of this many elements or more take candle's own operations.
pub(crate) const MOST: usize = 1 << 31;
