//! Stage `judge`: what `compare` measures of a system: its accuracy on each test image, under noise
//! and with half of the channels of its last stage pruned, how well that is forecast, and its
//! costs.

use anyhow::Context;
use candle_core::Tensor;
use foresee_baselines::FaceTracer;
use foresee_celeba::{ATTRIBUTES, Batch, CelebA, Split};
use foresee_graph::{ChannelGroup, Graph, NodeId, Op};
use foresee_perturb::{GroupRule, GroupStatistics, Noise, PruneRule, Takeover, Tally, add_noise};
use foresee_predict::{Answers as Answered, Layer, LayerStudy, LayerStudySettings};

use super::attribute;
use super::train::{Answers, Classifier, face_tracer_answers};
use crate::artifacts::{Artifact, JudgedImage, ScoredForecasts, SystemCost};
use crate::config::SystemName;
use crate::error::Result;
use crate::faces;
use crate::pace::milliseconds;
use crate::progress::{LateProgress, Progress, Unit};
use crate::run::{Inputs, Outputs, Run, Stage};
use crate::session::{FACE_TRACER, MODEL, NETWORK, Session, check_finite, images_of};

const FORMAT: u32 = 6;

/// Images of one batch.
const BATCH: usize = 32;
/// Images of one batch of the paper's network as a graph, which holds all their masks at once.
const BATCH_OF_MASKS: usize = 4;
/// Training images on which channels are measured.
const MEASURED: usize = 200;
/// Test images on which forecasts are compared with what comes.
const FORECAST: usize = 24;
/// The shares of the last stage's channels that are forecast.
const SHARES: [f64; 4] = [0.0625, 0.125, 0.25, 0.5];

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    let settings = (&config.data, &config.transform, config.predict.resamples, run.manifest.seed);
    let file = match config.system.name {
        SystemName::Paper => MODEL,
        SystemName::Facetracer => FACE_TRACER,
        _ => NETWORK,
    };
    let inputs = Inputs { stage: Stage::Judge, format: FORMAT, settings, reads: &[file] };
    run.stage(&inputs, |outputs| match config.system.name {
        SystemName::Facetracer => face_tracer(outputs, session),
        _ => network(outputs, session),
    })
}

fn network(outputs: &mut Outputs, session: &Session) -> Result<()> {
    let run = outputs.run();
    let graph = graph_of(run, session)?;
    let judge = Judge { run, session, data: session.data(run)? };
    let test = judge.data.split(Split::Test)?;
    let of_graph =
        |images: &Tensor| Ok(graph.forward(std::slice::from_ref(images))?.swap_remove(0));
    let answers: Box<Answers> = match run.manifest.config.system.name {
        // Its own kernels are faster than a graph's.
        SystemName::Paper => session.trained(run)?.network.answers(),
        _ => Box::new(of_graph),
    };
    let mut rows = judge.clean_and_noisy(&answers, &test)?;
    let group = last_stage(&graph)?;
    let (pruned, scores) = judge.pruned(&graph, &group, &test)?;
    rows.extend(pruned);
    outputs.write(&rows)?;
    outputs.write_frame(ScoredForecasts::PATH, scores.to_frame()?)?;
    let cost = graph.cost(&graph.shapes(1, &[])?);
    outputs.write(&vec![SystemCost {
        parameters: cost.parameters,
        macs: cost.macs as f64,
        milliseconds: judge.milliseconds(&answers, &test)?,
        channels: group.units,
    }])
}

fn face_tracer(outputs: &mut Outputs, session: &Session) -> Result<()> {
    let run = outputs.run();
    let trained = FaceTracer::load(&run.path(FACE_TRACER))?;
    let judge = Judge { run, session, data: session.data(run)? };
    let test = judge.data.split(Split::Test)?;
    let normalisation = images_of(&run.manifest.config).normalisation;
    let answers = |images: &Tensor| face_tracer_answers(&trained, images, &normalisation);
    outputs.write(&judge.clean_and_noisy(&answers, &test)?)?;
    outputs.write(&vec![SystemCost {
        parameters: trained.parameters(),
        macs: f64::NAN,
        milliseconds: judge.milliseconds(&answers, &test)?,
        channels: 0,
    }])
}

