use candle_core::Tensor;
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Noise, PowerCurve, PruneOrder, Takeover, ToneCurve,
    share_counts,
};
use foresee_stats::Matrix;

use super::operations::{AddNoise, Heads, NoisyImages, Progress, TransformMasks};
use super::pruning::{Prune, PrunedOutputs};
use super::rows::Rows;
use crate::definition::{Change, observe};
use crate::error::{Error, Result};
use crate::explanation::Explanation;
use crate::forecast::{Budget, Forecast, ForecastRule, Subject};
use crate::operation::NetworkOperation;
use crate::scored::ScoredForecast;
use crate::scores::ScoreRule;
use crate::study::Study;

/// Random orders in which many channels are pruned, beside the semantic ones.
const RANDOM_ORDERS: u64 = 8;
/// Shares of the channels that are pruned in each order.
const SHARES: [f64; 3] = [0.125, 0.25, 0.5];
/// Draws of the noise, each an operation.
const DRAWS: u64 = 4;
/// σ of the probe that linear extrapolation sees, as a share of the smallest σ that is forecast.
const PROBE: f64 = 0.5;

/// The forecasts of pruning that are compared: does the correlation matrix say more than norms and
/// weights, and do the mean masks?
static PRUNING_PAIRS: [[ForecastRule; 2]; 5] = [
    [ForecastRule::Uniqueness, ForecastRule::FilterNorm],
    [ForecastRule::UniquenessTimesMask, ForecastRule::MeanMask],
    [ForecastRule::UniquenessTimesMask, ForecastRule::ReadoutWeight],
    [ForecastRule::MeanMask, ForecastRule::ReadoutWeight],
    [ForecastRule::UniquenessTimesContribution, ForecastRule::Contribution],
];

/// The forecasts of a transformation that are compared.
static TRANSFORM_PAIRS: [[ForecastRule; 2]; 2] = [
    [ForecastRule::MaskNearHalf, ForecastRule::Contribution],
    [ForecastRule::CurveShiftTimesContribution, ForecastRule::Contribution],
];

/// Settings of a [`NetworkStudy`].
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkStudySettings {
    /// Number of channels that are pruned and transformed one at a time, evenly spaced; 0: all.
    pub channels: usize,
    /// Samples of the bootstrap.
    pub resamples: usize,
    /// Seed of the bootstrap, of the random orders and of the noise.
    pub seed: u64,
    /// A channel's partner is the one with the highest |ρ| instead of ρ.
    pub absolute: bool,
    /// Whether the network has masks that can be transformed.
    pub attention: bool,
    /// σ of the noise; those up to 0 are left out.
    pub sigmas: Vec<f64>,
    /// Clip noisy pixels back to [0, 1].
    pub clip: bool,
    /// The mean of each colour channel that the images' normalisation subtracted.
    pub mean: [f32; 3],
    /// The standard deviation of each colour channel that it then divided by.
    pub deviation: [f32; 3],
}

impl NetworkStudySettings {
    /// How often [`NetworkStudy::run`] runs each image through a network of so many channels, or
    /// through its heads, with so many semantic orders.
    pub fn passes(&self, channels: usize, semantic_orders: usize) -> usize {
        let one_at_a_time = 1 + evenly_spaced(channels, self.channels).len();
        let mut passes = 0;
        if channels > 1 {
            let orders = semantic_orders + RANDOM_ORDERS as usize;
            passes += 2 * one_at_a_time + 1 + orders * share_counts(channels, &SHARES).len();
        }
        if self.attention {
            passes += one_at_a_time;
        }
        match self.noise().len() {
            0 => {}
            // The probe and its baseline, then the draws and theirs.
            sigmas => passes += 2 + 1 + DRAWS as usize * sigmas,
        }
        passes
    }

    /// The σ above 0, ascending.
    fn noise(&self) -> Vec<f64> {
        let mut sigmas: Vec<f64> = self.sigmas.iter().copied().filter(|s| *s > 0.).collect();
        sigmas.sort_by(f64::total_cmp);
        sigmas.dedup();
        sigmas
    }
}

/// How predictable a network is: its operations, and what its explanation forecasts of them.
pub struct NetworkStudy<'a, M> {
    /// The network.
    pub network: &'a M,
    /// Batches of normalised test images [B, 3, H, W] on the network's device, and the images'
    /// numbers, which decide their noise. The features of all images are held at once, so batches
    /// should be small.
    pub batches: &'a [(Tensor, Vec<usize>)],
    /// What is shown of the network.
    pub explanation: &'a Explanation,
    /// What takeovers are computed from.
    pub statistics: &'a ChannelStatistics,
    /// The orders of semantic pruning. Random orders are added to them.
    pub semantic_orders: &'a [PruneOrder],
    /// Correlation among the attributes' mean masks [K, K] (Table 4).
    pub attribute_correlation: &'a Matrix,
    /// The settings.
    pub settings: NetworkStudySettings,
    /// Is told how many more images have been run; they add up to
    /// [`images_to_run`](Self::images_to_run).
    pub progress: Progress<'a>,
}

