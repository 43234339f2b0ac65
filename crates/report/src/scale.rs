//! Where a colour scale ends.

/// The upper end of a scale from 0: the 99.5th percentile, so that single values do not hide the
/// rest. 1 if that is not above 0.
pub(crate) fn upper_end(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * 0.995) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().filter(|v| *v > 0.).unwrap_or(1.)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_does_not_end_at_a_single_value() {
        let values = (0..500).map(|i| f64::from(i % 10)).chain([1e6]).chain(vec![0.; 499]);
        assert_eq!(upper_end(values), 9.);
        assert_eq!(upper_end([0.; 4].into_iter()), 1.);
        assert_eq!(upper_end(std::iter::empty()), 1.);
    }
}
