//! Stage `measure`: statistics of features and masks over training images (Figures 4 to 6, Table
//! 4).

use anyhow::Context;
use candle_core::Tensor;
use foresee_analysis::{
    FeatureBatch, FeatureStatistics, FeatureSummary, Importance, groups, neighbours, similar_order,
    top_channels,
};
use foresee_celeba::{ATTRIBUTES, CelebA, Split};
use foresee_model::Network;
use foresee_perturb::ChannelStatistics;
use foresee_ranks::Shares;
use foresee_report::PlaneTable;
use foresee_stats::{Matrix, row_correlation};

use crate::artifacts::{
    AttributeCorrelation, AttributeNeighbour, Channel, ChannelCorrelation, ChannelStatisticsFile,
    FacePixels, Figure4Faces, Figure4Masks, GroupMember, MaskLabel, MeanContributions, MeanMasks,
    TopChannel,
};
use crate::error::Result;
use crate::faces;
use crate::progress::{Progress, Unit};
use crate::ranks::{self, World};
use crate::run::{Inputs, Outputs, Run, Stage};
use crate::session::{MODEL, Session, Trained};
use crate::stages::jobs::Job;
use crate::stages::shared;

const FORMAT: u32 = 5;

/// Images of one batch. Statistics of batches are merged in one fixed tree.
const BATCH: usize = 16;
/// Channels shown for an attribute in Figure 4.
const SHOWN: usize = 3;
/// Channels listed for an attribute.
const LISTED: usize = 10;

pub(crate) fn stage(run: &mut Run, session: &Session) -> Result<()> {
    let config = run.manifest.config.clone();
    let inputs = Inputs {
        stage: Stage::Measure,
        format: FORMAT,
        settings: (&config.data, &config.measure),
        reads: &[MODEL],
    };
    run.stage(&inputs, |outputs| {
        let run = outputs.run();
        let trained = session.trained(run)?;
        let readout = trained.network.heads().readout_weights()?;
        let collection = Collection::new(run, session, &readout)?;
        let ranks = ranks::of(&session.device);
        let job = || Job::share(Stage::Measure, run, &session.device);
        let parts = shared::job(&ranks, job, || collection.collect(&ranks))?;
        let summary = collection.merged(&ranks, &parts)?.finish(config.measure.correlation)?;
        let of_channels = channel_statistics(&summary, &readout);
        ChannelStatisticsFile::write(run.folder(), &of_channels)?;
        outputs.add(ChannelStatisticsFile::PATH);
        write_channels(outputs, &trained.network, &summary, &readout)?;
        write_attributes(outputs, &summary)?;
        let importance = summary.importance(config.measure.importance);
        write_figure4(outputs, session, importance)
    })
}

/// What another rank collects for the stage.
pub(super) fn share(run: &Run, session: &Session) -> Result<Vec<f64>> {
    let readout = session.trained(run)?.network.heads().readout_weights()?;
    Collection::new(run, session, &readout)?.collect(&ranks::world())
}

/// What statistics are collected of.
struct Collection<'a> {
    session: &'a Session,
    trained: &'a Trained,
    data: &'a CelebA,
    /// Training faces.
    faces: Vec<usize>,
    /// Statistics of no image.
    empty: FeatureStatistics,
}

impl<'a> Collection<'a> {
    fn new(run: &'a Run, session: &'a Session, readout: &[Vec<f32>]) -> Result<Self> {
        let (data, trained) = (session.data(run)?, session.trained(run)?);
        let images = run.manifest.config.measure.images;
        let faces = faces::first(data.split(Split::Train)?, images);
        let empty = FeatureStatistics::new(&Tensor::new(readout.to_vec(), &session.device)?)?;
        Ok(Self { session, trained, data, faces, empty })
    }

