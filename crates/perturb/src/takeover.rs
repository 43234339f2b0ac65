//! Pruning that keeps its promise: the kept channels take over what the pruned ones did, in closed
//! form.

use foresee_model::StandIn;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::prune::{Cut, PruneOrder};

/// Added to the diagonal of a covariance before it is inverted, relative to the diagonal's mean;
/// more if that is not enough.
const RIDGE: f64 = 1e-6;

/// A mask that is open this many times as much lends its partner no more weight than that: where a
/// partner's masks are nearly closed, their mean says little.
const LARGEST_RATIO: f64 = 10.;

/// How the kept channels stand in for the pruned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takeover {
    /// Not at all, as in the paper: what a pruned channel gave is missing.
    #[default]
    Nothing,
    /// The most correlated of the remaining channels takes over, by its regression on the pruned
    /// one: z_a ≈ s·z_b + t.
    Partner,
    /// All kept channels do, by least squares: the masks' convolution from the covariance of the
    /// features, then the readout from that of the pooled products. Both covariances are those of
    /// the whole network, whose masks the kept ones approximate.
    LeastSquares,
}

/// What the channels of a network do over many images, and what reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStatistics {
    /// μ `[C]`, means of the features.
    pub means: Vec<f64>,
    /// Σ `[C][C]`, their covariance.
    pub covariance: Vec<Vec<f64>>,
    /// Mean masks `[K][C]` (Figure 5).
    pub mean_masks: Vec<Vec<f64>>,
    /// Means `[K][C]` of the pooled products p_k = mean(M^k ⊗ z).
    pub pooled_means: Vec<Vec<f64>>,
    /// Their covariance for each attribute, `[K][C][C]`.
    pub pooled_covariance: Vec<Vec<Vec<f64>>>,
    /// Readout weights `[K][C]`.
    pub readout: Vec<Vec<f64>>,
}

impl ChannelStatistics {
    /// # Errors
    /// If the tables do not fit each other.
    pub fn check(&self) -> Result<()> {
        let (c, k) = (self.means.len(), self.readout.len());
        let square = |rows: &[Vec<f64>]| rows.len() == c && rows.iter().all(|row| row.len() == c);
        let table = |rows: &[Vec<f64>]| rows.len() == k && rows.iter().all(|row| row.len() == c);
        let checks = [
            ("the covariance of the features", square(&self.covariance)),
            ("the table of mean masks", table(&self.mean_masks)),
            ("the table of pooled means", table(&self.pooled_means)),
            (
                "the covariance of the pooled products",
                self.pooled_covariance.len() == k
                    && self.pooled_covariance.iter().all(|m| square(m)),
            ),
            ("the readout", table(&self.readout)),
        ];
        match checks.into_iter().find(|(_, fits)| !fits) {
            Some((what, _)) => Err(Error::Table { what, channels: c, attributes: k }),
            None => Ok(()),
        }
    }

    /// The networks of a curve: `order` pruned to each of `counts`, with what takes over. Partners
    /// are those of the highest ρ, or with `absolute` of the highest |ρ|: for an order of
    /// [`PrunePlan::semantic`](crate::PrunePlan::semantic) under the same option they are the pairs
    /// of the plan.
    ///
    /// # Errors
    /// If the tables do not fit each other, or a covariance is not finite.
    pub fn cuts(
        &self,
        order: &PruneOrder,
        counts: &[usize],
        takeover: Takeover,
        absolute: bool,
    ) -> Result<Vec<Cut>> {
        self.check()?;
        let channels = self.means.len();
        counts
            .iter()
            .map(|&count| match takeover {
                Takeover::Nothing => Ok(Cut::Plain(order.kept(channels, count))),
                Takeover::Partner => Ok(Cut::With(
                    self.partner(&order.order[..count.min(order.order.len())], absolute),
                )),
                Takeover::LeastSquares => {
                    Ok(Cut::With(self.least_squares(order.kept(channels, count))?))
                }
            })
            .collect()
    }

