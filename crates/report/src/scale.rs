//! Where a colour scale ends.

/// The upper end of a scale from 0: the 99.5th percentile, so that single values do not hide the
/// rest; the greatest value if the percentile is 0, as in a map of few pixels. 0 if nothing is
/// above 0: there is no scale. Values that are not finite do not count.
pub(crate) fn upper_end(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * 0.995) as usize;
    let percentile = values.get(at.min(values.len().saturating_sub(1))).filter(|v| **v > 0.);
    percentile.or(values.last()).copied().unwrap_or(0.).max(0.)
}

use crate::colour_bar::number_label;

/// How far above the end of a scale a value is another than the end.
const VISIBLE: f64 = 1.05;

/// A note on values above the end of a scale, if there are any that would look different.
pub(crate) fn above_note(values: impl Iterator<Item = f64>, high: f64) -> Option<String> {
    let above = values.filter(|v| v.is_finite() && *v > high);
    let (count, greatest) = above.fold((0, high), |(n, most), v| (n + 1, most.max(v)));
    let values = if count == 1 { "value is" } else { "values are" };
    (greatest > VISIBLE * high).then(|| {
        format!(
            "The scale ends at the 99.5th percentile: {count} {values} above it, the greatest {}.",
            number_label(greatest)
        )
    })
}

/// A value as a share of a scale that ends at `high`; 0 where there is no scale.
pub(crate) fn share(value: f64, high: f64) -> f64 {
    if high > 0. { value / high } else { 0. }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_does_not_end_at_a_single_value() {
        let values = (0..500).map(|i| f64::from(i % 10)).chain([1e6]).chain(vec![0.; 499]);
        assert_eq!(upper_end(values.chain([f64::NAN, f64::INFINITY])), 9.);
    }

    #[test]
    fn what_lies_above_a_scale_is_said() {
        let note = above_note([0.2, 0.914, 0.5, f64::NAN].into_iter(), 0.44);
        let expected =
            "The scale ends at the 99.5th percentile: 2 values are above it, the greatest 0.91.";
        assert_eq!(note.as_deref(), Some(expected));
        assert_eq!(above_note([0.2, 0.44, 0.45].into_iter(), 0.44), None);
    }

    #[test]
    fn few_pixels_have_a_scale_and_no_pixels_have_none() {
        assert_eq!(upper_end([vec![0.; 1000], vec![1e-3]].concat().into_iter()), 1e-3);
        assert_eq!(upper_end([0.; 4].into_iter()), 0.);
        assert_eq!(upper_end([-1., f64::NAN].into_iter()), 0.);
        assert_eq!(upper_end(std::iter::empty()), 0.);
        assert_eq!((share(3., 0.), share(3., 6.)), (0., 0.5));
    }
}
