use crate::combine;
use crate::uncertainty::binary_entropy;

/// Vote entropy (Dagan & Engelson, 1995) in nats: of the share of members that say yes to an
/// output, mean over the outputs. 0 if all agree, ln 2 if they are split evenly everywhere.
///
/// ```
/// use foresee_active::vote_entropy;
///
/// let split = vote_entropy(&[&[0.9, 0.2], &[0.1, 0.3]]);
/// assert!((split - 2f64.ln() / 2.).abs() < 1e-12);
/// ```
///
/// # Panics
/// If a member has fewer outputs than the first.
pub fn vote_entropy(committee: &[&[f32]]) -> f64 {
    let share = |k: usize| {
        let yes = committee.iter().filter(|member| member[k] > 0.5).count();
        binary_entropy(yes as f64 / committee.len() as f64)
    };
    combine::mean((0..outputs(committee)).map(share))
}

/// The mean Kullback-Leibler divergence of the members from their mean (McCallum & Nigam, 1998) in
/// nats, mean over the outputs. It is the entropy of the mean less the mean entropy, which is
/// never below 0. Unlike votes, it sees how sure each member is.
///
/// ```
/// use foresee_active::mean_kl;
///
/// assert!(mean_kl(&[&[0.7], &[0.7]]).abs() < 1e-12);
/// // Members that are sure of the opposite.
/// assert!((mean_kl(&[&[1.], &[0.]]) - 2f64.ln()).abs() < 1e-12);
/// ```
///
/// # Panics
/// If a member has fewer outputs than the first.
pub fn mean_kl(committee: &[&[f32]]) -> f64 {
    let of = |k: usize| {
        let each = || committee.iter().map(|member| f64::from(member[k]));
        let mean = combine::mean(each());
        (binary_entropy(mean) - combine::mean(each().map(binary_entropy))).max(0.)
    };
    combine::mean((0..outputs(committee)).map(of))
}

/// The mean probability of each output.
pub(super) fn mean(committee: &[&[f32]]) -> Vec<f32> {
    let of = |k: usize| combine::mean(committee.iter().map(|member| f64::from(member[k]))) as f32;
    (0..outputs(committee)).map(of).collect()
}

fn outputs(committee: &[&[f32]]) -> usize {
    committee.first().map_or(0, |member| member.len())
}
