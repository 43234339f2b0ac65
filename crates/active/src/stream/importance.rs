use crate::combine;

/// The probability with which importance-weighted active learning asks (Beygelzimer, Dasgupta &
/// Langford, 2009, by their bootstrapped committee): p_min + (1 - p_min) · max |L(h_i(x), y) -
/// L(h_j(x), y)| over pairs of members and labels.
///
/// The loss here is |y - p|, which is in [0, 1]; the largest difference is then the range of the
/// members' probabilities, whatever the label. Over many outputs it is the mean of these.
///
/// ```
/// use foresee_active::query_probability;
///
/// // The members differ by 0.5 and by 0.
/// let p = query_probability(&[&[0.25, 0.5], &[0.75, 0.5]], 0.1);
/// assert!((p - (0.1 + 0.9 * 0.25)).abs() < 1e-12);
/// ```
///
/// # Panics
/// If a member has fewer outputs than the first.
pub fn query_probability(committee: &[&[f32]], least: f64) -> f64 {
    let range = |k: usize| {
        let of = |ends: (f32, f32), member: &&[f32]| (ends.0.min(member[k]), ends.1.max(member[k]));
        let (low, high) = committee.iter().fold((1f32, 0f32), of);
        f64::from(high) - f64::from(low)
    };
    let outputs = committee.first().map_or(0, |member| member.len());
    least + (1. - least) * combine::mean((0..outputs).map(range))
}
