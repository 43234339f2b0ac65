//! A trained network under the paper's operations, and what its explanation forecasts of them.

use std::sync::Mutex;

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_analysis::Matrix;
use foresee_celeba::Split;
use foresee_model::{ModelCard, Network};
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Cut, Noise, Only, PowerCurve, PruneOrder, Takeover,
    add_noise, random_order,
};
use foresee_predict::{AnyError, Budget, Explanation, Forecast, Model, Operation, Study, observe};
use foresee_report::frame;

use super::scores::{About, Row};
use crate::progress::Progress;
use crate::run::Run;
use crate::{faces, statistics, train};

/// Images of a batch whose masks are worked on at once.
const BATCH: usize = 16;
/// n of the tone curve that is applied to one channel.
const N: f64 = 2.;
/// Random orders of pruning beside the two plans.
const RANDOM: u64 = 8;
/// Shares of the channels that are pruned.
const SHARES: [f64; 3] = [0.125, 0.25, 0.5];
/// Draws of the noise, each an operation.
const DRAWS: u64 = 4;
/// σ of the small probe that linear extrapolation sees, as a share of the smallest that is
/// forecast.
const PROBE: f64 = 0.5;
/// Which forecasts are set beside each other: does the correlation matrix say more than norms and
/// weights, do the mean masks?
const PRUNING_PAIRS: [[&str; 2]; 5] = [
    ["a duplicate changes nothing (Figure 6)", "filter norm"],
    ["both, multiplied (the paper)", "attributes with high mean masks change (Figure 5)"],
    ["both, multiplied (the paper)", "readout weights |w|"],
    ["attributes with high mean masks change (Figure 5)", "readout weights |w|"],
    ["a duplicate's contribution changes nothing |w·p|", "contribution |w·p|"],
];

/// Everything that is told of a run's network.
pub fn all(run: &Run, device: &Device) -> Result<Vec<Row>> {
    let config = &run.manifest.config;
    let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
    let (network, card) = train::load(&run.folder, device)?;
    let test = faces::limited(data.split(Split::Test)?, config.predict.images);
    let batches = faces::in_order(&data, &test, &faces::preprocessing(&card), BATCH)
        .map(|batch| batch.map(|b| (b.images, b.faces)))
        .collect::<foresee_celeba::Result<Vec<_>>>()?;
    let features = batches
        .iter()
        .map(|(images, _)| Ok(network.features(&images.to_device(device)?)?))
        .collect::<Result<Vec<_>>>()?;
    let network_is_prunable = network.config().channels > 1;
    let channels = some(network.config().channels, config.predict.channels);
    let curves = (2 + RANDOM as usize) * SHARES.len();
    let noisy = DRAWS as usize * (config.transform.sigmas.iter().filter(|s| **s > 0.).count() + 1);
    let singles = channels.len() * if config.model.attention { 3 } else { 2 };
    let progress =
        Mutex::new(Progress::new("predicting", test.len() * (singles + 2 * curves + noisy + 6), 0));
    let subject = Subject {
        run,
        network,
        card,
        features,
        channels,
        explanation: explanation(run)?,
        statistics: statistics::read(run)?,
        progress,
    };
    let mut rows = vec![];
    if network_is_prunable {
        rows.extend(subject.one_channel()?);
        rows.extend(subject.one_channel_taken_over()?);
        rows.extend(subject.many_channels()?);
    }
    if config.model.attention {
        rows.extend(subject.one_curve()?);
    }
    rows.extend(subject.noise(&batches)?);
    Ok(rows)
}

/// `n` of `all` channels, evenly spread; all for 0.
fn some(all: usize, n: usize) -> Vec<usize> {
    let n = if n == 0 { all } else { n.min(all) };
    (0..n).map(|i| i * all / n).collect()
}

fn explanation(run: &Run) -> Result<Explanation> {
    let matrix = |file: &str| -> Result<Matrix> {
        Ok(Matrix::from_rows(&frame::rows(&run.read_csv(file)?, 1)?))
    };
    Ok(Explanation {
        correlation: matrix("data/channel_correlation.csv")?,
        mean_masks: matrix("data/mean_masks.csv")?,
        readout: Matrix::from_rows(&statistics::read(run)?.readout),
        contributions: matrix("data/mean_contributions.csv")?,
        filter_norms: frame::numbers(&run.read_csv("data/channels.csv")?, "filter_l1")?,
    })
}