    fn shares<'r>(&self, ranks: &'r World) -> Shares<'r> {
        Shares::new(ranks, self.faces.len().div_ceil(BATCH))
    }

    /// The statistics of this rank's branches of the tree, one behind the other.
    fn collect(&self, ranks: &World) -> Result<Vec<f64>> {
        let own = shared::own(&self.faces, BATCH, ranks);
        let progress = Progress::new("measuring", Unit::Images, own.len(), 0);
        let mut batches = self.data.batches_in_order(own, &self.trained.preprocessing, BATCH);
        let of_batch = |_| {
            let batch = batches.next().context("there is a batch for each share")??;
            progress.add(batch.faces.len(), String::new);
            self.of_images(&batch.images)
        };
        let branches = self.shares(ranks).fold_own(of_batch, merge)?;
        Ok(branches.iter().flat_map(FeatureStatistics::to_values).collect())
    }

    fn of_images(&self, images: &Tensor) -> Result<FeatureStatistics> {
        let network = &self.trained.network;
        let z = network.extractor().forward(&images.to_device(&self.session.device)?)?;
        let pooled = network.heads().pool(&z)?;
        let mut statistics = self.empty.clone();
        let (products, masks) = (&pooled.features, &pooled.masks);
        statistics.add(&FeatureBatch { features: &z, products, masks })?;
        Ok(statistics)
    }

    /// The statistics of all images, from what all ranks [collected](Self::collect).
    fn merged(&self, ranks: &World, parts: &[Vec<f64>]) -> Result<FeatureStatistics> {
        let shares = self.shares(ranks);
        for (rank, part) in parts.iter().enumerate() {
            let expected = shares.branches(rank) * self.empty.values_count();
            shared::check_count(rank, part.len(), expected)?;
        }
        let mut branches = vec![];
        for values in parts.iter().flat_map(|part| part.chunks(self.empty.values_count())) {
            branches.push(self.empty.with_values(values)?);
        }
        let all = shares.fold_all(branches, merge)?;
        Ok(all.unwrap_or_else(|| self.empty.clone()))
    }
}

fn merge(mut all: FeatureStatistics, others: FeatureStatistics) -> Result<FeatureStatistics> {
    all.merge(&others)?;
    Ok(all)
}

/// What takeovers of pruned channels are computed from.
fn channel_statistics(summary: &FeatureSummary, readout: &[Vec<f32>]) -> ChannelStatistics {
    let double = |row: &Vec<f32>| row.iter().map(|&w| f64::from(w)).collect();
    ChannelStatistics {
        means: summary.means.clone(),
        covariance: summary.covariance.to_rows(),
        mean_masks: summary.masks.to_rows(),
        pooled_means: summary.product_means.to_rows(),
        pooled_covariance: summary.product_covariances.iter().map(Matrix::to_rows).collect(),
        readout: readout.iter().map(double).collect(),
    }
}

fn write_channels(
    outputs: &mut Outputs,
    network: &Network,
    summary: &FeatureSummary,
    readout: &[Vec<f32>],
) -> Result<()> {
    let norms = network.extractor().filter_norms()?;
    let mut position = vec![0; norms.len()];
    let order = similar_order(&summary.correlation)?;
    order.iter().enumerate().for_each(|(at, &channel)| position[channel] = at);
    let channel = |c: usize| Channel {
        channel: c,
        mean: summary.means[c],
        deviation: summary.standard_deviations[c],
        filter_l1: norms[c].into(),
        readout_l1: readout.iter().map(|row| f64::from(row[c].abs())).sum(),
        cluster_position: position[c],
    };
    outputs.write(&(0..norms.len()).map(channel).collect::<Vec<_>>())?;
    outputs.write(&ChannelCorrelation::new(&summary.correlation))
}

fn write_attributes(outputs: &mut Outputs, summary: &FeatureSummary) -> Result<()> {
    let correlation = row_correlation(&summary.masks)?;
    outputs.write(&MeanMasks::new(&summary.masks))?;
    outputs.write(&MeanContributions::new(&summary.contributions))?;
    outputs.write(&AttributeCorrelation::new(&correlation))?;
    let each = || 0..ATTRIBUTES.len();
    outputs.write(&each().flat_map(|k| ranked_neighbours(&correlation, k)).collect::<Vec<_>>())?;
    outputs.write(&group_members(&correlation)?)?;
    outputs.write(&each().flat_map(|k| listed_channels(summary, k)).collect::<Vec<_>>())
}

fn ranked_neighbours(correlation: &Matrix, k: usize) -> Vec<AttributeNeighbour> {
    let others = neighbours(correlation, k, ATTRIBUTES.len() - 1);
    let row = |(i, (other, correlation)): (usize, (usize, f64))| AttributeNeighbour {
        attribute: ATTRIBUTES[k].into(),
        rank: i + 1,
        neighbour: ATTRIBUTES[other].into(),
        correlation,
    };
    others.into_iter().enumerate().map(row).collect()
}

