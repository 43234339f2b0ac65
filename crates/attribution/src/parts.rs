//! Parts of an input that are changed together.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result, check};

/// What the parts of an input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Cells of a grid over an image ([`Part::grid`]).
    Region,
    /// Channels of the features ([`Part::channels`]).
    Channel,
    /// Attributes that are the inputs of another model.
    Attribute,
}

impl PartKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Region, Self::Channel, Self::Attribute];

    /// As in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Channel => "channel",
            Self::Attribute => "attribute",
        }
    }

    /// The kind of this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

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
            return Err(Error::shape("an input", input, "at least one dimension"));
        };
        check(i < *first, "index", i, "an index of the first dimension")?;
        let size: usize = rest.iter().product();
        Self::new(name, input, (0..first * size).map(|at| at / size == i))
    }

    /// `count` evenly spaced channels of features [C, H, W], named by their numbers; all of them if
    /// `count` is 0 or above C.
    ///
    /// # Errors
    /// If the features have no dimension.
    pub fn channels(features: &[usize], count: usize) -> Result<Vec<Self>> {
        let [all, ..] = *features else {
            return Err(Error::shape("the features", features, "[C, H, W]"));
        };
        let count = if count == 0 { all } else { count.min(all) };
        (0..count)
            .map(|i| i * all / count)
            .map(|channel| Self::index(channel.to_string(), features, channel))
            .collect()
    }

    /// Where `inside` is true, of H·W pixels row by row, in all channels of images [C, H, W].
    ///
    /// # Errors
    /// If the shapes do not fit each other.
    pub fn region(name: impl Into<String>, input: &[usize], inside: &[bool]) -> Result<Self> {
        match *input {
            [c, h, w] if inside.len() == h * w => {
                Self::new(name, input, inside.iter().copied().cycle().take(c * h * w))
            }
            _ => {
                let expected = format!("[H·W] of images [C, H, W], which are {input:?},");
                Err(Error::shape("the region", &[inside.len()], expected))
            }
        }
    }

    /// The cells of a grid over images [C, H, W], row by row, as equal as possible, named "row,
    /// column".
    ///
    /// # Errors
    /// If there are more cells than pixels in a direction, or none.
    pub fn grid(input: &[usize], rows: usize, columns: usize) -> Result<Vec<Self>> {
        let &[_, h, w] = input else {
            return Err(Error::shape("an input", input, "[C, H, W]"));
        };
        let cells = grid_cells(h, w, rows, columns)?;
        (0..rows * columns)
            .map(|cell| {
                let inside: Vec<bool> = cells.iter().map(|&c| c as usize == cell).collect();
                Self::region(format!("{}, {}", cell / columns, cell % columns), input, &inside)
            })
            .collect()
    }

    fn new(
        name: impl Into<String>,
        input: &[usize],
        inside: impl Iterator<Item = bool>,
    ) -> Result<Self> {
        let mask = Tensor::from_vec(inside.map(u8::from).collect::<Vec<_>>(), input, &Device::Cpu)?;
        Ok(Self { name: name.into(), mask })
    }

    /// `inside` within this part, `outside` elsewhere; both [B, ...].
    pub(crate) fn mix(&self, inside: &Tensor, outside: &Tensor) -> Result<Tensor> {
        if outside.dims().get(1..) != Some(self.mask.dims()) {
            let expected =
                format!("a batch of {:?}, for which part {:?} is,", self.mask.dims(), self.name);
            return Err(Error::shape("the input", outside.dims(), expected));
        }
        Ok(self
            .mask
            .to_device(outside.device())?
            .broadcast_as(outside.shape())?
            .where_cond(&inside.broadcast_as(outside.shape())?, outside)?)
    }

    /// For each entry of an input, whether it is inside.
    pub(crate) fn entries(&self) -> Result<Vec<bool>> {
        Ok(self.mask.flatten_all()?.to_vec1::<u8>()?.into_iter().map(|m| m == 1).collect())
    }
}

/// The number of each pixel's cell, row by row.
pub(crate) fn grid_cells(h: usize, w: usize, rows: usize, columns: usize) -> Result<Vec<u32>> {
    check((1..=h).contains(&rows), "rows", rows, "a number from 1 to the image's height")?;
    check((1..=w).contains(&columns), "columns", columns, "a number from 1 to the image's width")?;
    Ok((0..h * w).map(|at| ((at / w * rows / h) * columns + at % w * columns / w) as u32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_evenly_spaced() -> Result<()> {
        let names = |count| -> Result<Vec<String>> {
            Ok(Part::channels(&[7, 1, 1], count)?.into_iter().map(|part| part.name).collect())
        };
        assert_eq!(names(3)?, ["0", "2", "4"]);
        assert_eq!(names(0)?, ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(names(9)?.len(), 7);
        assert_eq!(Part::channels(&[2, 1, 2], 2)?[1].entries()?, [false, false, true, true]);
        Ok(())
    }
}