/// What all studies share.
struct Subject<'a> {
    run: &'a Run,
    network: Network,
    card: ModelCard,
    features: Vec<Tensor>,
    channels: Vec<usize>,
    explanation: Explanation,
    statistics: ChannelStatistics,
    progress: Mutex<Progress>,
}

/// Heads that read some channels of the whole network's features, under a tone curve if there is
/// one.
struct Heads<'a> {
    network: Network,
    kept: Option<Vec<usize>>,
    curve: Option<Only<PowerCurve>>,
    progress: &'a Mutex<Progress>,
}

impl Model for Heads<'_> {
    type Inputs = Vec<Tensor>;

    fn infer(&self, features: &Vec<Tensor>) -> Result<Matrix, AnyError> {
        let mut rows: Vec<Vec<f64>> = vec![];
        for z in features {
            let z = match &self.kept {
                Some(kept) => foresee_kernels::select_channels(z, kept)?,
                None => z.clone(),
            };
            let logits = match &self.curve {
                Some(curve) => self.network.logits_under(&z, &[curve])?.remove(0),
                None => self.network.logits(&z)?,
            };
            rows.extend(answers(&logits)?);
            seen(self.progress, z.dims()[0]);
        }
        Ok(Matrix::from_rows(&rows))
    }
}

fn answers(logits: &Tensor) -> Result<Vec<Vec<f64>>, AnyError> {
    Ok(logits
        .to_vec2::<f32>()?
        .into_iter()
        .map(|row| row.into_iter().map(f64::from).collect())
        .collect())
}

fn seen(progress: &Mutex<Progress>, images: usize) {
    if let Ok(mut progress) = progress.lock() {
        progress.add(images, String::new);
    }
}

/// Prunes as many channels of an order as the strength says.
struct Prune<'a> {
    name: String,
    order: PruneOrder,
    takeover: Takeover,
    statistics: &'a ChannelStatistics,
    absolute: bool,
}

impl<'a> Operation<Heads<'a>> for Prune<'_> {
    type Perturbed = Heads<'a>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn perturb(&self, model: &Heads<'a>, strength: f64) -> Result<Heads<'a>, AnyError> {
        let count = strength as usize;
        let cut = match self.takeover {
            Takeover::Nothing => Cut::Plain(self.order.kept(model.network.channels(), count)),
            takeover => {
                self.statistics.cuts(&self.order, &[count], takeover, self.absolute)?.remove(0)
            }
        };
        Ok(Heads {
            network: model.network.cut(&cut)?,
            kept: Some(cut.kept().to_vec()),
            curve: None,
            progress: model.progress,
        })
    }
}

/// Raises n of the tone curve by the strength, on the masks of one channel.
struct Curve(usize);

impl<'a> Operation<Heads<'a>> for Curve {
    type Perturbed = Heads<'a>;

    fn name(&self) -> String {
        format!("tone curve on channel {}", self.0)
    }

    fn perturb(&self, model: &Heads<'a>, strength: f64) -> Result<Heads<'a>, AnyError> {
        let curve = Only::new(PowerCurve::new(1. + strength, 0.)?, None, Some(vec![self.0]));
        Ok(Heads {
            network: model.network.clone(),
            kept: None,
            curve: Some(curve),
            progress: model.progress,
        })
    }
}

/// The whole network on noisy images.
struct Noisy<'a> {
    network: Network,
    noise: Noise,
    progress: &'a Mutex<Progress>,
}

impl Model for Noisy<'_> {
    type Inputs = Vec<(Tensor, Vec<usize>)>;

    fn infer(&self, batches: &Self::Inputs) -> Result<Matrix, AnyError> {
        let mut rows = vec![];
        for (images, numbers) in batches {
            let noisy = add_noise(images, numbers, &self.noise)?;
            rows.extend(answers(&self.network.logits(&self.network.features(&noisy)?)?)?);
            seen(self.progress, numbers.len());
        }
        Ok(Matrix::from_rows(&rows))
    }
}

/// Adds a draw of the noise, as strong as σ says.
struct AddNoise {
    seed: u64,
}

impl<'a> Operation<Noisy<'a>> for AddNoise {
    type Perturbed = Noisy<'a>;

    fn name(&self) -> String {
        format!("noise, draw {}", self.seed)
    }

    fn perturb(&self, model: &Noisy<'a>, strength: f64) -> Result<Noisy<'a>, AnyError> {
        let noise = Noise { sigma: strength, seed: self.seed, ..model.noise };
        Ok(Noisy { network: model.network.clone(), noise, progress: model.progress })
    }
}

/// What a model decides, instead of its logits: 1 for an attribute that it sees, else 0. The effect
/// of an operation is then the share of answers that flip.
struct Decides<M>(M);

impl<M: Model> Model for Decides<M> {
    type Inputs = M::Inputs;

