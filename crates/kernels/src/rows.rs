//! Which masks there are.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};

/// Which rows (attribute, channel) of the heads have masks. The masks of all others are 0 on every
/// pixel: they are not computed.
///
/// ```
/// use foresee_kernels::Rows;
///
/// // Of two attributes on three channels: the first has all masks, the second one.
/// let rows = Rows::new(3, vec![vec![0, 1, 2], vec![1]])?;
/// assert_eq!((rows.count(), rows.of(1)), (4, &[1][..]));
/// assert!(!rows.is_all() && Rows::all(2, 3).is_all());
/// // Channels ascend.
/// assert!(Rows::new(3, vec![vec![1, 0]]).is_err());
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    channels: usize,
    kept: Vec<Vec<usize>>,
}

impl Rows {
    /// All rows.
    pub fn all(attributes: usize, channels: usize) -> Self {
        Self { channels, kept: vec![(0..channels).collect(); attributes] }
    }

    /// For each attribute its kept channels, ascending, of so many.
    ///
    /// # Errors
    /// [`Error::Rows`] if channels of an attribute do not ascend, or one does not exist.
    pub fn new(channels: usize, kept: Vec<Vec<usize>>) -> Result<Self> {
        let ascending = |of: &[usize]| {
            of.is_sorted_by(|a, b| a < b) && of.last().is_none_or(|&last| last < channels)
        };
        match kept.iter().position(|of| !ascending(of)) {
            Some(attribute) => Err(Error::Rows { attribute, channels }),
            None => Ok(Self { channels, kept }),
        }
    }

    /// K.
    pub fn attributes(&self) -> usize {
        self.kept.len()
    }

    /// C.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// For each attribute the channels that it has masks for, ascending.
    pub fn kept(&self) -> &[Vec<usize>] {
        &self.kept
    }

    /// The channels that an attribute has masks for, ascending.
    ///
    /// # Panics
    /// If there is no such attribute.
    pub fn of(&self, attribute: usize) -> &[usize] {
        &self.kept[attribute]
    }

    /// Whether an attribute has a mask for a channel.
    ///
    /// # Panics
    /// If there is no such attribute.
    pub fn has(&self, attribute: usize, channel: usize) -> bool {
        self.kept[attribute].binary_search(&channel).is_ok()
    }

    /// The number of rows that are kept.
    pub fn count(&self) -> usize {
        self.kept.iter().map(Vec::len).sum()
    }

    /// 1 for each row that is kept, 0 for the others: [K, C].
    ///
    /// # Errors
    /// If candle fails.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        let mut kept = vec![0f32; self.attributes() * self.channels];
        for (row, of) in kept.chunks_mut(self.channels.max(1)).zip(&self.kept) {
            of.iter().for_each(|&c| row[c] = 1.);
        }
        Ok(Tensor::from_vec(kept, (self.attributes(), self.channels), device)?)
    }

    /// Whether no row is left out.
    pub fn is_all(&self) -> bool {
        self.count() == self.attributes() * self.channels
    }

    /// The rows that both have.
    ///
    /// # Errors
    /// [`Error::RowsOf`] if they are of other numbers of attributes or channels.
    pub fn and(&self, other: &Self) -> Result<Self> {
        let [needed, given] = [self, other].map(|rows| [rows.attributes(), rows.channels]);
        if given != needed {
            return Err(Error::RowsOf { given, needed });
        }
        let both = |k: usize| self.of(k).iter().copied().filter(|&c| other.has(k, c)).collect();
        Ok(Self { channels: self.channels, kept: (0..self.attributes()).map(both).collect() })
    }

    /// The rows of these channels alone, which are numbered anew in this order.
    ///
    /// ```
    /// use foresee_kernels::Rows;
    ///
    /// let rows = Rows::new(3, vec![vec![0, 2], vec![1]])?;
    /// assert_eq!(rows.on_channels(&[1, 2]), Rows::new(2, vec![vec![1], vec![0]])?);
    /// # Ok::<(), foresee_kernels::Error>(())
    /// ```
    #[must_use]
    pub fn on_channels(&self, channels: &[usize]) -> Self {
        let of = |k: usize| (0..channels.len()).filter(|&new| self.has(k, channels[new])).collect();
        Self { channels: channels.len(), kept: (0..self.attributes()).map(of).collect() }
    }

    /// The rows of these attributes alone, which are numbered anew in this order.
    ///
    /// # Panics
    /// If there is no such attribute.
    #[must_use]
    pub fn on_attributes(&self, attributes: &[usize]) -> Self {
        let kept = attributes.iter().map(|&k| self.kept[k].clone()).collect();
        Self { channels: self.channels, kept }
    }
}
