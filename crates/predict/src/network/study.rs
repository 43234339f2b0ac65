use candle_core::Tensor;
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Noise, PowerCurve, PruneOrder, Takeover, ToneCurve,
    share_counts,
};
use foresee_stats::Matrix;

use super::observations::{Observations, OfNoise, Pruned};
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
/// weights, and do the mean masks? Do masks and contributions say more than what other operations
/// did?
static PRUNING_PAIRS: [[ForecastRule; 2]; 7] = [
    [ForecastRule::Uniqueness, ForecastRule::FilterNorm],
    [ForecastRule::UniquenessTimesMask, ForecastRule::MeanMask],
    [ForecastRule::UniquenessTimesMask, ForecastRule::ReadoutWeight],
    [ForecastRule::MeanMask, ForecastRule::ReadoutWeight],
    [ForecastRule::UniquenessTimesContribution, ForecastRule::Contribution],
    [ForecastRule::MeanMask, ForecastRule::MeanOfOthers],
    [ForecastRule::Contribution, ForecastRule::MeanOfOthers],
];

/// The forecasts of a transformation that are compared.
static TRANSFORM_PAIRS: [[ForecastRule; 2]; 3] = [
    [ForecastRule::MaskNearHalf, ForecastRule::Contribution],
    [ForecastRule::CurveShiftTimesContribution, ForecastRule::Contribution],
    [ForecastRule::Contribution, ForecastRule::MeanOfOthers],
];