/// The run's network as a graph with the logits as its first output.
fn graph_of(run: &Run, session: &Session) -> Result<Graph> {
    let graph = match run.manifest.config.system.name {
        SystemName::Paper => attribute::graph_of(&session.trained(run)?.network)?,
        _ => Graph::from_onnx(&run.path(NETWORK))?,
    };
    // Further outputs are those of training.
    let (images, logits) = (graph.inputs()[0], graph.outputs()[0]);
    let size = Some(run.manifest.config.data.image_size);
    let sizes = vec![None, Some(3), size, size];
    Ok(graph.with_outputs(vec![logits])?.remove_unneeded()?.with_input_sizes(images, sizes)?)
}

/// The channels of the last convolution whose channels can be pruned. A convolution that leaves a
/// single pixel is a fully connected layer, and is taken only where there is no other.
fn last_stage(graph: &Graph) -> Result<ChannelGroup> {
    let groups = graph.channel_groups(&[])?.into_iter().filter(|group| group.fixed.is_none());
    let shapes = graph.shapes(1, &[])?;
    let last = |group: &ChannelGroup| {
        let nodes = group.producers.iter().map(|producer| producer.node);
        let convs = nodes.filter(|node| matches!(graph.node(*node).op, Op::Conv(_)));
        let pixels = |node: NodeId| -> usize {
            shapes.of(graph.node(node).outputs[0])[2..].iter().product()
        };
        convs.map(|node| (pixels(node) > 1, node)).max()
    };
    let found = groups.filter_map(|group| Some((last(&group)?, group))).max_by_key(|(at, _)| *at);
    Ok(found.context("the network has no convolution whose channels can be pruned")?.1)
}

/// A run's network on test faces.
struct Judge<'a> {
    run: &'a Run,
    session: &'a Session,
    data: &'a CelebA,
}

