//! Parts of an input that are changed together.

use candle_core::{DType, Device, Tensor};

use crate::error::{Result, check, shape};

/// A part of an input: a column, a channel, a region of an image.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is called in results.
    pub name: String,
    /// 1 inside, of one input's shape.
    mask: Tensor,
}

impl Part {
    /// Index i of the first dimension of inputs of this shape (without the batch): column i of
    /// `[D]`, channel i of [C, H, W].
    ///
    /// # Errors
    /// If there is no such index.
    pub fn index(name: impl Into<String>, input: &[usize], i: usize) -> Result<Self> {
        let [first, rest @ ..] = input else {
            return shape("an input", input, "at least one dimension");
        };
        check(i < *first, "index", i, "an index of the first dimension")?;
        let size: usize = rest.iter().product();
        Self::of(name, input, (0..first * size).map(|at| at / size == i))
    }

    /// Where `inside` is true, of H·W pixels row by row, in all channels of images [C, H, W].
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn region(name: impl Into<String>, input: &[usize], inside: &[bool]) -> Result<Self> {
        match *input {
            [c, h, w] if inside.len() == h * w => {
                Self::of(name, input, inside.iter().copied().cycle().take(c * h * w))
            }
            _ => shape(
                "the region",
                &[inside.len()],
                format!("[H·W] of images [C, H, W], which are {input:?},"),
            ),
        }
    }

    /// The cells of a grid over images [C, H, W], row by row, as equal as possible.
    ///
    /// # Errors
    /// If there are more cells than pixels in a direction, or none.
    pub fn grid(input: &[usize], rows: usize, columns: usize) -> Result<Vec<Self>> {
        let &[_, h, w] = input else { return shape("an input", input, "[C, H, W]") };
        let cells = grid_cells(h, w, rows, columns)?;
        (0..rows * columns)
            .map(|cell| {
                Self::region(
                    format!("{}, {}", cell / columns, cell % columns),
                    input,
                    &cells.iter().map(|&c| c as usize == cell).collect::<Vec<_>>(),
                )
            })
            .collect()
    }

    fn of(
        name: impl Into<String>,
        input: &[usize],
        inside: impl Iterator<Item = bool>,
    ) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            mask: Tensor::from_vec(inside.map(u8::from).collect::<Vec<_>>(), input, &Device::Cpu)?,
        })
    }

    /// `inside` within this part, `outside` elsewhere; both [B, ...].
    pub(crate) fn mix(&self, inside: &Tensor, outside: &Tensor) -> Result<Tensor> {
        if outside.dims()[1..] != *self.mask.dims() {
            return shape(
                "the input",
                outside.dims(),
                format!("a batch of {:?}, for which part {:?} is,", self.mask.dims(), self.name),
            );
        }
        Ok(self
            .mask
            .to_device(outside.device())?
            .broadcast_as(outside.shape())?
            .where_cond(&inside.broadcast_as(outside.shape())?, outside)?)
    }

    /// How often each entry of an input is inside: once or never.
    pub(crate) fn entries(&self) -> Result<Vec<bool>> {
        Ok(self.mask.flatten_all()?.to_vec1::<u8>()?.into_iter().map(|m| m == 1).collect())
    }
}

/// The number of each pixel's cell, row by row.
fn grid_cells(h: usize, w: usize, rows: usize, columns: usize) -> Result<Vec<u32>> {
    check((1..=h).contains(&rows), "rows", rows, "a number from 1 to the image's height")?;
    check((1..=w).contains(&columns), "columns", columns, "a number from 1 to the image's width")?;
    Ok((0..h * w).map(|at| ((at / w * rows / h) * columns + at % w * columns / w) as u32).collect())
}

/// A segment map [H, W] for [`lime`](crate::lime): the cells of a grid, as equal as possible.
///
/// # Errors
/// If there are more cells than pixels in a direction, or none.
pub fn grid_segments(height: usize, width: usize, rows: usize, columns: usize) -> Result<Tensor> {
    Ok(Tensor::from_vec(grid_cells(height, width, rows, columns)?, (height, width), &Device::Cpu)?
        .to_dtype(DType::U32)?)
}
