//! The sizes of a batch, and how its pixels and channels are cut into pieces.

use candle_core::Tensor;

#[cfg(not(feature = "cuda"))]
use crate::dispatch::cpu_kernel_takes;
use crate::error::{Error, Result, shape};
use crate::factor::Precision;
use crate::product::{columns_padded, pitch};
use crate::rows::Rows;

/// Pixels of a chunk: their features, their gradients and one attribute's masks fit the
/// second-level cache.
pub(crate) const CHUNK: usize = 128;

/// Into how many parts at most the pixels of one image are cut in the forward pass, whatever the
/// number of threads. More need more memory, above all with many curves.
const IMAGE_PARTS: usize = 8;

/// The sizes of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dims {
    /// B.
    pub images: usize,
    /// K.
    pub attributes: usize,
    /// C.
    pub channels: usize,
    /// D, the inputs of a mask: C for a 1×1 convolution, n²·C for n×n. The first C of them are the
    /// features themselves.
    pub inputs: usize,
    /// P = H·W.
    pub pixels: usize,
}

impl Dims {
    /// The sizes of features z [B, C, H, W] and the masks' convolution, if their shapes fit.
    pub fn new(
        operation: &'static str,
        z: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<Self> {
        let &[images, channels, h, w] = z.dims() else {
            return Err(shape(operation, "z", "[B, C, H, W]", z));
        };
        let &[rows, inputs, n, m] = weight.dims() else {
            return Err(shape(operation, "weight", "[K·C, C, n, n]", weight));
        };
        if inputs != channels || channels == 0 || rows % channels != 0 || n != m || n % 2 == 0 {
            let expected = format!("[K·{channels}, {channels}, n, n] with odd n");
            return Err(shape(operation, "weight", expected, weight));
        }
        if bias.dims() != [rows] {
            return Err(shape(operation, "bias", format!("[{rows}]"), bias));
        }
        if h * w == 0 {
            return Err(shape(operation, "z", "at least one pixel", z));
        }
        Ok(Self {
            images,
            attributes: rows / channels,
            channels,
            inputs: n * n * channels,
            pixels: h * w,
        })
    }

    /// Whether there are rows of as many attributes and channels.
    pub fn check(&self, rows: &Rows) -> Result<()> {
        let given = [rows.attributes(), rows.channels()];
        match given == [self.attributes, self.channels] {
            true => Ok(()),
            false => Err(Error::RowsOf { given, needed: [self.attributes, self.channels] }),
        }
    }

    /// Whether the CPU's kernels can take these tensors, whatever the precision.
    #[cfg(not(feature = "cuda"))]
    pub fn kernel_takes(&self, tensors: &[&Tensor], _precision: Precision) -> bool {
        cpu_kernel_takes(tensors)
    }

    /// Whether the CPU's or a CUDA device's kernels can take these tensors.
    #[cfg(feature = "cuda")]
    pub fn kernel_takes(&self, tensors: &[&Tensor], precision: Precision) -> bool {
        use crate::cuda::ops;
        if ops::takes(tensors) {
            let counts = self.counts();
            return counts.fit() && ops::have_shared(tensors[0].device(), counts.shared(precision));
        }
        crate::dispatch::cpu_kernel_takes(tensors)
    }

    /// The same sizes as the CUDA kernels' launches name them.
    #[cfg(feature = "cuda")]
    pub fn counts(&self) -> crate::cuda::heads::Counts {
        let Self { images, attributes, channels, inputs, pixels } = *self;
        crate::cuda::heads::Counts { images, pixels, channels, inputs, attributes }
    }

    /// D in whole panels of the features' gradient, which is also enough for whole groups of rows
    /// of the weights' gradient.
    pub fn padded_inputs(&self) -> usize {
        columns_padded(self.inputs)
    }

    /// Distance of two pixels of a chunk.
    pub fn pitch(&self) -> usize {
        pitch(self.inputs)
    }

    /// The chunks of a batch in parts: [`IMAGE_PARTS`] at most of each image, and as many of every
    /// image.
    pub fn parts<'a>(&self, chunks: &'a [Chunk]) -> Vec<&'a [Chunk]> {
        let of_image = self.pixels.div_ceil(CHUNK);
        let of_part = of_image.div_ceil(IMAGE_PARTS);
        chunks.chunks(of_image).flat_map(|chunks| chunks.chunks(of_part)).collect()
    }

    /// All chunks of a batch, image by image.
    pub fn chunks(&self) -> Vec<Chunk> {
        (0..self.images).flat_map(|image| self.chunks_of(image)).collect()
    }

    /// The chunks of an image.
    pub fn chunks_of(&self, image: usize) -> impl Iterator<Item = Chunk> {
        let pixels = self.pixels;
        let chunk = move |start| Chunk { image, start, pixels: CHUNK.min(pixels - start) };
        (0..pixels).step_by(CHUNK).map(chunk)
    }
}

/// Up to [`CHUNK`] neighbouring pixels of one image.
#[derive(Clone, Copy)]
pub(crate) struct Chunk {
    pub image: usize,
    /// The first pixel.
    pub start: usize,
    /// The number of pixels.
    pub pixels: usize,
}
