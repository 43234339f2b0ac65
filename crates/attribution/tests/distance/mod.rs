//! How far numbers are from those that are expected.

/// The largest size of an expected number, and the largest difference as a share of it. NaN counts
/// as larger than any number.
pub fn off(got: &[f64], expected: &[f64]) -> (f64, f64) {
    assert_eq!(got.len(), expected.len());
    let largest = |all: &mut dyn Iterator<Item = f64>| all.max_by(f64::total_cmp).unwrap_or(0.);
    let size = largest(&mut expected.iter().map(|v| v.abs()));
    let off = largest(&mut got.iter().zip(expected).map(|(a, b)| (a - b).abs()));
    (size, off / size)
}
