//! Stage `measure`: statistics of features and masks over training images (Figures 4 to 6, Table
//! 4).

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_analysis::{
    ChannelCorrelation, Matrix, MeanMasks, groups, neighbours, row_correlation, similar_order,
    top_channels,
};
use foresee_celeba::{ATTRIBUTES, CelebA, Normalisation, Preprocessing, Split, attribute_index};
use foresee_model::Network;
use foresee_perturb::ChannelStatistics;
use foresee_report::frame::{self, DataFrame, df};

use crate::config::{Importance, Samples};
use crate::faces;
use crate::progress::Progress;
use crate::run::Run;
use crate::statistics::{self, STATISTICS};
use crate::train;

/// Channels shown for an attribute in Figure 4.
const TOP: usize = 3;
/// Attributes whose mean masks correlate by more than this on average make a group.
pub const GROUP_ABOVE: f64 = 0.8;

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    run.stage("measure", &(&config.data, &config.measure), &["model.safetensors"], |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let (network, card) = train::load(&run.folder, device)?;
        let train = faces::limited(data.split(Split::Train)?, config.measure.images);
        let statistics = Statistics::stream(
            &network,
            &data,
            &train,
            &faces::preprocessing(&card),
            config.measure.correlation,
            device,
        )?;
        statistics::write(run, &statistics.of_channels(&network)?)?;
        let mut made = vec![STATISTICS.to_owned()];
        made.extend(write_channels(run, &network, &statistics)?);
        made.extend(write_attributes(run, &statistics)?);
        let importance = match config.measure.importance {
            Importance::Mask => &statistics.masks,
            Importance::Contribution => &statistics.contributions,
        };
        made.extend(write_figure4(
            run,
            &network,
            &faces::preprocessing(&card),
            &data,
            importance,
            device,
        )?);
        Ok(made)
    })
}

struct Statistics {
    /// Over every position of every image: what the masks' convolution is given.
    channels: ChannelCorrelation,
    /// Figure 6, over the samples that the settings name.
    correlation: Matrix,
    /// Figure 5: mean masks [K, C].
    masks: Matrix,
    /// Mean of |w_kc · p_kc| [K, C].
    contributions: Matrix,
    /// Of the pooled products p_k `[C]` of each attribute, over images.
    pooled: Vec<ChannelCorrelation>,
}

impl Statistics {
    fn stream(
        network: &Network,
        data: &CelebA,
        faces: &[usize],
        images: &Preprocessing,
        samples: Samples,
        device: &Device,
    ) -> Result<Self> {
        let (k, c) = (network.config().attributes, network.config().channels);
        let (mut channels, mut means) = (ChannelCorrelation::new(c), ChannelCorrelation::new(c));
        let (mut masks, mut contributions) = (MeanMasks::new(k, c), MeanMasks::new(k, c));
        let mut products = vec![ChannelCorrelation::new(c); k];
        let weights = Tensor::new(network.heads().readout_weights()?, device)?;
        let mut progress = Progress::new("measuring", faces.len(), 0);
        for batch in faces::in_order(data, faces, images, 16) {
            let batch = batch?;
            let z = network.extractor().forward(&batch.images.to_device(device)?)?;
            channels.add(&z)?;
            means.add(&z.mean_keepdim((2, 3))?)?;
            let pooled = network.heads().pool(&z)?;
            masks.add(&pooled.masks)?;
            for (k, products) in products.iter_mut().enumerate() {
                products.add(&pooled.features.narrow(1, k, 1)?.transpose(1, 2)?.unsqueeze(3)?)?;
            }
            contributions.add(&pooled.features.broadcast_mul(&weights)?.abs()?)?;
            progress.add(batch.faces.len(), String::new);
        }
        let correlation = match samples {
            Samples::Positions => channels.finish()?,
            Samples::Pooled => means.finish()?,
        };
        Ok(Self {
            correlation,
            masks: masks.finish()?,
            contributions: contributions.finish()?,
            channels,
            pooled: products,
        })
    }

    /// What a stand-in for pruned channels is computed from.
    fn of_channels(&self, network: &Network) -> Result<ChannelStatistics> {
        let readout = network.heads().readout_weights()?;
        Ok(ChannelStatistics {
            means: self.channels.means().to_vec(),
            covariance: self.channels.covariance().to_rows(),
            mean_masks: self.masks.to_rows(),
            pooled_means: self.pooled.iter().map(|p| p.means().to_vec()).collect(),
            pooled_covariance: self.pooled.iter().map(|p| p.covariance().to_rows()).collect(),
            readout: readout
                .into_iter()
                .map(|row| row.into_iter().map(f64::from).collect())
                .collect(),
        })
    }
}

