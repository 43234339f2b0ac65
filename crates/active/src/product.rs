/// Numbers that are summed side by side.
const LANES: usize = 16;

/// The inner product of two rows.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |x, y| x * y)
}

/// The squared distance of two rows.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |x, y| (x - y) * (x - y))
}

/// # Panics
/// If the rows are of different lengths.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    assert_eq!(a.len(), b.len(), "rows of tables with different columns");
    let mut lanes = [0f32; LANES];
    let (a, rest_a) = a.as_chunks::<LANES>();
    let (b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let whole: f64 = lanes.iter().map(|&lane| f64::from(lane)).sum();
    let rest = rest_a.iter().zip(rest_b).map(|(&x, &y)| f64::from(term(x, y)));
    whole + rest.sum::<f64>()
}
