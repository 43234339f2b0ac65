//! Do two attributes share channels?

use foresee_stats::Matrix;

use crate::ranking::{rank_of_pair, top_channels};

/// How far two attributes share channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharing {
    /// The share of all pairs of attributes whose mean masks correlate at least as much, in (0, 1].
    pub rank: f64,
    /// How many of the top channels of one attribute are top channels of the other.
    pub common: usize,
}

/// How far attributes a and b share channels, by the mean masks `[K, C]`, their correlation among
/// attributes `[K, K]`, and the `top` channels of either attribute.
///
/// ```
/// use foresee_analysis::{Matrix, Sharing, sharing};
///
/// let masks = Matrix::from_rows(&[
///     vec![0.9, 0.5, 0.1],
///     vec![0.8, 0.1, 0.3],
///     vec![0.1, 0.2, 0.3],
/// ]);
/// let rho = Matrix::from_rows(&[
///     vec![1.0, 0.8, 0.1],
///     vec![0.8, 1.0, 0.2],
///     vec![0.1, 0.2, 1.0],
/// ]);
/// // Their top channels are 0 and 1, and 0 and 2; no other pair correlates as much.
/// assert_eq!(sharing(&masks, &rho, 0, 1, 2), Sharing { rank: 1. / 3., common: 1 });
/// ```
pub fn sharing(masks: &Matrix, correlation: &Matrix, a: usize, b: usize, top: usize) -> Sharing {
    let other = top_channels(masks, b, top);
    let common = top_channels(masks, a, top).iter().filter(|c| other.contains(c)).count();
    Sharing { rank: rank_of_pair(correlation, a, b), common }
}

/// How many of `top` channels two attributes have in common by chance: the mean is top²/C for C
/// channels.
pub fn expected_common_channels(top: usize, channels: usize) -> f64 {
    top as f64 * top as f64 / channels as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_by_hand() {
        let masks = Matrix::from_rows(&[
            vec![0.9, 0.5, 0.1, 0.2],
            vec![0.8, 0.1, 0.3, 0.2],
            vec![0.1, 0.2, 0.3, 0.9],
        ]);
        let rho = Matrix::from_rows(&[vec![1., 0.8, 0.1], vec![0.8, 1., 0.3], vec![0.1, 0.3, 1.]]);
        // Top channels: 0 and 1, 0 and 2, 3 and 2.
        assert_eq!(sharing(&masks, &rho, 0, 1, 2), Sharing { rank: 1. / 3., common: 1 });
        assert_eq!(sharing(&masks, &rho, 1, 2, 2), Sharing { rank: 2. / 3., common: 1 });
        assert_eq!(sharing(&masks, &rho, 0, 2, 2), Sharing { rank: 1., common: 0 });
        assert_eq!(expected_common_channels(2, 4), 1.);
    }
}