fn write_channels(run: &Run, network: &Network, statistics: &Statistics) -> Result<Vec<String>> {
    let c = network.config().channels;
    let order = similar_order(&statistics.correlation);
    let mut position = vec![0i64; c];
    order.iter().enumerate().for_each(|(at, &channel)| position[channel] = at as i64);
    let readout = network.heads().readout_weights()?;
    let channels = df!(
        "channel" => (0..c as i64).collect::<Vec<_>>(),
        "mean" => statistics.channels.means(),
        "deviation" => statistics.channels.deviations(),
        "filter_l1" => network.extractor().filter_norms()?.into_iter().map(f64::from).collect::<Vec<_>>(),
        "readout_l1" => (0..c).map(|j| readout.iter().map(|row| f64::from(row[j].abs())).sum::<f64>()).collect::<Vec<_>>(),
        "cluster_position" => position,
    )?;
    run.write_csv("data/channels.csv", channels)?;
    let names: Vec<String> = (0..c).map(|j| format!("c{j}")).collect();
    run.write_csv(
        "data/channel_correlation.csv",
        matrix("channel", &names, &names, &statistics.correlation)?,
    )?;
    Ok(["data/channels.csv", "data/channel_correlation.csv"].map(String::from).to_vec())
}

fn write_attributes(run: &Run, statistics: &Statistics) -> Result<Vec<String>> {
    let attributes = ATTRIBUTES.map(String::from);
    let channels: Vec<String> = (0..statistics.masks.columns()).map(|j| format!("c{j}")).collect();
    let correlation = row_correlation(&statistics.masks)?;
    run.write_csv(
        "data/mean_masks.csv",
        matrix("attribute", &attributes, &channels, &statistics.masks)?,
    )?;
    run.write_csv(
        "data/mean_contributions.csv",
        matrix("attribute", &attributes, &channels, &statistics.contributions)?,
    )?;
    run.write_csv(
        "data/attribute_correlation.csv",
        matrix("attribute", &attributes, &attributes, &correlation)?,
    )?;

    let near: Vec<(usize, usize, f64)> = (0..ATTRIBUTES.len())
        .flat_map(|k| {
            neighbours(&correlation, k, ATTRIBUTES.len() - 1)
                .into_iter()
                .map(move |(other, rho)| (k, other, rho))
        })
        .collect();
    let near = df!(
        "attribute" => near.iter().map(|n| ATTRIBUTES[n.0]).collect::<Vec<_>>(),
        "rank" => (0..near.len()).map(|i| (i % (ATTRIBUTES.len() - 1)) as i64 + 1).collect::<Vec<_>>(),
        "neighbour" => near.iter().map(|n| ATTRIBUTES[n.1]).collect::<Vec<_>>(),
        "correlation" => near.iter().map(|n| n.2).collect::<Vec<_>>(),
    )?;
    run.write_csv("data/attribute_neighbours.csv", near)?;

    let members: Vec<(i64, &str)> = groups(&correlation, GROUP_ABOVE)
        .into_iter()
        .enumerate()
        .flat_map(|(group, members)| {
            members.into_iter().map(move |k| (group as i64 + 1, ATTRIBUTES[k]))
        })
        .collect();
    let members = df!(
        "group" => members.iter().map(|m| m.0).collect::<Vec<_>>(),
        "attribute" => members.iter().map(|m| m.1).collect::<Vec<_>>(),
    )?;
    run.write_csv("data/attribute_groups.csv", members)?;

    let top: Vec<(usize, usize)> = (0..ATTRIBUTES.len())
        .flat_map(|k| top_channels(&statistics.masks, k, 10).into_iter().map(move |c| (k, c)))
        .collect();
    let by_contribution: Vec<Vec<usize>> = (0..ATTRIBUTES.len())
        .map(|k| top_channels(&statistics.contributions, k, channels.len()))
        .collect();
    let top = df!(
        "attribute" => top.iter().map(|t| ATTRIBUTES[t.0]).collect::<Vec<_>>(),
        "rank" => (0..top.len()).map(|i| (i % (top.len() / ATTRIBUTES.len())) as i64 + 1).collect::<Vec<_>>(),
        "channel" => top.iter().map(|t| t.1 as i64).collect::<Vec<_>>(),
        "mean_mask" => top.iter().map(|&(k, c)| statistics.masks.get(k, c)).collect::<Vec<_>>(),
        "mean_contribution" => top.iter().map(|&(k, c)| statistics.contributions.get(k, c)).collect::<Vec<_>>(),
        "rank_by_contribution" =>
            top.iter().map(|&(k, c)| by_contribution[k].iter().position(|&other| other == c).map_or(-1, |p| p as i64 + 1)).collect::<Vec<_>>(),
    )?;
    run.write_csv("data/top_channels.csv", top)?;
    let made = [
        "mean_masks",
        "mean_contributions",
        "attribute_correlation",
        "attribute_neighbours",
        "attribute_groups",
        "top_channels",
    ];
    Ok(made.map(|name| format!("data/{name}.csv")).to_vec())
}

/// A matrix with named rows and columns.
fn matrix(corner: &str, rows: &[String], columns: &[String], values: &Matrix) -> Result<DataFrame> {
    let mut frame = df!(corner => rows)?;
    for (j, name) in columns.iter().enumerate() {
        let column: Vec<f64> = (0..values.rows()).map(|i| values.get(i, j)).collect();
        frame.with_column(frame::column(name, column))?;
    }
    Ok(frame)
}