    /// One after the other, each pruned channel a hands its role to its partner b: `S[:, b] +=
    /// s·S[:, a]`, `t += t_a·S[:, a]` with s = Σ_ab/Σ_bb and t_a = μ_a - s·μ_b; in the readout of
    /// attribute k w_b += s·w_a·r with r = min(M̄_ka/M̄_kb, 10), and w_a·M̄_ka·μ_a -
    /// s·w_a·r·M̄_kb·μ_b joins the bias, which is t_a·w_a·M̄_ka unless the ratio is limited.
    fn partner(&self, pruned: &[usize], absolute: bool) -> StandIn {
        let (c, k) = (self.means.len(), self.readout.len());
        let mut weights = DMatrix::<f64>::identity(c, c);
        let mut offsets = DVector::<f64>::zeros(c);
        let (mut readout, mut moved) = (self.readout.clone(), vec![0.; k]);
        let mut here = vec![true; c];
        for &a in pruned {
            here[a] = false;
            let Some(b) = self.most_correlated(a, &here, absolute) else { break };
            let variance = self.covariance[b][b];
            let s = if variance > 0. { self.covariance[a][b] / variance } else { 0. };
            let t = self.means[a] - s * self.means[b];
            let role = weights.column(a).clone_owned();
            weights.column_mut(b).axpy(s, &role, 1.);
            offsets.axpy(t, &role, 1.);
            weights.column_mut(a).fill(0.);
            for ((w, moved), masks) in readout.iter_mut().zip(&mut moved).zip(&self.mean_masks) {
                let ratio =
                    if masks[b] > 0. { (masks[a] / masks[b]).min(LARGEST_RATIO) } else { 0. };
                w[b] += s * w[a] * ratio;
                *moved += w[a] * (masks[a] * self.means[a] - s * ratio * masks[b] * self.means[b]);
                w[a] = 0.;
            }
        }
        let kept: Vec<usize> = (0..c).filter(|&c| here[c]).collect();
        StandIn {
            weights: (0..c)
                .map(|row| kept.iter().map(|&q| weights[(row, q)] as f32).collect())
                .collect(),
            offsets: offsets.iter().map(|&t| t as f32).collect(),
            readout: readout.iter().map(|w| kept.iter().map(|&q| w[q] as f32).collect()).collect(),
            readout_offsets: moved.iter().map(|&v| v as f32).collect(),
            kept,
        }
    }

    fn most_correlated(&self, a: usize, here: &[bool], absolute: bool) -> Option<usize> {
        let rho = |b: usize| {
            let scale = (self.covariance[a][a] * self.covariance[b][b]).sqrt();
            let rho = if scale > 0. { self.covariance[a][b] / scale } else { 0. };
            if absolute { rho.abs() } else { rho }
        };
        (0..here.len())
            .filter(|&b| here[b])
            .max_by(|&x, &y| rho(x).total_cmp(&rho(y)).then(y.cmp(&x)))
    }

    /// `S = Σ[:, Q]·Σ[Q, Q]⁻¹`, t = μ - S·μ_Q; for each attribute `v_k = Π_k[Q, Q]⁻¹·Π_k[Q, :]·w_k`
    /// with Π_k the covariance of its pooled products in the whole network, and `w_k·p̄_k -
    /// v_k·p̄_k[Q]` joins the bias.
    fn least_squares(&self, kept: Vec<usize>) -> Result<StandIn> {
        let c = self.means.len();
        let mut weights = vec![vec![0.; kept.len()]; c];
        let gone: Vec<usize> = (0..c).filter(|c| !kept.contains(c)).collect();
        kept.iter().enumerate().for_each(|(at, &q)| weights[q][at] = 1.);
        let solved = regress(
            &self.covariance,
            &kept,
            &DMatrix::from_fn(kept.len(), gone.len(), |q, a| self.covariance[kept[q]][gone[a]]),
        )?;
        for (column, &a) in gone.iter().enumerate() {
            weights[a] = solved.column(column).iter().copied().collect();
        }
        let dot = |row: &[f64], values: &[f64]| {
            kept.iter().zip(row).map(|(&q, w)| w * values[q]).sum::<f64>()
        };
        let offsets =
            (0..c).map(|i| (self.means[i] - dot(&weights[i], &self.means)) as f32).collect();
        let (mut readout, mut readout_offsets) = (vec![], vec![]);
        for ((w, pooled), means) in
            self.readout.iter().zip(&self.pooled_covariance).zip(&self.pooled_means)
        {
            let with_logit = DMatrix::from_fn(kept.len(), 1, |q, _| {
                pooled[kept[q]].iter().zip(w).map(|(p, w)| p * w).sum::<f64>()
            });
            let v: Vec<f64> = regress(pooled, &kept, &with_logit)?.iter().copied().collect();
            readout_offsets.push(
                (w.iter().zip(means).map(|(w, m)| w * m).sum::<f64>() - dot(&v, means)) as f32,
            );
            readout.push(v.into_iter().map(|v| v as f32).collect());
        }
        let weights =
            weights.into_iter().map(|row| row.into_iter().map(|v| v as f32).collect()).collect();
        Ok(StandIn { kept, weights, offsets, readout, readout_offsets })
    }
}

