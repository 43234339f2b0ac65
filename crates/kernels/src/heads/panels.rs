//! How the kernels group the rows that are kept.

use std::ops::Range;

use pulp::Simd;

use super::dims::Dims;
use crate::product::COLUMNS;
use crate::rows::Rows;
use crate::sigmoid::{Row, add_products, fma};

/// The most panels of a group, whose gradients are computed together. With 128 channels and all
/// rows, a group is an attribute.
pub(super) const GROUP: usize = 4;

/// The kept rows, attribute by attribute, in panels of 32.
pub(crate) struct Panels {
    /// Attribute and channel of each kept row.
    rows: Vec<(usize, usize)>,
    places: Vec<Place>,
    /// The panels of each group.
    groups: Vec<Range<usize>>,
    /// C.
    channels: usize,
}

/// Which rows a panel has, and where their features lie.
struct Place {
    rows: Range<usize>,
    lanes: Lanes,
}

/// Where the features of a panel's rows lie in a pixel.
enum Lanes {
    /// 32 neighbouring channels from this one on.
    Run(usize),
    /// Each anywhere; 0 beyond the last row.
    Each(Box<[usize; COLUMNS]>),
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
    /// Panels of 32 rows whatever their attributes: tiles are full.
    pub fn new(rows: &Rows) -> Self {
        let count = rows.count();
        let size = GROUP * COLUMNS;
        let groups = (0..count).step_by(size).map(|first| first..count.min(first + size));
        Self::of_groups(rows, &groups.collect::<Vec<_>>())
    }

    /// Groups of whole attributes: as many as fit, so that few tiles are not full. `None` if the
    /// rows of one attribute do not fit a group.
    pub fn of_whole_attributes(rows: &Rows) -> Option<Self> {
        let size = GROUP * COLUMNS;
        let mut groups: Vec<Range<usize>> = vec![];
        let mut start = 0;
        for count in (0..rows.attributes()).map(|k| rows.of(k).len()).filter(|count| *count > 0) {
            if count > size {
                return None;
            }
            let end = start + count;
            let fits = groups.last().is_some_and(|group| group.len() + count <= size);
            match groups.last_mut() {
                Some(group) if fits => group.end = end,
                _ => groups.push(start..end),
            }
            start = end;
        }
        Some(Self::of_groups(rows, &groups))
    }

    /// Groups of these kept rows, which are counted from the first.
    fn of_groups(rows: &Rows, of_groups: &[Range<usize>]) -> Self {
        let each = rows.kept().iter().enumerate();
        let kept: Vec<(usize, usize)> =
            each.flat_map(|(k, channels)| channels.iter().map(move |&c| (k, c))).collect();
        let mut places = vec![];
        let mut groups = vec![];
        for group in of_groups {
            let first = places.len();
            places.extend(group.clone().step_by(COLUMNS).map(|start| {
                let rows = start..group.end.min(start + COLUMNS);
                Place { lanes: Lanes::of(&kept[rows.clone()]), rows }
            }));
            groups.push(first..places.len());
        }
        Self { rows: kept, places, groups, channels: rows.channels() }
    }

    /// Attribute and channel of each row that is not kept.
    pub fn left_out(&self, dims: &Dims) -> impl Iterator<Item = (usize, usize)> {
        let Dims { attributes, channels, .. } = *dims;
        let all = (0..attributes).flat_map(move |k| (0..channels).map(move |c| (k, c)));
        // Kept rows ascend.
        all.filter(move |row| self.rows.binary_search(row).is_err())
    }

    /// The number of panels.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// All panels.
    pub fn iter(&self) -> impl Iterator<Item = Panel<'_>> {
        (0..self.count()).map(move |index| self.panel(index))
    }

    fn panel(&self, index: usize) -> Panel<'_> {
        let Place { rows, lanes } = &self.places[index];
        Panel { index, rows: &self.rows[rows.clone()], lanes, channels: self.channels }
    }

    /// Attribute and channel of a panel's rows.
    pub fn rows_of_panel(&self, panel: usize) -> &[(usize, usize)] {
        self.panel(panel).rows
    }

    /// The number of groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The numbers of some neighbouring groups' panels.
    pub fn indices_of(&self, groups: Range<usize>) -> Range<usize> {
        match self.groups[groups].split_first() {
            Some((first, others)) => first.start..others.last().unwrap_or(first).end,
            None => 0..0,
        }
    }

    /// The attributes of some neighbouring groups, with those between them that have no row.
    pub fn attributes_of(&self, groups: Range<usize>) -> Range<usize> {
        let panels = self.indices_of(groups);
        let rows = panels.flat_map(|panel| self.rows_of_panel(panel));
        let attributes = rows.map(|row| row.0);
        match (attributes.clone().min(), attributes.max()) {
            (Some(first), Some(last)) => first..last + 1,
            _ => 0..0,
        }
    }

    /// The panels of a group.
    pub fn of_group(&self, group: usize) -> impl Iterator<Item = Panel<'_>> {
        self.groups[group].clone().map(move |index| self.panel(index))
    }

    /// Attribute and channel of a group's rows.
    pub fn rows_of_group(&self, group: usize) -> &[(usize, usize)] {
        let Range { start, end } = self.groups[group];
        &self.rows[self.places[start].rows.start..self.places[end - 1].rows.end]
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
        Self::Each(Box::new(each))
    }
}

impl Panel<'_> {
    /// The features of the panel's rows in a pixel, where they lie beside each other or else
    /// `gathered`; beyond the last row anything.
    #[inline(always)]
    pub fn features<'b>(&self, pixel: &'b [f32], gathered: &'b mut Row) -> &'b Row {
        match self.lanes {
            Lanes::Run(first) => {
                pixel[*first..].first_chunk().expect("a run ends within the pixel")
            }
            Lanes::Each(lanes) => {
                assert!(pixel.len() >= self.channels);
                // SAFETY: a lane is a channel (`Rows::new` has checked that) or 0, and the pixel
                // has all channels.
                *gathered = lanes.map(|lane| unsafe { *pixel.get_unchecked(lane) });
                gathered
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
