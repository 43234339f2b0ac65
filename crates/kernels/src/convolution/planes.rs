//! The images that a convolution reads, with zero padding and one plane for each remainder of a
//! pixel's place by the stride: what a tap reads for neighbouring results lies side by side.

use std::borrow::Cow;

use rayon::prelude::*;

use super::axis::Reads;

/// What the results of a convolution or of its gradient read.
#[derive(Debug)]
pub(super) struct Grid {
    pub rows: Reads,
    pub columns: Reads,
    along_rows: Phases,
    along_columns: Phases,
    pub taps: Vec<Tap>,
}

/// One tap of the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// Its place in a kernel of the weights.
    pub kernel: usize,
    /// Where a channel's planes have the pixel that result (0, 0) reads. Result (y, x) reads
    /// y·[`width`](Grid::width) + x pixels behind it.
    pub offset: usize,
}

/// How one axis is cut into the pixels of each phase: pixel j of phase p is (lowest + j)·stride + p
/// of the source.
#[derive(Debug)]
struct Phases {
    phases: Vec<usize>,
    lowest: isize,
    /// Pixels of a phase.
    size: usize,
}

impl Phases {
    fn new(reads: &Reads) -> Self {
        let stride = reads.stride as isize;
        let offsets = || reads.taps.iter().map(|&(_, offset)| offset);
        let mut phases: Vec<usize> = offsets().map(|o| o.rem_euclid(stride) as usize).collect();
        phases.sort_unstable();
        phases.dedup();
        let lowest = offsets().map(|o| o.div_euclid(stride)).min().unwrap_or(0);
        let highest = offsets().map(|o| o.div_euclid(stride)).max().unwrap_or(0);
        Self { phases, lowest, size: reads.outputs + (highest - lowest) as usize }
    }

    /// The phase of a tap, and the pixel in it that result 0 reads.
    fn place(&self, reads: &Reads, offset: isize) -> (usize, usize) {
        let stride = reads.stride as isize;
        let phase = offset.rem_euclid(stride) as usize;
        let index = self.phases.iter().position(|&p| p == phase).unwrap_or(0);
        (index, (offset.div_euclid(stride) - self.lowest) as usize)
    }

    /// The pixels of a phase that lie inside of the source: the first, how many, and the source's
    /// pixel that the first is.
    fn inside(&self, reads: &Reads, phase: usize) -> (usize, usize, usize) {
        let stride = reads.stride as isize;
        let first = (-self.lowest).max(0);
        let behind = (reads.inputs as isize - phase as isize + stride - 1).div_euclid(stride);
        let end = (behind - self.lowest).min(self.size as isize);
        let source = (first + self.lowest) * stride + phase as isize;
        (first as usize, (end - first).max(0) as usize, source as usize)
    }
}

impl Grid {
    /// The grid of these rows and columns, for kernels of so many columns.
    pub fn new(rows: Reads, columns: Reads, kernel_width: usize) -> Self {
        let along_rows = Phases::new(&rows);
        let along_columns = Phases::new(&columns);
        let mut taps = Vec::with_capacity(rows.taps.len() * columns.taps.len());
        for &(ky, y) in &rows.taps {
            let (row_phase, row) = along_rows.place(&rows, y);
            for &(kx, x) in &columns.taps {
                let (column_phase, column) = along_columns.place(&columns, x);
                let plane = row_phase * along_columns.phases.len() + column_phase;
                let offset = (plane * along_rows.size + row) * along_columns.size + column;
                taps.push(Tap { kernel: ky * kernel_width + kx, offset });
            }
        }
        Self { rows, columns, along_rows, along_columns, taps }
    }

    /// Results of one channel of an image.
    pub fn results(&self) -> usize {
        self.rows.outputs * self.columns.outputs
    }

    /// Pixels from one row of a plane to the next.
    pub fn width(&self) -> usize {
        self.along_columns.size
    }

    /// Values of one channel's planes.
    pub fn channel(&self) -> usize {
        let planes = self.along_rows.phases.len() * self.along_columns.phases.len();
        planes * self.along_rows.size * self.along_columns.size
    }

    /// Pixels of one channel of the whole result, of which this grid can be a part.
    pub fn target(&self) -> usize {
        self.rows.length * self.columns.length
    }

    /// Where result (y, x) lies in one channel of the whole result.
    pub fn place(&self, y: usize, x: usize) -> usize {
        let row = self.rows.first + y * self.rows.step;
        row * self.columns.length + self.columns.first + x * self.columns.step
    }

    /// Rows and columns of the results, as one row if no pixels lie between the rows.
    pub fn rows_of_neighbours(&self) -> (usize, usize) {
        let (rows, columns) = (self.rows.outputs, self.columns.outputs);
        let is_whole = self.rows.step == 1 && self.columns.step == 1;
        if is_whole && self.width() == columns { (1, rows * columns) } else { (rows, columns) }
    }

    /// The largest offset of a tap.
    pub fn reach(&self) -> usize {
        self.taps.iter().map(|tap| tap.offset).max().unwrap_or(0)
    }

    /// Whether a vector of so many pixels that begins in a channel's planes can end there, whatever
    /// the tap.
    pub fn is_longer_than(&self, lanes: usize) -> bool {
        self.channel() >= self.reach() + lanes
    }

    /// Pixels of one channel of the source.
    pub fn source(&self) -> usize {
        self.rows.inputs * self.columns.inputs
    }

    /// The planes of all channels of all images, and so many zeros behind them; without zeros the
    /// images themselves if they are the same.
    pub fn planes<'a>(&self, images: &'a [f32], zeros: usize) -> Cow<'a, [f32]> {
        if (self.is_identity() && zeros == 0) || images.is_empty() {
            return Cow::Borrowed(images);
        }
        let length = images.len() / self.source() * self.channel();
        let mut out = vec![0f32; length + zeros];
        if length > 0 {
            let channels = images.par_chunks_exact(self.source());
            out[..length]
                .par_chunks_exact_mut(self.channel())
                .zip(channels)
                .for_each(|(out, channel)| self.fill(channel, out));
        }
        Cow::Owned(out)
    }

    fn is_identity(&self) -> bool {
        let same = |reads: &Reads, phases: &Phases| {
            reads.stride == 1 && phases.lowest == 0 && phases.size == reads.inputs
        };
        same(&self.rows, &self.along_rows) && same(&self.columns, &self.along_columns)
    }

    /// Copies a channel of an image to its planes. What is padding there must be 0 already.
    pub fn fill(&self, channel: &[f32], out: &mut [f32]) {
        let (height, width) = (self.along_rows.size, self.along_columns.size);
        let mut planes = out.chunks_exact_mut((height * width).max(1));
        for &row_phase in &self.along_rows.phases {
            for &column_phase in &self.along_columns.phases {
                let Some(plane) = planes.next() else { return };
                let (top, rows, y) = self.along_rows.inside(&self.rows, row_phase);
                let (left, columns, x) = self.along_columns.inside(&self.columns, column_phase);
                let (down, right) = (self.rows.stride, self.columns.stride);
                for row in (0..rows).filter(|_| columns > 0) {
                    let out = &mut plane[(top + row) * width + left..][..columns];
                    let source = &channel[(y + row * down) * self.columns.inputs + x..];
                    copy_every(source, right, out);
                }
            }
        }
    }
}

/// Every `stride`-th value.
fn copy_every(source: &[f32], stride: usize, out: &mut [f32]) {
    match stride {
        1 => out.copy_from_slice(&source[..out.len()]),
        _ => out.iter_mut().zip(source.iter().step_by(stride)).for_each(|(out, &v)| *out = v),
    }
}