/// The forecasts of noise that are compared.
static NOISE_PAIRS: [[ForecastRule; 2]; 1] =
    [[ForecastRule::LinearProbe, ForecastRule::MeanOfOthers]];

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
    /// [Observes](Self::observe) the network and [scores](Self::score) the forecasts.
    ///
    /// # Errors
    /// If the tables do not fit each other or the network, or the network fails.
    pub fn run(&self) -> Result<Vec<ScoredForecast>> {
        self.score(&self.observe()?)
    }

    /// Runs the network under all operations. What is observed on an image does not depend on the
    /// images of other batches.
    ///
    /// # Errors
    /// If the tables do not fit the network, or the network fails.
    pub fn observe(&self) -> Result<Observations> {
        let features = self
            .batches
            .iter()
            .map(|(images, _)| self.network.features(images))
            .collect::<candle_core::Result<Vec<_>>>()
            .map_err(Error::of_model("the features"))?;
        let pruned = (self.network.channels() > 1).then(|| self.observe_pruning(&features));
        let transformed = self.settings.attention.then(|| self.observe_transforming(&features));
        Ok(Observations {
            images: self.images(),
            outputs: self.explanation.mean_masks.rows(),
            pruned: pruned.transpose()?,
            transformed: transformed.transpose()?,
            noise: self.observe_noise()?,
        })
    }

    /// Scores the forecasts of what was observed: the rows of the table of scores, operation by
    /// operation in the order of [`NetworkOperation::OF_MASKED_NETWORK`]. Operations that the
    /// network does not allow are left out: pruning of a single channel, transformation without
    /// masks, noise without a σ above 0.
    ///
    /// # Errors
    /// If the tables do not fit each other, or nothing was observed.
    pub fn score(&self, observed: &Observations) -> Result<Vec<ScoredForecast>> {
        let images = observed.images;
        let mut rows = vec![];
        if let Some(Pruned { one, one_with_partner, many }) = &observed.pruned {
            rows.extend(self.prune_one(one, images)?);
            rows.extend(self.prune_one_with_partner(one_with_partner, images)?);
            rows.extend(self.prune_many(many, images)?);
        }
        if let Some(changes) = &observed.transformed {
            rows.extend(self.transform_one(changes, images)?);
        }
        if let Some(OfNoise { probe, draws }) = &observed.noise {
            rows.extend(self.noise(probe, draws, images)?);
        }
        Ok(rows)
    }

    /// How many images [`observe`](Self::observe) runs through networks, all operations together.
    pub fn images_to_run(&self) -> usize {
        let passes = self.settings.passes(self.network.channels(), self.semantic_orders.len());
        passes * self.images()
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

    fn study(&self, changes: &[Change]) -> Result<Study> {
        Study::new(changes, self.settings.resamples, self.settings.seed)
    }

    fn prune(&self, name: String, order: Vec<usize>, takeover: Takeover) -> Prune<'_> {
        let absolute = self.settings.absolute;
        Prune { name, order, takeover, statistics: self.statistics, absolute }
    }

    fn observe_pruning(&self, features: &[Tensor]) -> Result<Pruned> {
        let counts = self.counts_of_many();
        Ok(Pruned {
            one: self.pruned(features, &self.prunes_of_one(Takeover::Nothing), &[1])?,
            one_with_partner: self.pruned(
                features,
                &self.prunes_of_one(Takeover::Partner),
                &[1],
            )?,
            many: self.pruned(features, &self.prunes_of_many(), &counts)?,
        })
    }

    /// The logits of the network, and pruned in each of these ways to each of these counts.
    fn pruned(
        &self,
        features: &[Tensor],
        prunes: &[Prune],
        counts: &[usize],
    ) -> Result<PrunedOutputs> {
        PrunedOutputs::logits(self.network, features, prunes, counts, self.progress)
    }

    /// Each channel alone.
    fn prunes_of_one(&self, takeover: Takeover) -> Vec<Prune<'_>> {
        let prune = |c: usize| self.prune(format!("channel {c}"), vec![c], takeover);
        self.channels().into_iter().map(prune).collect()
    }

    /// Each channel was pruned alone.
    fn prune_one(&self, observed: &PrunedOutputs, images: usize) -> Result<Vec<ScoredForecast>> {
        let study = self.study(&observed.changes()?)?;
        let perturbations = self.channels().len();
        let rows = Rows { operation: NetworkOperation::PruneOne, perturbations, images };
        let mut scored = rows.of_forecasts(&study, &self.forecasts_of_one()?, &PRUNING_PAIRS)?;
        if perturbations > 1 {
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

    /// Each channel was pruned alone, and the most correlated one took over.
    fn prune_one_with_partner(
        &self,
        observed: &PrunedOutputs,
        images: usize,
    ) -> Result<Vec<ScoredForecast>> {
        let study = self.study(&observed.changes()?)?;
        let operation = NetworkOperation::PruneOneWithPartner;
        let rows = Rows { operation, perturbations: self.channels().len(), images };
        rows.of_forecasts(&study, &self.forecasts_of_one()?, &PRUNING_PAIRS)
    }

    fn forecasts_of_one(&self) -> Result<Vec<Forecast>> {
        let channels: Vec<Vec<usize>> = self.channels().into_iter().map(|c| vec![c]).collect();
        self.explanation.of_pruning(&channels)
    }

    /// Many channels were pruned at once, in the semantic orders and in random ones: the change of
    /// the logits, then the decisions that flip.
    fn prune_many(&self, observed: &PrunedOutputs, images: usize) -> Result<Vec<ScoredForecast>> {
        let (prunes, counts) = (self.prunes_of_many(), self.counts_of_many());
        let pruned: Vec<Vec<usize>> = prunes
            .iter()
            .flat_map(|prune| counts.iter().map(|&count| prune.pruned(count).to_vec()))
            .collect();
        let forecasts = self.explanation.of_pruning(&pruned)?;
        let score = |operation: NetworkOperation, changes: &[Change]| {
            let study = self.study(changes)?;
            let rows = Rows { operation, perturbations: pruned.len(), images };
            let mut scored = rows.of_forecasts(&study, &forecasts, &PRUNING_PAIRS)?;
            scored.push(rows.of_monotonicity(study.monotonicity()));
            Ok::<_, Error>(scored)
        };
        let mut scored = score(NetworkOperation::PruneMany, &observed.changes()?)?;
        let decisions = observed.decisions().changes()?;
        scored.extend(score(NetworkOperation::PruneManyDecisions, &decisions)?);
        Ok(scored)
    }

    /// How many channels are pruned of each order.
    fn counts_of_many(&self) -> Vec<usize> {
        share_counts(self.network.channels(), &SHARES)
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
    fn observe_transforming(&self, features: &[Tensor]) -> Result<Vec<Change>> {
        let channels = self.channels().into_iter();
        let operations: Vec<TransformMasks> =
            channels.map(|channel| TransformMasks { channel }).collect();
        let model = Heads::new(self.network.clone(), self.progress);
        observe(&model, features, &operations, &[NetworkOperation::TRANSFORM_N - 1.])
    }

    /// The masks of each channel were transformed alone.
    fn transform_one(&self, changes: &[Change], images: usize) -> Result<Vec<ScoredForecast>> {
        let curve = PowerCurve::new(NetworkOperation::TRANSFORM_N, 0.)
            .map_err(Error::of_model("the tone curve"))?;
        let transformed = |mask: f64| {
            let mut value = [mask as f32];
            curve.apply(0, 0, &mut value);
            f64::from(value[0])
        };
        let channels = self.channels();
        let forecasts = self.explanation.of_transforming(&channels, transformed)?;
        let study = self.study(changes)?;
        let operation = NetworkOperation::TransformOne;
        let rows = Rows { operation, perturbations: channels.len(), images };
        rows.of_forecasts(&study, &forecasts, &TRANSFORM_PAIRS)
    }

    /// Adds noise to the images. The probe is another draw, weaker than all that are forecast.
    fn observe_noise(&self) -> Result<Option<OfNoise>> {
        let sigmas = self.sigmas();
        let Some(smallest) = sigmas.first() else { return Ok(None) };
        let NetworkStudySettings { clip, mean, deviation, seed, .. } = self.settings;
        let (mean, deviation) = (mean.to_vec(), deviation.to_vec());
        let noise = Noise { sigma: 0., clip, mean, deviation, seed };
        let model = NoisyImages { network: self.network, noise, progress: self.progress };
        let draw = |number: u64| AddNoise { seed: seed.wrapping_add(number) };
        let draws: Vec<AddNoise> = (0..DRAWS).map(draw).collect();
        let probe = observe(&model, self.batches, &[draw(DRAWS)], &[PROBE * smallest])?;
        let draws = observe(&model, self.batches, &draws, &sigmas)?;
        Ok(Some(OfNoise { probe, draws }))
    }

    /// Noise was added to the images.
    fn noise(
        &self,
        probe: &[Change],
        draws: &[Change],
        images: usize,
    ) -> Result<Vec<ScoredForecast>> {
        let linear = linear_from_one_probe(probe, DRAWS as usize, &self.sigmas())?;
        let nothing = Forecast::nothing(draws.len(), self.explanation.mean_masks.rows());
        let study = self.study(draws)?;
        let operation = NetworkOperation::Noise;
        let rows = Rows { operation, perturbations: draws.len(), images };
        let mut scored = rows.of_forecasts(&study, &[linear, nothing], &NOISE_PAIRS)?;
        scored.push(rows.of_monotonicity(study.monotonicity()));
        Ok(scored)
    }
}

/// Linear extrapolation in which one probe stands for all draws.
fn linear_from_one_probe(probe: &[Change], draws: usize, sigmas: &[f64]) -> Result<Forecast> {
    let probes = probe.len();
    let repeated: Vec<Change> = probe.iter().cycle().take(draws).cloned().collect();
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