impl<M: AttentionModel + Clone> NetworkStudy<'_, M> {
    /// Runs the network under all operations and scores the forecasts: the rows of the table of
    /// scores, operation by operation in the order of [`NetworkOperation::OF_MASKED_NETWORK`].
    /// Operations that the network does not allow are left out: pruning of a single channel,
    /// transformation without masks, noise without a σ above 0.
    ///
    /// # Errors
    /// If the tables do not fit each other or the network, or the network fails.
    pub fn run(&self) -> Result<Vec<ScoredForecast>> {
        let features = self
            .batches
            .iter()
            .map(|(images, _)| self.network.features(images))
            .collect::<candle_core::Result<Vec<_>>>()
            .map_err(Error::of_model("the features"))?;
        let mut rows = vec![];
        if self.can_prune() {
            rows.extend(self.prune_one(&features)?);
            rows.extend(self.prune_one_with_partner(&features)?);
            rows.extend(self.prune_many(&features)?);
        }
        if self.settings.attention {
            rows.extend(self.transform_one(&features)?);
        }
        rows.extend(self.noise()?);
        Ok(rows)
    }

    /// How many images [`run`](Self::run) runs through networks, all operations together.
    pub fn images_to_run(&self) -> usize {
        let passes = self.settings.passes(self.network.channels(), self.semantic_orders.len());
        passes * self.images()
    }

    fn can_prune(&self) -> bool {
        self.network.channels() > 1
    }

    fn images(&self) -> usize {
        self.batches.iter().map(|(_, numbers)| numbers.len()).sum()
    }

    /// The channels that are perturbed one at a time.
    fn channels(&self) -> Vec<usize> {
        evenly_spaced(self.network.channels(), self.settings.channels)
    }

    /// The σ above 0, ascending.
    fn sigmas(&self) -> Vec<f64> {
        self.settings.noise()
    }

    fn heads(&self) -> Heads<'_, M> {
        Heads::new(self.network.clone(), self.progress)
    }

    fn study(&self, changes: &[Change]) -> Result<Study> {
        Study::new(changes, self.settings.resamples, self.settings.seed)
    }

    fn rows(&self, operation: NetworkOperation, perturbations: usize) -> Rows {
        Rows { operation, perturbations, images: self.images() }
    }

    fn prune(&self, name: String, order: Vec<usize>, takeover: Takeover) -> Prune<'_> {
        let absolute = self.settings.absolute;
        Prune { name, order, takeover, statistics: self.statistics, absolute }
    }

    /// Prunes each channel alone.
    fn prune_one(&self, features: &[Tensor]) -> Result<Vec<ScoredForecast>> {
        let study = self.study_of_one(features, Takeover::Nothing)?;
        let channels = self.channels().len();
        let rows = self.rows(NetworkOperation::PruneOne, channels);
        let mut scored = rows.of_forecasts(&study, &self.forecasts_of_one()?, &PRUNING_PAIRS)?;
        if channels > 1 {
            let k = self.attribute_correlation.rows();
            scored.push(rows.row(
                Subject::Forecast(ForecastRule::SimilarMasks),
                ScoreRule::RankOfPairs,
                study.rank_of_pairs(self.attribute_correlation)?,
                Budget { values: k * (k - 1) / 2, probes: 0 },
            ));
        }
        Ok(scored)
    }

    /// Prunes each channel alone, and the most correlated one takes over.
    fn prune_one_with_partner(&self, features: &[Tensor]) -> Result<Vec<ScoredForecast>> {
        let study = self.study_of_one(features, Takeover::Partner)?;
        self.rows(NetworkOperation::PruneOneWithPartner, self.channels().len()).of_forecasts(
            &study,
            &self.forecasts_of_one()?,
            &PRUNING_PAIRS,
        )
    }

    fn study_of_one(&self, features: &[Tensor], takeover: Takeover) -> Result<Study> {
        let prune = |c: usize| self.prune(format!("channel {c}"), vec![c], takeover);
        let prunes: Vec<Prune> = self.channels().into_iter().map(prune).collect();
        self.study(&self.pruned_outputs(features, &prunes, &[1])?.changes()?)
    }

    /// The logits of the network, and pruned in each of these ways to each of these counts.
    fn pruned_outputs(
        &self,
        features: &[Tensor],
        prunes: &[Prune],
        counts: &[usize],
    ) -> Result<PrunedOutputs> {
        PrunedOutputs::logits(self.network, features, prunes, counts, self.progress)
    }

    fn forecasts_of_one(&self) -> Result<Vec<Forecast>> {
        let channels: Vec<Vec<usize>> = self.channels().into_iter().map(|c| vec![c]).collect();
        self.explanation.of_pruning(&channels)
    }

    /// Prunes many channels at once, in the semantic orders and in random ones: the change of the
    /// logits, then the decisions that flip.
    fn prune_many(&self, features: &[Tensor]) -> Result<Vec<ScoredForecast>> {
        let counts = share_counts(self.network.channels(), &SHARES);
        let prunes = self.prunes_of_many();
        let pruned: Vec<Vec<usize>> = prunes
            .iter()
            .flat_map(|prune| counts.iter().map(|&count| prune.pruned(count).to_vec()))
            .collect();
        let forecasts = self.explanation.of_pruning(&pruned)?;
        let score = |operation: NetworkOperation, changes: &[Change]| {
            let study = self.study(changes)?;
            let rows = self.rows(operation, pruned.len());
            let mut scored = rows.of_forecasts(&study, &forecasts, &PRUNING_PAIRS)?;
            scored.push(rows.of_monotonicity(study.monotonicity()));
            Ok::<_, Error>(scored)
        };
        let logits = self.pruned_outputs(features, &prunes, &counts)?;
        let mut scored = score(NetworkOperation::PruneMany, &logits.changes()?)?;
        let decisions = logits.decisions().changes()?;
        scored.extend(score(NetworkOperation::PruneManyDecisions, &decisions)?);
        Ok(scored)
    }

    fn prunes_of_many(&self) -> Vec<Prune<'_>> {
        let semantic = self.semantic_orders.iter().map(|order| {
            self.prune(order.rule.id().to_owned(), order.order.clone(), Takeover::Nothing)
        });
        let random = (0..RANDOM_ORDERS).map(|number| {
            let order = PruneOrder::random(
                self.network.channels(),
                self.settings.seed.wrapping_add(number),
            )
            .order;
            self.prune(format!("random {number}"), order, Takeover::Nothing)
        });
        semantic.chain(random).collect()
    }

    /// Transforms the masks of each channel alone.
    fn transform_one(&self, features: &[Tensor]) -> Result<Vec<ScoredForecast>> {
        let n = NetworkOperation::TRANSFORM_N;
        let curve = PowerCurve::new(n, 0.).map_err(Error::of_model("the tone curve"))?;
        let transformed = |mask: f64| {
            let mut value = [mask as f32];
            curve.apply(0, 0, &mut value);
            f64::from(value[0])
        };
        let channels = self.channels();
        let forecasts = self.explanation.of_transforming(&channels, transformed)?;
        let operations: Vec<TransformMasks> =
            channels.iter().map(|&channel| TransformMasks { channel }).collect();
        let study = self.study(&observe(&self.heads(), features, &operations, &[n - 1.])?)?;
        self.rows(NetworkOperation::TransformOne, channels.len()).of_forecasts(
            &study,
            &forecasts,
            &TRANSFORM_PAIRS,
        )
    }

    /// Adds noise to the images. The probe is another draw, weaker than all that are forecast.
    fn noise(&self) -> Result<Vec<ScoredForecast>> {
        let sigmas = self.sigmas();
        let Some(smallest) = sigmas.first() else { return Ok(vec![]) };
        let NetworkStudySettings { clip, mean, deviation, seed, .. } = self.settings;
        let (mean, deviation) = (mean.to_vec(), deviation.to_vec());
        let noise = Noise { sigma: 0., clip, mean, deviation, seed };
        let model = NoisyImages { network: self.network, noise, progress: self.progress };
        let draws: Vec<AddNoise> =
            (0..DRAWS).map(|draw| AddNoise { seed: seed.wrapping_add(draw) }).collect();
        let probe_draw = AddNoise { seed: seed.wrapping_add(DRAWS) };
        let probe = observe(&model, self.batches, &[probe_draw], &[PROBE * smallest])?;
        let linear = linear_from_one_probe(probe, draws.len(), &sigmas)?;
        let perturbations = draws.len() * sigmas.len();
        let nothing = Forecast::nothing(perturbations, self.explanation.mean_masks.rows());
        let study = self.study(&observe(&model, self.batches, &draws, &sigmas)?)?;
        let rows = self.rows(NetworkOperation::Noise, perturbations);
        let mut scored = rows.of_forecasts(&study, &[linear, nothing], &[])?;
        scored.push(rows.of_monotonicity(study.monotonicity()));
        Ok(scored)
    }
}

/// Linear extrapolation in which one probe stands for all draws.
fn linear_from_one_probe(probe: Vec<Change>, draws: usize, sigmas: &[f64]) -> Result<Forecast> {
    let probes = probe.len();
    let repeated: Vec<Change> = probe.into_iter().cycle().take(draws).collect();
    let linear = Forecast::linear(&repeated, sigmas)?;
    let values = linear.budget.values / draws;
    Ok(Forecast { budget: Budget { values, probes }, ..linear })
}

/// `n` of `all` indices, evenly spaced; all for 0.
fn evenly_spaced(all: usize, n: usize) -> Vec<usize> {
    let n = if n == 0 { all } else { n.min(all) };
    (0..n).map(|i| i * all / n).collect()
}

#[cfg(test)]
mod tests {
    use super::evenly_spaced;

    #[test]
    fn indices_are_evenly_spaced() {
        assert_eq!(evenly_spaced(8, 4), [0, 2, 4, 6]);
        assert_eq!(evenly_spaced(5, 3), [0, 1, 3]);
        assert_eq!(evenly_spaced(3, 0), [0, 1, 2]);
        assert_eq!(evenly_spaced(3, 9), [0, 1, 2]);
    }
}