    fn infer(&self, inputs: &M::Inputs) -> Result<Matrix, AnyError> {
        let decided =
            |row: Vec<f64>| row.into_iter().map(|logit| f64::from(u8::from(logit > 0.))).collect();
        Ok(Matrix::from_rows(
            &self.0.infer(inputs)?.to_rows().into_iter().map(decided).collect::<Vec<Vec<f64>>>(),
        ))
    }
}

struct OnDecisions<'a, O>(&'a O);

impl<M: Model, O: Operation<M>> Operation<Decides<M>> for OnDecisions<'_, O> {
    type Perturbed = Decides<O::Perturbed>;

    fn name(&self) -> String {
        self.0.name()
    }

    fn perturb(&self, model: &Decides<M>, strength: f64) -> Result<Self::Perturbed, AnyError> {
        Ok(Decides(self.0.perturb(&model.0, strength)?))
    }
}

impl Subject<'_> {
    fn heads(&self) -> Heads<'_> {
        Heads { network: self.network.clone(), kept: None, curve: None, progress: &self.progress }
    }

    fn study(&self, changes: &[foresee_predict::Change]) -> Result<Study> {
        Ok(Study::new(changes, self.run.manifest.config.predict.resamples, self.run.manifest.seed)?)
    }

    fn about<'a>(&self, operation: &'a str, perturbations: usize) -> About<'a> {
        About { operation, perturbations, images: self.features.iter().map(|z| z.dims()[0]).sum() }
    }

    fn prune(&self, name: &str, order: Vec<usize>, takeover: Takeover) -> Prune<'_> {
        let order = PruneOrder { rule: name.into(), seed: None, order };
        Prune {
            name: name.into(),
            order,
            takeover,
            statistics: &self.statistics,
            absolute: self.run.manifest.config.prune.absolute,
        }
    }

    fn singles(&self) -> Vec<Vec<usize>> {
        self.channels.iter().map(|&c| vec![c]).collect()
    }

    /// Each channel alone is pruned, as the paper does.
    fn one_channel(&self) -> Result<Vec<Row>> {
        let operation = "prune one channel";
        let forecasts = self.explanation.of_pruning(&self.singles())?;
        let prunes: Vec<Prune> = self
            .channels
            .iter()
            .map(|&c| self.prune(&format!("channel {c}"), vec![c], Takeover::Nothing))
            .collect();
        let study = self.study(&observe(&self.heads(), &self.features, &prunes, &[1.])?)?;
        let about = self.about(operation, prunes.len());
        let mut rows = about.rows(&study, &forecasts, &PRUNING_PAIRS)?;
        let table4 = Matrix::from_rows(&frame::rows(
            &self.run.read_csv("data/attribute_correlation.csv")?,
            1,
        )?);
        let k = table4.rows();
        let budget = Budget { values: k * (k - 1) / 2, probes: 0 };
        if prunes.len() > 1 {
            rows.push(about.row(
                "attributes with similar masks change together (Table 4)",
                "rank of pairs",
                study.rank_of_pairs(&table4)?,
                budget,
            ));
        }
        Ok(rows)
    }

    /// The same, and the channel that is most correlated with it takes over.
    fn one_channel_taken_over(&self) -> Result<Vec<Row>> {
        let forecasts = self.explanation.of_pruning(&self.singles())?;
        let prunes: Vec<Prune> = self
            .channels
            .iter()
            .map(|&c| self.prune(&format!("channel {c}"), vec![c], Takeover::Partner))
            .collect();
        let study = self.study(&observe(&self.heads(), &self.features, &prunes, &[1.])?)?;
        self.about("prune one channel, its partner takes over", prunes.len()).rows(
            &study,
            &forecasts,
            &PRUNING_PAIRS,
        )
    }

    /// Many channels at once: the two plans and random orders; the change of logits, and the
    /// answers that flip.
    fn many_channels(&self) -> Result<Vec<Row>> {
        let total = self.network.config().channels;
        let mut orders: Vec<(String, Vec<usize>)> = vec![];
        for rule in ["lower", "higher"] {
            let plan = frame::numbers(
                &self.run.read_csv(&format!("data/prune_plan_{rule}.csv"))?,
                "pruned",
            )?;
            orders.push((rule.into(), plan.into_iter().map(|c| c as usize).collect()));
        }
        orders.extend((0..RANDOM).map(|seed| {
            (format!("random {seed}"), random_order(total, self.run.manifest.seed + seed).order)
        }));
        let mut counts: Vec<usize> = SHARES
            .iter()
            .map(|share| ((share * total as f64) as usize).clamp(1, total - 1))
            .collect();
        counts.dedup();
        let strengths: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
        let pruned: Vec<Vec<usize>> = orders
            .iter()
            .flat_map(|(_, order)| counts.iter().map(move |&count| order[..count].to_vec()))
            .collect();
        let forecasts = self.explanation.of_pruning(&pruned)?;
        let prunes: Vec<Prune> = orders
            .into_iter()
            .map(|(name, order)| self.prune(&name, order, Takeover::Nothing))
            .collect();
        let study = self.study(&observe(&self.heads(), &self.features, &prunes, &strengths)?)?;
        let about = self.about("prune many channels", pruned.len());
        let mut rows = about.rows(&study, &forecasts, &PRUNING_PAIRS)?;
        rows.push(monotone(&about, &study));
        let decisions: Vec<OnDecisions<Prune>> = prunes.iter().map(OnDecisions).collect();
        let study =
            self.study(&observe(&Decides(self.heads()), &self.features, &decisions, &strengths)?)?;
        let about = self.about("prune many channels: answers that flip", pruned.len());
        rows.extend(about.rows(&study, &forecasts, &PRUNING_PAIRS)?);
        rows.push(monotone(&about, &study));
        Ok(rows)
    }

    /// n of the tone curve on one channel's masks.
    fn one_curve(&self) -> Result<Vec<Row>> {
        let power = PowerCurve::new(N, 0.)?;
        let at = |mask: f64| {
            let mut value = [mask as f32];
            foresee_perturb::ToneCurve::apply(&power, 0, 0, &mut value);
            f64::from(value[0])
        };
        let forecasts = self.explanation.of_transforming(&self.channels, at)?;
        let curves: Vec<Curve> = self.channels.iter().map(|&c| Curve(c)).collect();
        let study = self.study(&observe(&self.heads(), &self.features, &curves, &[N - 1.])?)?;
        let operation = format!("transform one channel's masks (n = {N})");
        let pairs = [
            ["masks near 0.5 change most (Figure 5)", "contribution |w·p|"],
            ["the same, times what the channel gives |w·p|/M", "contribution |w·p|"],
        ];
        self.about(&operation, curves.len()).rows(&study, &forecasts, &pairs)
    }

    /// Noise on the images; the probe is another draw, weaker than all that is forecast.
    fn noise(&self, batches: &Vec<(Tensor, Vec<usize>)>) -> Result<Vec<Row>> {
        let config = &self.run.manifest.config.transform;
        let mut strengths: Vec<f64> = config.sigmas.iter().copied().filter(|s| *s > 0.).collect();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        let Some(smallest) = strengths.first() else { return Ok(vec![]) };
        let seed = self.run.manifest.seed;
        let draws: Vec<AddNoise> = (0..DRAWS).map(|draw| AddNoise { seed: seed + draw }).collect();
        let noise = Noise {
            sigma: 0.,
            clip: config.clip,
            mean: self.card.mean,
            deviation: self.card.deviation,
            seed,
        };
        let model = Noisy { network: self.network.clone(), noise, progress: &self.progress };
        let mut probe =
            observe(&model, batches, &[AddNoise { seed: seed + DRAWS }], &[PROBE * smallest])?;
        let probes = probe.len();
        // One probe speaks for all draws.
        probe = probe.into_iter().cycle().take(draws.len()).collect();
        let mut linear = Forecast::linear(&probe, &strengths)?;
        linear.budget = Budget { values: linear.budget.values / draws.len(), probes };
        let nothing =
            Forecast::nothing(draws.len() * strengths.len(), self.network.config().attributes);
        let study = self.study(&observe(&model, batches, &draws, &strengths)?)?;
        let about = self.about("noise on the image", draws.len() * strengths.len());
        let mut rows = about.rows(&study, &[linear, nothing], &[])?;
        rows.push(monotone(&about, &study));
        Ok(rows)
    }
}

fn monotone(about: &About, study: &Study) -> Row {
    let value = foresee_predict::Score {
        interval: study.monotonicity(),
        shuffled: f64::NAN,
        exchanged: f64::NAN,
    };
    about.row("the stronger, the more", "monotonicity", value, Budget::default())
}