/// Figure 4: faces that have an attribute, and the masks of its top channels on them.
fn write_figure4(
    run: &Run,
    network: &Network,
    images: &Preprocessing,
    data: &CelebA,
    importance: &Matrix,
    device: &Device,
) -> Result<Vec<String>> {
    let config = &run.manifest.config;
    let size = images.image_size;
    let test = data.split(Split::Test)?;
    let faces: Vec<usize> =
        shown_faces(data, &test, &config.measure.attributes, config.measure.faces)?;
    let batch = faces::in_order(data, &faces, images, faces.len().max(1))
        .next()
        .ok_or_else(|| anyhow::anyhow!("no test face to show"))??;
    let z = network.extractor().forward(&batch.images.to_device(device)?)?;

    write_faces(
        run,
        data,
        &faces,
        (&batch.images, &images.normalisation),
        "data/figure4_faces.csv",
    )?;
    let mut masks = Grid::new(size, &["face", "attribute", "rank", "channel"]);
    for name in &config.measure.attributes {
        let k = attribute_index(name)?;
        let all = network.heads().masks(&z, &[k])?.squeeze(1)?;
        for (rank, channel) in top_channels(importance, k, TOP).into_iter().enumerate() {
            for (i, &face) in faces.iter().enumerate() {
                let mask = all.get(i)?.get(channel)?.flatten_all()?.to_vec1::<f32>()?;
                masks.push(
                    &[
                        data.name(face),
                        ATTRIBUTES[k],
                        &(rank + 1).to_string(),
                        &channel.to_string(),
                    ],
                    &mask,
                );
            }
        }
    }
    masks.write(run, "data/figure4_masks.csv")?;
    Ok(vec!["data/figure4_faces.csv".into(), "data/figure4_masks.csv".into()])
}

/// The pixels in [0, 1] that images [B, 3, H, W] of a run's faces show, which are normalised in
/// this way.
pub fn write_faces(
    run: &Run,
    data: &CelebA,
    faces: &[usize],
    (images, normalisation): (&Tensor, &Normalisation),
    file: &str,
) -> Result<()> {
    let size = images.dim(3)?;
    let mut pixels = Grid::new(size, &["face", "colour"]);
    for (i, image) in images.flatten_from(1)?.to_vec2::<f32>()?.into_iter().enumerate() {
        for (c, plane) in image.chunks_exact(size * size).enumerate() {
            let plane: Vec<f32> = plane
                .iter()
                .map(|v| v * normalisation.deviation[c] + normalisation.mean[c])
                .collect();
            pixels.push(&[data.name(faces[i]), ["red", "green", "blue"][c]], &plane);
        }
    }
    pixels.write(run, file)
}

/// The test faces that have most of the attributes to be shown, each adding as many that the ones
/// before lack as possible.
pub fn shown_faces(
    data: &CelebA,
    test: &[usize],
    attributes: &[String],
    count: usize,
) -> Result<Vec<usize>> {
    let wanted =
        attributes.iter().map(|name| Ok(attribute_index(name)?)).collect::<Result<Vec<_>>>()?;
    let mut chosen: Vec<usize> = vec![];
    while chosen.len() < count.min(test.len()) {
        let covered = |k: usize| chosen.iter().filter(|&&face| data.labels(face).has(k)).count();
        let gain = |face: usize| {
            wanted
                .iter()
                .filter(|&&k| data.labels(face).has(k))
                .map(|&k| 100 / (1 + 9 * covered(k)))
                .sum::<usize>()
        };
        let best = test
            .iter()
            .copied()
            .filter(|face| !chosen.contains(face))
            .rev()
            .max_by_key(|&face| gain(face));
        chosen.extend(best);
    }
    Ok(chosen)
}

/// Planes of pixels as a table: some labels, y, then a column for each x.
pub struct Grid {
    size: usize,
    labels: Vec<(String, Vec<String>)>,
    y: Vec<i64>,
    columns: Vec<Vec<f64>>,
}

impl Grid {
    pub fn new(size: usize, labels: &[&str]) -> Self {
        Self {
            size,
            labels: labels.iter().map(|name| ((*name).to_owned(), vec![])).collect(),
            y: vec![],
            columns: vec![vec![]; size],
        }
    }

    pub fn push(&mut self, labels: &[&str], plane: &[f32]) {
        for (y, row) in plane.chunks_exact(self.size).enumerate() {
            self.labels
                .iter_mut()
                .zip(labels)
                .for_each(|((_, column), label)| column.push((*label).to_owned()));
            self.y.push(y as i64);
            self.columns
                .iter_mut()
                .zip(row)
                .for_each(|(column, &v)| column.push((f64::from(v) * 1e4).round() / 1e4));
        }
    }

    pub fn write(self, run: &Run, file: &str) -> Result<()> {
        let mut frame = df!("y" => self.y)?;
        for (name, column) in self.labels {
            frame.with_column(frame::column(&name, column))?;
        }
        for (x, column) in self.columns.into_iter().enumerate() {
            frame.with_column(frame::column(&format!("x{x}"), column))?;
        }
        run.write_csv(file, frame)
    }
}
