/// How many of `channels` these shares are, rounded, ascending and each once: at least one channel
/// goes, and one stays. Of fewer than two channels none can go.
///
/// ```
/// use foresee_perturb::share_counts;
///
/// assert_eq!(share_counts(10, &[0.5, 0.01, 0.25, 0.02, 0.99]), [1, 3, 5, 9]);
/// assert_eq!(share_counts(12, &[0.125, 0.25, 0.5]), [2, 3, 6]);
/// assert!(share_counts(1, &[0.5]).is_empty());
/// ```
pub fn share_counts(channels: usize, shares: &[f64]) -> Vec<usize> {
    if channels < 2 {
        return vec![];
    }
    let count = |share: &f64| ((share * channels as f64).round() as usize).clamp(1, channels - 1);
    let mut counts: Vec<usize> = shares.iter().map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}
