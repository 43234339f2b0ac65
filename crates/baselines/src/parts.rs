//! The parts of a face that PANDA-l has networks for, and where they lie.

use foresee_model::Crop;

use crate::aligned::{COLUMNS, rows};

/// Where CelebA's alignment puts the five landmarks, [x, y] each in the pixels of its aligned
/// images, 178 by 218: the eyes at the left and at the right of the image, the tip of the nose, and
/// the corners of the mouth. Whole numbers are the centres of pixels, as in
/// `list_landmarks_align_celeba.txt`.
pub const ALIGNED_LANDMARKS: [[f32; 2]; 5] =
    [[69., 111.], [108., 111.], [88., 136.], [73., 152.], [105., 152.]];

/// A part of the face that has a network of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All that the image shows.
    Whole,
    /// Hair and forehead.
    Hair,
    /// Both eyes with their brows.
    Eyes,
    /// The nose.
    Nose,
    /// Mouth and chin.
    Mouth,
    /// The left half of the image's face.
    Left,
    /// Its right half.
    Right,
    /// From the mouth down.
    Neck,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 8] = [
        Self::Whole,
        Self::Hair,
        Self::Eyes,
        Self::Nose,
        Self::Mouth,
        Self::Left,
        Self::Right,
        Self::Neck,
    ];

    /// A short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Hair => "hair",
            Self::Eyes => "eyes",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Left => "left",
            Self::Right => "right",
            Self::Neck => "neck",
        }
    }

    /// Left, right, top and bottom in the pixels of CelebA's aligned images if the landmarks are
    /// [`ALIGNED_LANDMARKS`].
    fn corners(self) -> [f64; 4] {
        match self {
            Self::Whole => [0., 178., 0., 218.],
            Self::Hair => [19., 159., 10., 110.],
            Self::Eyes => [49., 129., 86., 131.],
            Self::Nose => [64., 114., 96., 146.],
            Self::Mouth => [57., 121., 130., 190.],
            Self::Left => [14., 94., 50., 190.],
            Self::Right => [84., 164., 50., 190.],
            Self::Neck => [19., 159., 140., 218.],
        }
    }

    /// The landmarks that the part moves with; none: it does not move.
    fn moves_with(self) -> &'static [usize] {
        match self {
            Self::Whole => &[],
            Self::Hair | Self::Eyes => &[0, 1],
            Self::Nose => &[2],
            Self::Mouth | Self::Neck => &[3, 4],
            Self::Left => &[0, 3],
            Self::Right => &[1, 4],
        }
    }

    /// The corners about these landmarks: with c the mean of the landmarks that the part moves
    /// with, and s the distances between the eyes (for x) and from the eyes down to the mouth (for
    /// y), x' = c(landmarks) + (x - c(aligned)) · s(landmarks) / s(aligned).
    fn corners_about(self, landmarks: &[[f32; 2]; 5]) -> [f64; 4] {
        let corners = self.corners();
        let points = self.moves_with();
        if points.is_empty() {
            return corners;
        }
        let moved = |corner: f64, axis: usize| {
            let [from, to] = [&ALIGNED_LANDMARKS, landmarks].map(|of| mean(of, points, axis));
            let [before, now] = [&ALIGNED_LANDMARKS, landmarks].map(|of| distance(of, axis));
            to + (corner - from) * (now / before)
        };
        let [left, right, top, bottom] = corners;
        [moved(left, 0), moved(right, 0), moved(top, 1), moved(bottom, 1)]
    }

    /// Left, right, top and bottom in the pixels of square images of this height and width, which
    /// show this crop: the smallest rectangle that holds the part, as far as it is seen, if
    /// landmarks lie here in CelebA's aligned images. A part that is not seen is empty.
    ///
    /// ```
    /// use foresee_baselines::{ALIGNED_LANDMARKS, Part};
    /// use foresee_model::Crop;
    ///
    /// let nose = |crop, size| Part::Nose.pixels(&ALIGNED_LANDMARKS, crop, size);
    /// // Columns 64 to 114 of 178, and rows 96 to 146 of the rows 20 to 198.
    /// assert_eq!(nose(Crop::Square, 178), [64, 114, 76, 126]);
    /// assert_eq!(nose(Crop::Square, 89), [32, 57, 38, 63]);
    /// // A face further down.
    /// let lower = ALIGNED_LANDMARKS.map(|[x, y]| [x, y + 10.]);
    /// assert_eq!(Part::Nose.pixels(&lower, Crop::Square, 178), [64, 114, 86, 136]);
    /// assert_eq!(Part::Whole.pixels(&lower, Crop::Square, 64), [0, 64, 0, 64]);
    /// ```
    pub fn pixels(self, landmarks: &[[f32; 2]; 5], crop: Crop, size: usize) -> [usize; 4] {
        let [left, right, top, bottom] = self.corners_about(landmarks);
        let (from, to) = rows(crop);
        let (from, to) = (f64::from(from), f64::from(to));
        let columns = f64::from(COLUMNS);
        // In whole numbers: a rounded share could reach into the next pixel.
        let [left, right] = [left.floor(), right.ceil()].map(|x| x.clamp(0., columns) as usize);
        let [top, bottom] =
            [top.floor(), bottom.ceil()].map(|y| (y.clamp(from, to) - from) as usize);
        let (columns, shown) = (columns as usize, (to - from) as usize);
        [
            left * size / columns,
            (right * size).div_ceil(columns),
            top * size / shown,
            (bottom * size).div_ceil(shown),
        ]
    }
}

