//! Parts of an aligned face.

use serde::{Deserialize, Serialize};

use super::planes::Planes;
use crate::aligned;

/// A part of a face of CelebA's aligned images, where eyes, nose and mouth always lie at the same
/// places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// From the brows to the chin.
    Face,
    /// Above the forehead.
    Hair,
    /// Between hair and brows.
    Forehead,
    /// Both brows.
    Eyebrows,
    /// Both eyes.
    Eyes,
    /// The nose.
    Nose,
    /// Both cheeks, with the nose's tip between them.
    Cheeks,
    /// Between nose and mouth.
    UpperLip,
    /// The mouth.
    Mouth,
    /// Below the mouth.
    Chin,
}

/// Columns and rows of the samples that are taken of a region.
pub(super) const COLUMNS: usize = 24;
pub(super) const ROWS: usize = 16;

impl Region {
    /// All regions.
    pub const ALL: [Self; 10] = [
        Self::Face,
        Self::Hair,
        Self::Forehead,
        Self::Eyebrows,
        Self::Eyes,
        Self::Nose,
        Self::Cheeks,
        Self::UpperLip,
        Self::Mouth,
        Self::Chin,
    ];

    /// A short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Hair => "hair",
            Self::Forehead => "forehead",
            Self::Eyebrows => "eyebrows",
            Self::Eyes => "eyes",
            Self::Nose => "nose",
            Self::Cheeks => "cheeks",
            Self::UpperLip => "upper_lip",
            Self::Mouth => "mouth",
            Self::Chin => "chin",
        }
    }

    /// Left, right, top and bottom in the pixels of CelebA's aligned images, 178 by 218, in which
    /// the eyes lie about (69, 111) and (108, 111) and the corners of the mouth about (73, 152) and
    /// (105, 152).
    fn corners(self) -> [f32; 4] {
        match self {
            Self::Face => [49., 129., 80., 178.],
            Self::Hair => [39., 139., 22., 72.],
            Self::Forehead => [59., 119., 70., 98.],
            Self::Eyebrows => [54., 124., 92., 106.],
            Self::Eyes => [54., 124., 102., 122.],
            Self::Nose => [74., 104., 104., 144.],
            Self::Cheeks => [50., 128., 122., 152.],
            Self::UpperLip => [68., 110., 138., 152.],
            Self::Mouth => [66., 112., 144., 166.],
            Self::Chin => [62., 116., 160., 186.],
        }
    }

    /// Samples of a plane over this region, row by row, [`ROWS`] · [`COLUMNS`]. The images show the
    /// rows `from` to `to` of the 218, and all columns.
    pub(super) fn samples(self, planes: &Planes, plane: usize, (from, to): (f32, f32)) -> Vec<f32> {
        let [left, right, top, bottom] = self.corners();
        let size = planes.size as f32;
        let at = |i: usize, of: usize, low: f32, high: f32| {
            low + (i as f32 + 0.5) / of as f32 * (high - low)
        };
        let mut values = Vec::with_capacity(ROWS * COLUMNS);
        for row in 0..ROWS {
            let y = (at(row, ROWS, top, bottom) - from) / (to - from) * size - 0.5;
            for column in 0..COLUMNS {
                let x = at(column, COLUMNS, left, right) / aligned::COLUMNS * size - 0.5;
                values.push(planes.bilinear(plane, x, y));
            }
        }
        values
    }
}