impl Judge<'_> {
    fn batches(&self, faces: &[usize]) -> impl Iterator<Item = Result<(Batch, Tensor)>> + '_ {
        self.batches_of(faces, BATCH)
    }

    /// Batches for the network as a graph.
    fn graph_batches(&self, faces: &[usize]) -> impl Iterator<Item = Result<(Batch, Tensor)>> + '_ {
        let size = match self.run.manifest.config.system.name {
            SystemName::Paper => BATCH_OF_MASKS,
            _ => BATCH,
        };
        self.batches_of(faces, size)
    }

    fn batches_of(
        &self,
        faces: &[usize],
        size: usize,
    ) -> impl Iterator<Item = Result<(Batch, Tensor)>> + '_ {
        let preprocessing = images_of(&self.run.manifest.config);
        self.data.batches_in_order(faces, &preprocessing, size).map(|batch| {
            let batch = batch?;
            let images = batch.images.to_device(&self.session.device)?;
            Ok((batch, images))
        })
    }

    /// The images of `transform.images`, or all.
    fn some<'f>(&self, test: &'f [usize]) -> &'f [usize] {
        match self.run.manifest.config.transform.images {
            0 => test,
            limit => &test[..limit.min(test.len())],
        }
    }

    fn rows(
        &self,
        faces: &[usize],
        tally: &Tally,
        (sigma, pruned, takeover): (f64, usize, Takeover),
    ) -> Vec<JudgedImage> {
        let row = |(face, accuracy): (&usize, &f32)| JudgedImage {
            image: self.data.name(*face).to_owned(),
            sigma,
            pruned,
            takeover,
            accuracy: f64::from(*accuracy),
        };
        faces.iter().zip(&tally.by_image).map(row).collect()
    }

    /// All test images as they are, and some of them under noise.
    fn clean_and_noisy(&self, answers: &Answers, test: &[usize]) -> Result<Vec<JudgedImage>> {
        let settings = &self.run.manifest.config.transform;
        let sigmas: Vec<f64> = settings.sigmas.iter().copied().filter(|s| *s > 0.).collect();
        let some = self.some(test);
        let all = test.len() + sigmas.len() * some.len();
        let progress = Progress::new("judging", Unit::Images, all, 0);
        let mut rows = vec![];
        for sigma in std::iter::once(0.).chain(sigmas) {
            let faces = if sigma == 0. { test } else { some };
            let tally = self.tally(answers, faces, sigma, &progress)?;
            rows.extend(self.rows(faces, &tally, (sigma, 0, Takeover::Nothing)));
        }
        Ok(rows)
    }

    fn tally(
        &self,
        answers: &Answers,
        faces: &[usize],
        sigma: f64,
        progress: &Progress,
    ) -> Result<Tally> {
        let normalisation = images_of(&self.run.manifest.config).normalisation;
        let noise = Noise {
            sigma,
            clip: self.run.manifest.config.transform.clip,
            mean: normalisation.mean.to_vec(),
            deviation: normalisation.deviation.to_vec(),
            seed: self.run.manifest.seed,
        };
        let mut tally = Tally::default();
        for batch in self.batches(faces) {
            let (batch, images) = batch?;
            let logits = answers(&add_noise(&images, &batch.faces, &noise)?)?;
            check_finite(&logits, self.data, &batch)?;
            tally.add(&logits, &batch.labels.to_device(&self.session.device)?)?;
            progress.add(batch.faces.len(), String::new);
        }
        Ok(tally)
    }

    /// Half of the last stage's channels pruned, by the norm of their filters, without and with
    /// takeover; and the scores of forecasts of what pruning changes.
    fn pruned(
        &self,
        graph: &Graph,
        group: &ChannelGroup,
        test: &[usize],
    ) -> Result<(Vec<JudgedImage>, ScoredForecasts)> {
        let mut statistics = GroupStatistics::new(graph, [group]);
        let train = faces::first(self.data.split(Split::Train)?, MEASURED);
        for batch in self.graph_batches(&train) {
            statistics.add(&[batch?.1])?;
        }
        let rule = GroupRule::Of(PruneRule::FilterNorm);
        let order = statistics.order(group, rule, None, self.run.manifest.seed)?;
        let takeovers = [Takeover::Nothing, Takeover::LeastSquares];
        let half = [group.units / 2];
        let some = self.some(test);
        let labelled = self.graph_batches(some).map(|batch| -> Result<(Tensor, Tensor)> {
            let (batch, images) = batch?;
            Ok((images, batch.labels.to_device(&self.session.device)?))
        });
        let orders = [order.clone()];
        let curves = statistics.curves(group, &orders, (&takeovers, &half), labelled)?;
        let mut rows = vec![];
        for curve in &curves {
            for (pruned, tally) in &curve.tallies {
                rows.extend(self.rows(some, tally, (0., *pruned, curve.takeover)));
            }
        }
        let scores = self.forecasts(graph, group, &order.order, &statistics, test)?;
        Ok((rows, scores))
    }

    fn forecasts(
        &self,
        graph: &Graph,
        group: &ChannelGroup,
        order: &[usize],
        statistics: &GroupStatistics,
        test: &[usize],
    ) -> Result<ScoredForecasts> {
        let observed = &test[..FORECAST.min(test.len())];
        let batches: Vec<Tensor> =
            self.graph_batches(observed).map(|batch| Ok(batch?.1)).collect::<Result<_>>()?;
        let norms = group.filter_norms(graph)?;
        let layers = [Layer { group, order, norms: &norms }];
        let progress = LateProgress::default();
        let step = |images: usize| progress.add(images);
        let study = LayerStudy {
            graph,
            layers: &layers,
            statistics,
            batches: &batches,
            judge: None,
            settings: LayerStudySettings {
                shares: SHARES.to_vec(),
                budgets: vec![],
                takeover: Takeover::Nothing,
                outputs: (0..ATTRIBUTES.len()).collect(),
                answers: Answered::Each,
                resamples: self.run.manifest.config.predict.resamples,
                seed: self.run.manifest.seed,
            },
            progress: &step,
        };
        progress.begin("forecasting", Unit::Passes, study.passes() * observed.len());
        Ok(ScoredForecasts(study.run()?.scores))
    }

    /// Milliseconds of an image in batches.
    fn milliseconds(&self, answers: &Answers, test: &[usize]) -> Result<f64> {
        let (_, images) = self.batches(test).next().context("a test image")??;
        milliseconds(images.dim(0)?, || {
            answers(&images)?.to_vec2::<f32>()?;
            Ok(())
        })
    }
}