/// The mean of some landmarks along an axis, from the edge of the image on: the first pixel's
/// centre lies at ½.
fn mean(landmarks: &[[f32; 2]; 5], points: &[usize], axis: usize) -> f64 {
    let sum: f64 = points.iter().map(|&point| f64::from(landmarks[point][axis])).sum();
    sum / points.len() as f64 + 0.5
}

/// How far the right eye is from the left one, or the mouth below the eyes.
fn distance(landmarks: &[[f32; 2]; 5], axis: usize) -> f64 {
    match axis {
        0 => mean(landmarks, &[1], 0) - mean(landmarks, &[0], 0),
        _ => mean(landmarks, &[3, 4], 1) - mean(landmarks, &[0, 1], 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_smaller_face_by_hand() {
        // Eyes 19.5 apart in place of 39, and 20.5 above the mouth in place of 41.
        let half: [[f32; 2]; 5] =
            [[79., 100.], [98.5, 100.], [88., 112.], [81., 120.5], [97., 120.5]];
        // The eyes' middle is at (89.25, 100.5); the part reaches 40 to both sides, 25.5 up and
        // 19.5 down in place of which is half: columns 69.25 to 109.25, rows 87.75 to 110.25.
        let eyes = Part::Eyes.pixels(&half, Crop::Whole, 178 * 218);
        // Columns and rows of 178 and 218 are 218 and 178 pixels here.
        assert_eq!(eyes, [69 * 218, 110 * 218, 87 * 178, 111 * 178]);
        // Around the nose's (88.5, 112.5): 24.5 to the left, 25.5 to the right, 40.5 up, 9.5 down.
        let nose = Part::Nose.pixels(&half, Crop::Whole, 178 * 218);
        assert_eq!(nose, [76 * 218, 102 * 218, 92 * 178, 118 * 178]);
    }

    #[test]
    fn aligned_landmarks_leave_every_part_where_it_is() {
        for part in Part::ALL {
            assert_eq!(part.corners_about(&ALIGNED_LANDMARKS), part.corners(), "{}", part.id());
        }
    }

    #[test]
    fn a_part_that_is_not_seen_is_empty() {
        let high = ALIGNED_LANDMARKS.map(|[x, y]| [x, y - 105.]);
        let [left, right, top, bottom] = Part::Hair.pixels(&high, Crop::Square, 64);
        assert!(left < right && top == bottom);
    }
}
