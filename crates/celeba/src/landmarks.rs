//! The five points of a face by their names.

/// The five points of a face, [x, y] each, in pixels as [`View`](crate::View) counts them.
///
/// Left and right are the viewer's: CelebA's `lefteye` is the eye at the left of the image, which
/// is the person's right eye if the person faces the camera.
///
/// ```
/// use foresee_celeba::Landmarks;
///
/// // A row of `CelebA::landmarks`.
/// let face = Landmarks::from([60, 30, 90, 31, 75, 50, 62, 70, 88, 71]);
/// assert_eq!((face.left_eye, face.nose), ([60., 30.], [75., 50.]));
/// assert_eq!(face.exchanged().left_eye, [90., 31.]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landmarks {
    /// The eye at the left of the image.
    pub left_eye: [f64; 2],
    /// The eye at the right of the image.
    pub right_eye: [f64; 2],
    /// The tip of the nose.
    pub nose: [f64; 2],
    /// The corner of the mouth at the left of the image.
    pub left_mouth: [f64; 2],
    /// The corner of the mouth at the right of the image.
    pub right_mouth: [f64; 2],
}

impl Landmarks {
    /// The names of [`points`](Self::points), in their order.
    pub const NAMES: [&str; 5] = ["left_eye", "right_eye", "nose", "left_mouth", "right_mouth"];

    /// The points in the order of [`NAMES`](Self::NAMES).
    pub fn points(&self) -> [[f64; 2]; 5] {
        [self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth]
    }

    /// The landmarks at these points, in the order of [`NAMES`](Self::NAMES).
    pub fn from_points(points: [[f64; 2]; 5]) -> Self {
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = points;
        Self { left_eye, right_eye, nose, left_mouth, right_mouth }
    }

    /// The same points with the names left and right exchanged, as a mirrored image needs them.
    #[must_use]
    pub fn exchanged(&self) -> Self {
        Self {
            left_eye: self.right_eye,
            right_eye: self.left_eye,
            nose: self.nose,
            left_mouth: self.right_mouth,
            right_mouth: self.left_mouth,
        }
    }
}

/// A row of [`CelebA::landmarks`](crate::CelebA::landmarks), in the order of
/// [`LANDMARKS`](crate::LANDMARKS).
impl From<[i32; 10]> for Landmarks {
    fn from(row: [i32; 10]) -> Self {
        Self::from_points(std::array::from_fn(|point| {
            [f64::from(row[2 * point]), f64::from(row[2 * point + 1])]
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::LANDMARKS;

    #[test]
    fn names_are_those_of_the_columns() {
        for (name, columns) in Landmarks::NAMES.iter().zip(LANDMARKS.chunks_exact(2)) {
            let name = name.replace('_', "");
            assert_eq!(columns, [format!("{name}_x"), format!("{name}_y")]);
        }
    }

    #[test]
    fn a_row_becomes_points_and_a_mirror_exchanges_names() {
        let landmarks = Landmarks::from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((landmarks.left_eye, landmarks.right_mouth), ([1., 2.], [9., 10.]));
        assert_eq!(Landmarks::from_points(landmarks.points()), landmarks);
        let mirrored = landmarks.exchanged();
        assert_eq!((mirrored.left_eye, mirrored.right_eye), ([3., 4.], [1., 2.]));
        assert_eq!((mirrored.nose, mirrored.left_mouth), ([5., 6.], [9., 10.]));
        assert_eq!(mirrored.exchanged(), landmarks);
    }
}
