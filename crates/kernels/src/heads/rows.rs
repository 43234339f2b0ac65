//! Which masks there are, and how the kernels group them.

use candle_core::{Device, Tensor};
use pulp::Simd;

use crate::error::{Error, Result};
use crate::product::COLUMNS;
use crate::sigmoid::{Row, add_products, fma};

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

    /// The channels that an attribute has masks for, ascending.
    ///
    /// # Panics
    /// If there is no such attribute.
    pub fn of(&self, attribute: usize) -> &[usize] {
        &self.kept[attribute]
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
        let both = |(a, b): (&Vec<usize>, &Vec<usize>)| {
            a.iter().copied().filter(|c| b.binary_search(c).is_ok()).collect()
        };
        let kept = self.kept.iter().zip(&other.kept).map(both).collect();
        Ok(Self { channels: self.channels, kept })
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
        let of = |kept: &Vec<usize>| {
            let has = |&new: &usize| kept.binary_search(&channels[new]).is_ok();
            (0..channels.len()).filter(has).collect()
        };
        Self { channels: channels.len(), kept: self.kept.iter().map(of).collect() }
    }
}

/// Panels of a group, whose gradients are computed together. With 128 channels and all rows, a
/// group is an attribute.
pub(super) const GROUP: usize = 4;

/// The kept rows, attribute by attribute, cut into panels of 32 whatever their attributes: tiles
/// are full.
pub(crate) struct Panels {
    /// Attribute and channel of each kept row.
    rows: Vec<(usize, usize)>,
    /// The same of the rows that are not kept.
    left_out: Vec<(usize, usize)>,
    lanes: Vec<Lanes>,
    /// C.
    channels: usize,
}

/// Where the features of a panel's rows lie in a pixel.
enum Lanes {
    /// 32 neighbouring channels from this one on.
    Run(usize),
    /// Each anywhere; 0 beyond the last row.
    Each([usize; COLUMNS]),
}

/// Up to 32 rows.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub index: usize,
    /// Attribute and channel of each.
    pub rows: &'a [(usize, usize)],
    lanes: &'a Lanes,
    channels: usize,
}

impl Panels {
    pub fn new(rows: &Rows) -> Self {
        let channels = rows.channels();
        let all = (0..rows.attributes()).flat_map(|k| (0..channels).map(move |c| (k, c)));
        let (kept, left_out): (Vec<_>, Vec<_>) =
            all.partition(|&(k, c)| rows.of(k).binary_search(&c).is_ok());
        let lanes = kept.chunks(COLUMNS).map(Lanes::of).collect();
        Self { rows: kept, left_out, lanes, channels }
    }

    /// Attribute and channel of each row that is not kept.
    pub fn left_out(&self) -> &[(usize, usize)] {
        &self.left_out
    }

    /// The number of panels.
    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// All panels.
    pub fn iter(&self) -> impl Iterator<Item = Panel<'_>> {
        let panels = self.rows.chunks(COLUMNS).zip(&self.lanes).enumerate();
        let channels = self.channels;
        panels.map(move |(index, (rows, lanes))| Panel { index, rows, lanes, channels })
    }

    /// Attribute and channel of a panel's rows.
    pub fn rows_of_panel(&self, panel: usize) -> &[(usize, usize)] {
        &self.rows[panel * COLUMNS..self.rows.len().min((panel + 1) * COLUMNS)]
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.count().div_ceil(GROUP)
    }

    /// The panels of a group.
    pub fn of_group(&self, group: usize) -> impl Iterator<Item = Panel<'_>> {
        self.iter().skip(group * GROUP).take(GROUP)
    }

    /// Attribute and channel of a group's rows.
    pub fn rows_of_group(&self, group: usize) -> &[(usize, usize)] {
        let size = GROUP * COLUMNS;
        &self.rows[group * size..self.rows.len().min((group + 1) * size)]
    }
}

impl Lanes {
    fn of(rows: &[(usize, usize)]) -> Self {
        let first = rows[0].1;
        let is_run = rows.iter().enumerate().all(|(lane, row)| row.1 == first + lane);
        if is_run && rows.len() == COLUMNS {
            return Self::Run(first);
        }
        let mut each = [0; COLUMNS];
        each.iter_mut().zip(rows).for_each(|(lane, row)| *lane = row.1);
        Self::Each(each)
    }
}

impl Panel<'_> {
    /// The features of the panel's rows in a pixel; beyond the last row anything.
    #[inline(always)]
    pub fn features(&self, pixel: &[f32]) -> Row {
        match self.lanes {
            Lanes::Run(first) => {
                *pixel[*first..].first_chunk().expect("a run ends within the pixel")
            }
            Lanes::Each(lanes) => {
                assert!(pixel.len() >= self.channels);
                // SAFETY: a lane is a channel (`Rows::new` has checked that) or 0, and the pixel has
                // all channels.
                lanes.map(|lane| unsafe { *pixel.get_unchecked(lane) })
            }
        }
    }

    /// Adds the product of two values of each row to its channel of a pixel.
    #[inline(always)]
    pub fn add_products<S: Simd>(&self, a: &Row, b: &Row, pixel: &mut [f32]) {
        if let Lanes::Run(first) = self.lanes {
            let sums = pixel[*first..].first_chunk_mut().expect("a run ends within the pixel");
            return add_products::<S>(a, b, sums);
        }
        // A channel can be that of several rows, of as many attributes.
        for (row, (&a, &b)) in self.rows.iter().zip(a.iter().zip(b)) {
            pixel[row.1] = fma::<S>(a, b, pixel[row.1]);
        }
    }
}
