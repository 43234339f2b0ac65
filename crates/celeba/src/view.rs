//! Where the pixels of an image went that was cropped, resized and mirrored.

use crate::landmarks::Landmarks;

/// The part of an image that a network sees, and how it got there: cropped, resized to a square,
/// then perhaps mirrored.
///
/// Points are [x, y] in pixels, x to the right and y down. Whole numbers are the centres of pixels,
/// as in CelebA's landmarks and in the indices of a tensor: [0, 0] is the centre of the first
/// pixel, whose area reaches from -1/2 to 1/2. The original image is the decoded one, turned as its
/// EXIF data say.
///
/// ```
/// use foresee_celeba::View;
///
/// // Columns 50 to 99 and rows 20 to 69, at half the size, mirrored.
/// let (left, top, width, height) = (50., 20., 50., 50.);
/// let part = View { left, top, width, height, mirrored: false, image_size: 25 };
/// let view = View { mirrored: true, ..part };
/// // The centre of pixel 60 lies 10.5 pixels right of the part's edge, so at 5.25 in the result,
/// // whose pixel 0 has its centre at 0.5.
/// assert_eq!(part.apply([60., 30.]), [4.75, 4.75]);
/// assert_eq!(view.apply([60., 30.]), [19.25, 4.75]);
/// assert_eq!(view.invert([19.25, 4.75]), [60., 30.]);
/// assert!(view.contains([60., 30.]) && !view.contains([40., 30.]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// The part's left edge in pixels from the left edge of the original image; it may lie inside
    /// of a pixel.
    pub left: f64,
    /// The part's upper edge in pixels from the upper edge of the original image.
    pub top: f64,
    /// The part's width in pixels of the original image; above 0.
    pub width: f64,
    /// The part's height in pixels of the original image; above 0.
    pub height: f64,
    /// Whether left and right were exchanged.
    pub mirrored: bool,
    /// Height and width of the result in pixels.
    pub image_size: usize,
}

impl View {
    /// Pixels of the result for each pixel of the original image, horizontally and vertically. The
    /// two are the same where the part is a square.
    pub fn scale(&self) -> [f64; 2] {
        [self.image_size as f64 / self.width, self.image_size as f64 / self.height]
    }

    /// Where a point of the original image is in the result:
    /// x' = (x + 1/2 - left)·scale - 1/2, and image_size - 1 - x' if it is mirrored. A point
    /// outside of the part gets a place outside of the result; [`contains`](Self::contains) tells.
    pub fn apply(&self, point: [f64; 2]) -> [f64; 2] {
        let [scale_x, scale_y] = self.scale();
        let x = (point[0] + 0.5 - self.left) * scale_x - 0.5;
        let y = (point[1] + 0.5 - self.top) * scale_y - 0.5;
        [if self.mirrored { self.image_size as f64 - 1. - x } else { x }, y]
    }

    /// Where a point of the result was in the original image, which undoes [`apply`](Self::apply).
    pub fn invert(&self, point: [f64; 2]) -> [f64; 2] {
        let [scale_x, scale_y] = self.scale();
        let x = if self.mirrored { self.image_size as f64 - 1. - point[0] } else { point[0] };
        [(x + 0.5) / scale_x + self.left - 0.5, (point[1] + 0.5) / scale_y + self.top - 0.5]
    }

    /// Where a box of the original image is in the result. A box is [x, y, width, height]: its
    /// first pixel, and the numbers of its columns and rows, as torchvision's XYWH. It is not
    /// clipped to the result.
    pub fn apply_box(&self, [x, y, width, height]: [f64; 4]) -> [f64; 4] {
        let [scale_x, scale_y] = self.scale();
        let left = (x - self.left) * scale_x;
        let width = width * scale_x;
        let left = if self.mirrored { self.image_size as f64 - left - width } else { left };
        [left, (y - self.top) * scale_y, width, height * scale_y]
    }

    /// Where the landmarks of the original image are in the result. If it is mirrored, left and
    /// right exchange their names too, so `left_eye` stays the eye at the left of what the network
    /// sees.
    pub fn apply_landmarks(&self, landmarks: &Landmarks) -> Landmarks {
        let moved = Landmarks::from_points(landmarks.points().map(|point| self.apply(point)));
        if self.mirrored { moved.exchanged() } else { moved }
    }

    /// Whether a point of the original image lies in the part, its edges included.
    pub fn contains(&self, [x, y]: [f64; 2]) -> bool {
        (0. ..=self.width).contains(&(x + 0.5 - self.left))
            && (0. ..=self.height).contains(&(y + 0.5 - self.top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns 50 to 99 and rows 20 to 119 become 50×50 pixels.
    const PART: View =
        View { left: 50., top: 20., width: 50., height: 100., mirrored: false, image_size: 50 };
    const MIRRORED: View = View { mirrored: true, ..PART };

    #[test]
    fn points_by_hand() {
        assert_eq!(PART.scale(), [1., 0.5]);
        // 60.5 - 50 - 0.5 and (30.5 - 20)/2 - 0.5.
        assert_eq!(PART.apply([60., 30.]), [10., 4.75]);
        assert_eq!(MIRRORED.apply([60., 30.]), [39., 4.75]);
        // The first pixel of the part is the last of a mirrored row.
        assert_eq!(PART.apply([50., 20.])[0], 0.);
        assert_eq!(MIRRORED.apply([50., 20.])[0], 49.);
        for view in [PART, MIRRORED] {
            assert_eq!(view.invert(view.apply([60., 30.])), [60., 30.]);
            assert_eq!(view.apply(view.invert([3., 8.5])), [3., 8.5]);
        }
    }

    #[test]
    fn a_part_ends_at_its_edges() {
        for view in [PART, MIRRORED] {
            assert!(view.contains([50., 20.]) && view.contains([99., 119.]));
            assert!(view.contains([49.5, 19.5]) && view.contains([99.5, 119.5]));
            assert!(!view.contains([49., 60.]) && !view.contains([100., 60.]));
            assert!(!view.contains([60., 19.]) && !view.contains([60., 120.]));
            assert!(!view.contains([f64::NAN, 60.]));
        }
    }

    #[test]
    fn boxes_by_hand() {
        // Columns 60 to 79 and rows 30 to 39.
        let face = [60., 30., 20., 10.];
        assert_eq!(PART.apply_box(face), [10., 5., 20., 5.]);
        // Columns 10 to 29 of 50 become columns 20 to 39.
        assert_eq!(MIRRORED.apply_box(face), [20., 5., 20., 5.]);
        // The whole part is the whole result.
        for view in [PART, MIRRORED] {
            assert_eq!(view.apply_box([50., 20., 50., 100.]), [0., 0., 50., 50.]);
        }
    }

    #[test]
    fn a_mirror_exchanges_the_names_of_landmarks() {
        let face = Landmarks::from([60, 30, 90, 30, 75, 50, 62, 70, 88, 70]);
        let plain = PART.apply_landmarks(&face);
        assert_eq!((plain.left_eye, plain.right_eye), ([10., 4.75], [40., 4.75]));
        let mirrored = MIRRORED.apply_landmarks(&face);
        // The eye at column 90 is now the left one: 49 - 40.
        assert_eq!((mirrored.left_eye, mirrored.right_eye), ([9., 4.75], [39., 4.75]));
        assert_eq!((mirrored.left_mouth[0], mirrored.right_mouth[0]), (11., 37.));
        assert_eq!(mirrored.nose, [24., 14.75]);
    }
}