/// `(A[Q, Q] + ridge)⁻¹·B`. Fewer samples than channels leave a covariance that is singular but for
/// its rounding: the ridge grows until it is above that.
fn regress(a: &[Vec<f64>], kept: &[usize], b: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let n = kept.len();
    let mean: f64 = kept.iter().map(|&q| a[q][q]).sum::<f64>() / n as f64;
    if !mean.is_finite() {
        return Err(Error::NotFinite);
    }
    [1., 1e1, 1e2, 1e3, 1e4]
        .into_iter()
        .find_map(|times| {
            let ridge = (times * RIDGE * mean).max(f64::MIN_POSITIVE);
            let matrix = DMatrix::from_fn(n, n, |i, j| {
                a[kept[i]][kept[j]] + if i == j { ridge } else { 0. }
            });
            matrix.cholesky()
        })
        .map(|cholesky| cholesky.solve(b))
        .ok_or(Error::NotFinite)
}

/// Channel selection after He, Zhang & Sun (2017), with the masks' convolution as the next layer:
/// the lasso over the channels' shares β in what the next layer is given, min over β of ½·‖Σ_c (1 -
/// β_c)·z_c·W_c‖² + λ·‖β‖₁, from strong λ to weak. The channel that enters last goes first (they
/// search a λ for each count instead). `covariance` is that of the features and `gram` is WᵀW
/// `[C][C]` of the next layer's weights W, here the masks' convolutions of all attributes.
///
/// # Errors
/// If the matrices are not of one size.
pub fn lasso_order(covariance: &[Vec<f64>], gram: &[Vec<f64>]) -> Result<PruneOrder> {
    let c = covariance.len();
    if let Some(got) = [gram.len()]
        .into_iter()
        .chain(covariance.iter().chain(gram).map(Vec::len))
        .find(|&n| n != c)
    {
        return Err(Error::Channels { what: "a matrix of the lasso", got, channels: c });
    }
    let g = DMatrix::from_fn(c, c, |i, j| covariance[i][j] * gram[i][j]);
    let target = &g * DVector::from_element(c, 1.);
    let strongest = target.iter().fold(0f64, |a, b| a.max(b.abs()));
    let mut beta = DVector::<f64>::zeros(c);
    let mut entered = vec![usize::MAX; c];
    const STEPS: usize = 200;
    for step in 0..STEPS {
        let lambda = strongest * 1e-6f64.powf(step as f64 / (STEPS - 1) as f64);
        descend(&g, &target, lambda, &mut beta);
        (0..c).filter(|&i| beta[i] != 0.).for_each(|i| entered[i] = entered[i].min(step));
    }
    let mut order: Vec<usize> = (0..c).collect();
    order.sort_by(|&i, &j| {
        entered[j]
            .cmp(&entered[i])
            .then((beta[i].abs() * g[(i, i)].sqrt()).total_cmp(&(beta[j].abs() * g[(j, j)].sqrt())))
    });
    Ok(PruneOrder { rule: "lasso".into(), seed: None, order })
}

/// Coordinate descent to the minimum of ½·βᵀGβ - targetᵀβ + λ·‖β‖₁, from β on.
fn descend(g: &DMatrix<f64>, target: &DVector<f64>, lambda: f64, beta: &mut DVector<f64>) {
    for _ in 0..1000 {
        let mut moved = 0f64;
        for i in 0..beta.len() {
            let own = g[(i, i)];
            if own <= 0. {
                continue;
            }
            let rest = target[i] - g.column(i).dot(beta) + own * beta[i];
            let new = rest.signum() * (rest.abs() - lambda).max(0.) / own;
            moved = moved.max((new - beta[i]).abs());
            beta[i] = new;
        }
        if moved < 1e-8 {
            break;
        }
    }
}
