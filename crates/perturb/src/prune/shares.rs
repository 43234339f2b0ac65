/// How many of `channels` these shares are, ascending and each once: at least one channel goes, and
/// one stays.
///
/// ```
/// use foresee_perturb::share_counts;
///
/// assert_eq!(share_counts(10, &[0.5, 0.01, 0.25, 0.02, 0.99]), [1, 3, 5, 9]);
/// ```
pub fn share_counts(channels: usize, shares: &[f64]) -> Vec<usize> {
    let most = channels.saturating_sub(1).max(1);
    let count = |share: &f64| ((share * channels as f64).round() as usize).clamp(1, most);
    let mut counts: Vec<usize> = shares.iter().map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}
