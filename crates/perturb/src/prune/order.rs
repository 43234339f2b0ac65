use foresee_stats::{Descent, Tolerance, lasso};
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::cut::Cut;
use super::plan::PrunePlan;
use super::rule::{Norm, PruneRule};
use crate::error::{Error, Result};

/// Steps of the lasso's path, from strong λ to weak.
const LASSO_STEPS: usize = 200;
/// The weakest λ as a share of the strongest, at which no channel has entered yet.
const LASSO_WEAKEST: f64 = 1e-6;
/// When the lasso has converged for one λ.
const DESCENT: Descent =
    Descent { max_iterations: 1000, tolerance: Tolerance::Coefficient(1e-8), constant: 0. };

/// An order in which channels are pruned, or the units of a group of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOrder<R = PruneRule> {
    /// The rule that made it.
    pub rule: R,
    /// The seed of a random order.
    pub seed: Option<u64>,
    /// The channels, first to go first. Channels that are missing are never pruned.
    pub order: Vec<usize>,
}

impl PruneOrder {
    /// The order of a plan of semantic pruning.
    pub fn semantic(plan: &PrunePlan) -> Self {
        Self { rule: plan.victim.rule(), seed: None, order: plan.order() }
    }

    /// Plain pruning by a norm of the channels, lowest first: the usual baseline. A norm that is
    /// NaN counts as the highest.
    ///
    /// ```
    /// use foresee_perturb::{Norm, PruneOrder};
    ///
    /// let order = PruneOrder::by_norm(Norm::Filter, &[2., 1., 3.]);
    /// assert_eq!(order.order, [1, 0, 2]);
    /// assert_eq!(order.pruned(2), [1, 0]);
    /// assert_eq!(order.kept(3, 1), [0, 2]);
    /// ```
    pub fn by_norm(norm: Norm, norms: &[f64]) -> Self {
        Self { rule: norm.rule(), seed: None, order: lowest_first(norms) }
    }

    /// Channel selection after He, Zhang & Sun (2017), with the masks' convolution as the next
    /// layer. It is the lasso over the channels' shares β in what the next layer receives, min over
    /// β of ½·‖Σ_c (1 - β_c)·z_c·W_c‖² + λ·‖β‖₁, followed from strong λ to weak. The channel that
    /// enters last goes first. (They search a λ for each number of channels instead.)
    ///
    /// `covariance` `[C][C]` is that of the features. `gram` `[C][C]` is WᵀW of the next layer's
    /// weights W, here the masks' convolutions of all attributes.
    ///
    /// # Errors
    /// If the matrices are not of one size, or a value is not finite.
    pub fn lasso(covariance: &[Vec<f64>], gram: &[Vec<f64>]) -> Result<Self> {
        let c = covariance.len();
        if let Some(got) = std::iter::once(gram.len())
            .chain(covariance.iter().chain(gram).map(Vec::len))
            .find(|&n| n != c)
        {
            return Err(Error::Channels { what: "a matrix of the lasso", got, channels: c });
        }
        if !covariance.iter().chain(gram).flatten().all(|value| value.is_finite()) {
            return Err(Error::NotFinite("a matrix of the lasso"));
        }
        let g = DMatrix::from_fn(c, c, |i, j| covariance[i][j] * gram[i][j]);
        let target = &g * DVector::from_element(c, 1.);
        let strongest = target.iter().fold(0f64, |a, b| a.max(b.abs()));
        let mut beta = DVector::<f64>::zeros(c);
        let mut entered = vec![usize::MAX; c];
        for step in 0..LASSO_STEPS {
            let share = LASSO_WEAKEST.powf(step as f64 / (LASSO_STEPS - 1) as f64);
            beta = lasso(&g, &target, strongest * share, beta, &DESCENT);
            (0..c).filter(|&i| beta[i] != 0.).for_each(|i| entered[i] = entered[i].min(step));
        }
        let size = |i: usize| beta[i].abs() * g[(i, i)].sqrt();
        let mut order: Vec<usize> = (0..c).collect();
        order.sort_by(|&i, &j| entered[j].cmp(&entered[i]).then(size(i).total_cmp(&size(j))));
        Ok(Self { rule: PruneRule::Lasso, seed: None, order })
    }

    /// A random order of all channels, decided by its seed.
    ///
    /// ```
    /// use foresee_perturb::PruneOrder;
    ///
    /// let order = PruneOrder::random(5, 7);
    /// assert_eq!(order, PruneOrder::random(5, 7));
    /// let mut channels = order.order;
    /// channels.sort_unstable();
    /// assert_eq!(channels, [0, 1, 2, 3, 4]);
    /// ```
    pub fn random(channels: usize, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..channels).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::MAX);
        order.shuffle(&mut rng);
        Self { rule: PruneRule::Random, seed: Some(seed), order }
    }

    /// The networks of a curve: this order pruned to each of `counts`, without a takeover.
    pub fn cuts(&self, channels: usize, counts: &[usize]) -> Vec<Cut> {
        counts.iter().map(|&count| Cut::Plain(self.kept(channels, count))).collect()
    }
}

/// The places of values, the lowest first; of equal ones the first. NaN of either sign is last.
pub(crate) fn lowest_first(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    let key = |at: usize| if values[at].is_nan() { f64::NAN } else { values[at] };
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    order
}

impl<R> PruneOrder<R> {
    /// The channels that are left of `channels` when the first `count` of the order are pruned,
    /// ascending.
    pub fn kept(&self, channels: usize, count: usize) -> Vec<usize> {
        let pruned = self.pruned(count);
        (0..channels).filter(|c| !pruned.contains(c)).collect()
    }

    /// The first `count` channels of the order, or all of them if there are fewer.
    pub fn pruned(&self, count: usize) -> &[usize] {
        &self.order[..count.min(self.order.len())]
    }
}
