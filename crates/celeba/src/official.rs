//! Facts about CelebA as its authors distribute it.

use crate::split::Split;

/// Images in CelebA.
pub(crate) const FACES: usize = 202_599;
/// People in CelebA.
pub(crate) const PEOPLE: usize = 10_177;
/// Images of train, val and test, which follow each other in this order.
pub(crate) const SPLIT_SIZES: [usize; 3] = [162_770, 19_867, 19_962];
/// MD5 sums of the distributed annotation files, by the files' names without `.txt`.
pub(crate) const ANNOTATION_MD5: [(&str, &str); 5] = [
    ("list_attr_celeba", "75e246fa4810816ffd6ee81facbd244c"),
    ("list_eval_partition", "d32c9cbf5e040fd4025c592c306e6668"),
    ("identity_CelebA", "32bd1bd63d3c78cd57e08160ec5ed1e2"),
    ("list_bbox_celeba", "00566efa6fedff7a56946cd1c10f1c16"),
    ("list_landmarks_align_celeba", "cc24ecafdb5b50baae59b03474781f8c"),
];
/// MD5 sum of `img_align_celeba.zip`.
pub(crate) const ARCHIVE_MD5: &str = "00d2c5bc6d35e252742224ab0c1e8fcb";

/// The official split of an image by its number, 1 to [`FACES`].
pub(crate) fn split_of(number: usize) -> Option<Split> {
    let [train, val, _] = SPLIT_SIZES;
    match number {
        0 => None,
        n if n <= train => Some(Split::Train),
        n if n <= train + val => Some(Split::Val),
        n if n <= FACES => Some(Split::Test),
        _ => None,
    }
}

/// The official split of an image by its name, 000001.jpg to 202599.jpg; the extension does not
/// matter.
pub(crate) fn split_of_name(name: &str) -> Option<Split> {
    let (stem, _) = name.split_once('.').filter(|(stem, _)| stem.len() == 6)?;
    split_of(stem.parse().ok()?)
}

/// The published share of faces that have each attribute, in [0, 1].
pub(crate) fn frequencies() -> impl Iterator<Item = f64> {
    let rows = foresee_data::published::ATTRIBUTE_COUNTS.lines().skip(1);
    rows.filter_map(|row| Some(row.split(',').nth(1)?.parse::<f64>().ok()? / FACES as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::ATTRIBUTES;

    #[test]
    fn every_attribute_has_a_published_frequency() {
        let all: Vec<f64> = frequencies().collect();
        assert_eq!(all.len(), ATTRIBUTES.len());
        assert!(all.iter().all(|f| (0.02..0.9).contains(f)));
    }

    #[test]
    fn splits_are_ranges_of_numbers() {
        assert_eq!(SPLIT_SIZES.iter().sum::<usize>(), FACES);
        assert_eq!((split_of(0), split_of(1)), (None, Some(Split::Train)));
        assert_eq!((split_of(162_770), split_of(162_771)), (Some(Split::Train), Some(Split::Val)));
        assert_eq!((split_of(182_637), split_of(182_638)), (Some(Split::Val), Some(Split::Test)));
        assert_eq!((split_of(202_599), split_of(202_600)), (Some(Split::Test), None));
        assert_eq!(split_of_name("182638.png"), Some(Split::Test));
        assert_eq!((split_of_name("7.jpg"), split_of_name("face_1.jpg")), (None, None));
    }
}
