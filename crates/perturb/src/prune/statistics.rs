//! Takeovers in closed form: what the kept channels do in place of the pruned ones.

use foresee_model::Reconstruction;
use nalgebra::DMatrix;

use super::cut::Cut;
use super::order::PruneOrder;
use super::roles::{Roles, dot, least_squares, most_correlated, regress};
use super::takeover::Takeover;
use crate::error::{Error, Result};

/// The largest ratio of two mean masks that a partner's readout weight is multiplied by: where the
/// partner's masks are nearly closed, their mean says little.
const LARGEST_RATIO: f64 = 10.;

/// What the channels of a network do over many images, and what reads them. C channels, K
/// attributes.
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
    /// Makes sure that all tables are for one number of channels and attributes.
    ///
    /// # Errors
    /// If one is not.
    pub fn check(&self) -> Result<()> {
        let (c, k) = (self.means.len(), self.readout.len());
        let shape = |table: &[Vec<f64>], rows: usize| {
            table.len() == rows && table.iter().all(|row| row.len() == c)
        };
        let pooled = self.pooled_covariance.len() == k
            && self.pooled_covariance.iter().all(|matrix| shape(matrix, c));
        let checks = [
            ("the covariance of the features", shape(&self.covariance, c)),
            ("the table of mean masks", shape(&self.mean_masks, k)),
            ("the table of pooled means", shape(&self.pooled_means, k)),
            ("the covariance of the pooled products", pooled),
            ("the readout", shape(&self.readout, k)),
        ];
        match checks.into_iter().find(|(_, fits)| !fits) {
            Some((what, _)) => Err(Error::Table { what, channels: c, attributes: k }),
            None => Ok(()),
        }
    }

    /// The network without the `pruned` channels, the first to go first, with a takeover. A
    /// channel's partner is the remaining one with the highest ρ, or with `absolute` the highest
    /// |ρ|: for an order of [`PrunePlan::semantic`](crate::PrunePlan::semantic) under the same
    /// option the partners are the pairs of the plan.
    ///
    /// ```
    /// use foresee_perturb::{ChannelStatistics, Cut, Takeover};
    ///
    /// // One attribute and two channels, of which the second always is twice the first.
    /// let covariance = vec![vec![1., 2.], vec![2., 4.]];
    /// let statistics = ChannelStatistics {
    ///     means: vec![1., 2.],
    ///     covariance: covariance.clone(),
    ///     mean_masks: vec![vec![0.5, 0.5]],
    ///     pooled_means: vec![vec![0.5, 1.]],
    ///     pooled_covariance: vec![covariance],
    ///     readout: vec![vec![1., 1.]],
    /// };
    /// assert_eq!(statistics.cut(&[1], Takeover::Nothing, false)?, Cut::Plain(vec![0]));
    /// // The first channel stands for 1 + 2 times itself.
    /// let cut = statistics.cut(&[1], Takeover::Partner, false)?;
    /// assert!(matches!(&cut, Cut::With(stand_in) if stand_in.readout == [[3.]]));
    /// assert_eq!(cut.kept(), [0]);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the tables do not fit each other, there is no such channel, or a covariance is not
    /// finite.
    pub fn cut(&self, pruned: &[usize], takeover: Takeover, absolute: bool) -> Result<Cut> {
        self.check()?;
        let channels = self.means.len();
        if let Some(&channel) = pruned.iter().find(|&&channel| channel >= channels) {
            return Err(Error::NoChannel { channel, channels });
        }
        let kept = || (0..self.means.len()).filter(|c| !pruned.contains(c)).collect();
        match takeover {
            Takeover::Nothing => Ok(Cut::Plain(kept())),
            Takeover::Partner => Ok(Cut::With(self.partner(pruned, absolute))),
            Takeover::LeastSquares => Ok(Cut::With(self.by_least_squares(kept())?)),
            Takeover::Mean => Ok(Cut::With(self.by_means(kept()))),
        }
    }

    /// The networks of a curve: [`cut`](Self::cut) with the first channels of an order pruned, for
    /// each of `counts`.
    ///
    /// # Errors
    /// As [`cut`](Self::cut).
    pub fn cuts(
        &self,
        order: &PruneOrder,
        counts: &[usize],
        takeover: Takeover,
        absolute: bool,
    ) -> Result<Vec<Cut>> {
        counts.iter().map(|&count| self.cut(order.pruned(count), takeover, absolute)).collect()
    }

    /// One after the other, each pruned channel a hands its role to its partner b: `S[:, b] +=
    /// s·S[:, a]`, `t += t_a·S[:, a]` with s = Σ_ab/Σ_bb and t_a = μ_a - s·μ_b; in the readout of
    /// attribute k w_b += s·w_a·r with r = min(M̄_ka/M̄_kb, 10), and w_a·M̄_ka·μ_a -
    /// s·w_a·r·M̄_kb·μ_b joins the bias, which is t_a·w_a·M̄_ka unless the ratio is limited.
    fn partner(&self, pruned: &[usize], absolute: bool) -> Reconstruction {
        let (c, k) = (self.means.len(), self.readout.len());
        let mut roles = Roles::new(c);
        let mut readout = self.readout.clone();
        let mut bias = vec![0.; k];
        let mut remaining = vec![true; c];
        for &a in pruned {
            remaining[a] = false;
            let rho = |b: usize| self.correlation(a, b);
            let Some(b) = most_correlated(&remaining, absolute, rho) else { break };
            let s = roles.hand_over([a, b], &self.means, |i, j| self.covariance[i][j]);
            for ((w, bias), masks) in readout.iter_mut().zip(&mut bias).zip(&self.mean_masks) {
                let ratio =
                    if masks[b] > 0. { (masks[a] / masks[b]).min(LARGEST_RATIO) } else { 0. };
                w[b] += s * w[a] * ratio;
                *bias += w[a] * (masks[a] * self.means[a] - s * ratio * masks[b] * self.means[b]);
                w[a] = 0.;
            }
        }
        let all: Vec<usize> = (0..c).collect();
        let kept: Vec<usize> = all.iter().copied().filter(|&c| remaining[c]).collect();
        Reconstruction {
            weights: roles.weights(&all, &kept).iter().map(|row| single(row)).collect(),
            offsets: single(&roles.offsets(&all)),
            readout: readout.iter().map(|w| kept.iter().map(|&q| w[q] as f32).collect()).collect(),
            readout_offsets: single(&bias),
            kept,
        }
    }

    /// Each pruned channel a is its mean: t_a = μ_a, and for each attribute w_a·p̄_ka joins the
    /// bias.
    fn by_means(&self, kept: Vec<usize>) -> Reconstruction {
        let c = self.means.len();
        let mut weights = vec![vec![0.; kept.len()]; c];
        let mut offsets = single(&self.means);
        for (at, &q) in kept.iter().enumerate() {
            weights[q][at] = 1.;
            offsets[q] = 0.;
        }
        let pruned: Vec<usize> = (0..c).filter(|c| !kept.contains(c)).collect();
        let of_kept = |w: &Vec<f64>| kept.iter().map(|&q| w[q] as f32).collect();
        let of_pruned = |(w, means): (&Vec<f64>, &Vec<f64>)| {
            pruned.iter().map(|&a| w[a] * means[a]).sum::<f64>() as f32
        };
        Reconstruction {
            readout: self.readout.iter().map(of_kept).collect(),
            readout_offsets: self.readout.iter().zip(&self.pooled_means).map(of_pruned).collect(),
            weights,
            offsets,
            kept,
        }
    }

    /// ρ of two channels; 0 of one that never changes.
    fn correlation(&self, a: usize, b: usize) -> f64 {
        let scale = (self.covariance[a][a] * self.covariance[b][b]).sqrt();
        if scale > 0. { self.covariance[a][b] / scale } else { 0. }
    }

    /// `S = Σ[:, Q]·Σ[Q, Q]⁻¹`, t = μ - S·μ_Q; for each attribute `v_k = Π_k[Q, Q]⁻¹·Π_k[Q, :]·w_k`
    /// with Π_k the covariance of its pooled products in the unpruned network, and `w_k·p̄_k -
    /// v_k·p̄_k[Q]` joins the bias.
    fn by_least_squares(&self, kept: Vec<usize>) -> Result<Reconstruction> {
        let c = self.means.len();
        let mut weights = vec![vec![0.; kept.len()]; c];
        let mut offsets = vec![0.; c];
        kept.iter().enumerate().for_each(|(at, &q)| weights[q][at] = 1.);
        let pruned: Vec<usize> = (0..c).filter(|c| !kept.contains(c)).collect();
        let (of_pruned, offsets_of) = least_squares(&self.means, &self.covariance, &pruned, &kept)?;
        for ((&p, row), offset) in pruned.iter().zip(of_pruned).zip(offsets_of) {
            (weights[p], offsets[p]) = (row, offset);
        }
        let mut readout = vec![];
        let mut readout_offsets = vec![];
        for ((w, pooled), means) in
            self.readout.iter().zip(&self.pooled_covariance).zip(&self.pooled_means)
        {
            let with_logit = DMatrix::from_fn(kept.len(), 1, |q, _| {
                pooled[kept[q]].iter().zip(w).map(|(p, w)| p * w).sum::<f64>()
            });
            let v: Vec<f64> = regress(pooled, &kept, &with_logit)?.iter().copied().collect();
            let mean_logit = w.iter().zip(means).map(|(w, m)| w * m).sum::<f64>();
            readout_offsets.push((mean_logit - dot(&v, &kept, means)) as f32);
            readout.push(single(&v));
        }
        let weights = weights.iter().map(|row| single(row)).collect();
        let offsets = single(&offsets);
        Ok(Reconstruction { kept, weights, offsets, readout, readout_offsets })
    }
}

/// The values in single precision.
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}