fn group_members(correlation: &Matrix) -> Result<Vec<GroupMember>> {
    let groups = groups(correlation, GroupMember::ABOVE)?.into_iter().enumerate();
    let members = groups.flat_map(|(i, members)| members.into_iter().map(move |k| (i + 1, k)));
    let member =
        |(group, k): (usize, usize)| GroupMember { group, attribute: ATTRIBUTES[k].into() };
    Ok(members.map(member).collect())
}

/// The channels with the highest mean masks for an attribute.
fn listed_channels(summary: &FeatureSummary, k: usize) -> Vec<TopChannel> {
    let by_contribution = top_channels(&summary.contributions, k, summary.means.len());
    let row = |(i, c): (usize, usize)| TopChannel {
        attribute: ATTRIBUTES[k].into(),
        rank: i + 1,
        channel: c,
        mean_mask: summary.masks.get(k, c),
        mean_contribution: summary.contributions.get(k, c),
        rank_by_contribution: by_contribution.iter().take_while(|&&o| o != c).count() + 1,
    };
    top_channels(&summary.masks, k, LISTED).into_iter().enumerate().map(row).collect()
}

/// Figure 4 for the run's attributes.
fn write_figure4(outputs: &mut Outputs, session: &Session, importance: &Matrix) -> Result<()> {
    let run = outputs.run();
    let attributes = run.manifest.config.measure.attribute_indices()?;
    let (faces, masks) = masks_on_faces(run, session, importance, &attributes, &[])?;
    outputs.write(&faces)?;
    outputs.write(&masks)
}

/// Figure 4 for other attributes and faces than the run's, of a run whose statistics are measured;
/// without faces, on test faces that have the attributes.
pub(super) fn figure4(
    run: &Run,
    session: &Session,
    attributes: &[usize],
    faces: &[usize],
) -> Result<(Figure4Faces, Figure4Masks)> {
    let rows = match run.manifest.config.measure.importance {
        Importance::Mask => run.read::<MeanMasks>()?.0.rows,
        Importance::Contribution => run.read::<MeanContributions>()?.0.rows,
    };
    masks_on_faces(run, session, &Matrix::from_rows(&rows), attributes, faces)
}

/// The masks of attributes' top channels on these faces, or, if none are given, on test faces that
/// have the attributes.
fn masks_on_faces(
    run: &Run,
    session: &Session,
    importance: &Matrix,
    attributes: &[usize],
    faces: &[usize],
) -> Result<(Figure4Faces, Figure4Masks)> {
    let data = session.data(run)?;
    let Trained { network, preprocessing, .. } = session.trained(run)?;
    let faces = match faces {
        [] => {
            let count = run.manifest.config.measure.faces;
            data.faces_showing(attributes, &data.split(Split::Test)?, count)
        }
        faces => faces.to_vec(),
    };
    let batch = data
        .batches_in_order(&faces, preprocessing, faces.len().max(1))
        .next()
        .ok_or_else(|| anyhow::anyhow!("no test face to show"))??;
    let z = network.extractor().forward(&batch.images.to_device(&session.device)?)?;
    let names: Vec<&str> = faces.iter().map(|&face| data.name(face)).collect();
    let pixels = FacePixels::new(&names, &batch.images, &preprocessing.normalisation)?;

    let readout = network.heads().readout_weights()?;
    let mut masks = PlaneTable::new(preprocessing.image_size);
    for &k in attributes {
        let all = network.heads().masks(&z, &[k])?.squeeze(1)?;
        for (i, channel) in top_channels(importance, k, SHOWN).into_iter().enumerate() {
            for (at, name) in names.iter().enumerate() {
                let mask = all.get(at)?.get(channel)?.flatten_all()?.to_vec1::<f32>()?;
                let label = MaskLabel {
                    face: (*name).into(),
                    attribute: ATTRIBUTES[k].into(),
                    label: data.labels(faces[at]).has(k).into(),
                    rank: i + 1,
                    channel,
                    weight: readout[k][channel].into(),
                };
                masks.push(label, &mask);
            }
        }
    }
    Ok((Figure4Faces(pixels), Figure4Masks(masks)))
}
