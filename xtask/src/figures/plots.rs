//! Figures 1 to 8 and the course of the training.

use anyhow::Result;
use foresee_celeba::display_name;
use foresee_report::frame;
use foresee_report::{
    Architecture, AttributionMethod, AttributionRow, Band, CellGrid, Curve, Face, FaceRow, Figure,
    HeatMap, Level, Panel, architecture, cell_grids, curves, face_attributions, face_masks,
    heat_maps,
};

use super::{images, some_of, source};
use crate::attribute;
use crate::error::input;
use crate::run::Run;

const PRUNING: &str = "data/channel_pruning.csv";
const TRANSFORMATION: &str = "data/mask_transformation.csv";

pub fn all(run: &Run, network: &Architecture) -> Result<Vec<Figure>> {
    let mut figures = vec![
        architecture("fig2_architecture", network, &source(run, ""))?,
        training(run)?,
        attention_masks(run)?,
        mean_masks(run)?,
        channel_correlation(run)?,
        channel_pruning(run)?,
        mask_transformation(run)?,
    ];
    if run.manifest.config.prune.takeover {
        figures.push(pruning_takeover(run)?);
    }
    Ok(figures)
}

/// What the statistics of the stage `measure` were taken over.
fn training_faces(run: &Run) -> String {
    format!(
        "{} training faces",
        some_of(run.manifest.data.train, run.manifest.config.measure.images)
    )
}

fn curve(name: &str, points: Vec<(f64, f64)>, colour: usize, dash: usize) -> Curve {
    Curve { name: name.into(), points, spread: vec![], band: Band::Filled, colour, dash }
}

fn training(run: &Run) -> Result<Figure> {
    let steps = run.read_csv("data/training.csv")?;
    let mean = |name: &str| -> Result<Vec<(f64, f64)>> {
        let values = frame::numbers(&steps, name)?;
        // At most some 40 points, each the mean of as many steps.
        let window = values.len().div_ceil(40).max(1);
        let chunks = values.chunks(window).enumerate();
        Ok(chunks
            .map(|(i, chunk)| {
                (
                    (i * window + chunk.len() / 2) as f64,
                    chunk.iter().sum::<f64>() / chunk.len() as f64,
                )
            })
            .collect())
    };
    let losses = vec![
        curve("L, Eq. 10", mean("loss")?, 6, 0),
        curve("classification L_b, Eq. 8", mean("classification_loss")?, 0, 0),
        curve("sparsity λ‖M‖₁", mean("sparsity_loss")?, 1, 1),
    ];
    let percent = |points: Vec<(f64, f64)>| {
        points.into_iter().map(|(x, y)| (x, 100. * y)).collect::<Vec<_>>()
    };
    let mut accuracy = vec![curve("training batches", percent(mean("batch_accuracy")?), 2, 0)];
    let validation = run.read_csv("data/validation.csv")?;
    if validation.height() > 0 {
        let per_epoch = steps.height() as f64 / run.manifest.config.train.epochs as f64;
        let (epochs, values) =
            (frame::numbers(&validation, "epochs_done")?, frame::numbers(&validation, "accuracy")?);
        let points = epochs.iter().zip(values).map(|(e, v)| (e * per_epoch, 100. * v)).collect();
        accuracy.push(curve("validation faces", points, 3, 1));
    }
    let panel = |y: &str, curves| Panel {
        title: String::new(),
        x: "training step".into(),
        y: y.into(),
        curves,
        levels: vec![],
    };
    Ok(curves(
        "training",
        &[panel("loss", losses), panel("accuracy [%]", accuracy)],
        &source(run, "batches and validation faces"),
    )?)
}

fn attention_masks(run: &Run) -> Result<Figure> {
    let (order, faces) = faces(run, "data/figure4_faces.csv")?;
    let size = run.manifest.config.data.image_size;
    let masks = run.read_csv("data/figure4_masks.csv")?;
    let (of_face, attribute, channel) = (
        frame::texts(&masks, "face")?,
        frame::texts(&masks, "attribute")?,
        frame::numbers(&masks, "channel")?,
    );
    let values = frame::rows(&masks, 5)?;
    let mut rows: Vec<FaceRow> = vec![];
    for (i, mask) in values.chunks_exact(size).enumerate() {
        let at = i * size;
        let name = display_name(&attribute[at]);
        if rows.last().is_none_or(|row| row.name != name) {
            rows.push(FaceRow { name, masks: vec![vec![]; order.len()] });
        }
        let face = order.iter().position(|name| *name == of_face[at]);
        if let (Some(face), Some(row)) = (face, rows.last_mut()) {
            row.masks[face].push((channel[at] as usize, mask.concat()));
        }
    }
    Ok(face_masks("fig4_attention_masks", &faces, &rows, &source(run, "these test faces"))?)
}

/// Names and pixels of faces.
fn faces(run: &Run, file: &str) -> Result<(Vec<String>, Vec<Face>)> {
    let pixels = run.read_csv(file)?;
    let size = run.manifest.config.data.image_size;
    let mut order = frame::texts(&pixels, "face")?;
    order.dedup();
    let face = |colours: &[Vec<f64>]| {
        let plane = |c: usize| colours[c * size..(c + 1) * size].iter().flatten();
        Face {
            size,
            rgb: plane(0).zip(plane(1)).zip(plane(2)).map(|((r, g), b)| [*r, *g, *b]).collect(),
        }
    };
    Ok((order, frame::rows(&pixels, 3)?.chunks_exact(3 * size).map(face).collect()))
}

/// Attribution methods × attributes, from the files that hold the faces' pixels and the maps.
pub fn attributions(run: &Run, name: &str, [pixels, maps]: [&str; 2]) -> Result<Figure> {
    let (names, faces) = faces(run, pixels)?;
    let table = run.read_csv(maps)?;
    let text = |name: &str| {
        let older = |_| {
            input(format!(
                "{maps} is of an older version; `cargo xtask attribute --run {}` makes it anew",
                run.folder.display()
            ))
        };
        frame::texts(&table, name).map_err(older)
    };
    let (attribute, of_face, split, has, method) =
        (text("attribute")?, text("face")?, text("split")?, text("has")?, text("method")?);
    let (probability, greatest) =
        (frame::numbers(&table, "probability")?, frame::numbers(&table, "greatest")?);
    let size = run.manifest.config.data.image_size;
    let mut methods: Vec<String> = vec![];
    let mut rows: Vec<(usize, AttributionRow)> = vec![];
    for (i, map) in frame::rows(&table, 8)?.chunks_exact(size).enumerate() {
        let at = i * size;
        let key = |at: usize| (&attribute[at], &of_face[at]);
        if rows.last().is_none_or(|(first, _)| key(*first) != key(at)) {
            let place = names
                .iter()
                .position(|name| *name == of_face[at])
                .ok_or_else(|| anyhow::anyhow!("{pixels} has no face {}", of_face[at]))?;
            let absent = if has[at] == "no" { "\n(it has it not)" } else { "" };
            let name = format!(
                "{}\np\u{a0}=\u{a0}{:.2}\n{}{absent}",
                display_name(&attribute[at]),
                probability[at],
                of_face[at]
            );
            rows.push((
                at,
                AttributionRow { name, face: faces[place].clone(), region: None, maps: vec![] },
            ));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        if method[at] == attribute::REGION {
            row.region = Some(map.concat().into_iter().map(|inside| inside > 0.5).collect());
            continue;
        }
        if !methods.contains(&method[at]) {
            methods.push(method[at].clone());
        }
        row.maps.push(map.concat().into_iter().map(|share| share * greatest[at]).collect());
    }
    let methods: Vec<AttributionMethod> = methods
        .iter()
        .map(|name| AttributionMethod {
            name: attribute::title(name),
            reading: attribute::reading(name),
        })
        .collect();
    let mut splits: Vec<&str> = rows.iter().map(|(at, _)| &split[*at][..]).collect();
    splits.sort_unstable();
    splits.dedup();
    let rows: Vec<AttributionRow> = rows.into_iter().map(|(_, row)| row).collect();
    Ok(face_attributions(
        name,
        &methods,
        &rows,
        &source(run, &format!("the {} faces named", splits.join(" and "))),
    )?)
}

fn mean_masks(run: &Run) -> Result<Figure> {
    let table = run.read_csv("data/mean_masks.csv")?;
    let grids: Vec<CellGrid> = frame::texts(&table, "attribute")?
        .iter()
        .zip(frame::rows(&table, 1)?)
        .map(|(name, values)| CellGrid { title: display_name(name), values })
        .collect();
    Ok(cell_grids(
        "fig5_mean_masks",
        &grids,
        "mean of the mask",
        &source(run, &training_faces(run)),
    )?)
}

fn channel_correlation(run: &Run) -> Result<Figure> {
    let rows = frame::rows(&run.read_csv("data/channel_correlation.csv")?, 1)?;
    let position = frame::numbers(&run.read_csv("data/channels.csv")?, "cluster_position")?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| position[a].total_cmp(&position[b]));
    let clustered = order.iter().map(|&i| order.iter().map(|&j| rows[i][j]).collect()).collect();
    let maps = [
        HeatMap { title: "by feature id".into(), rows, axis: "channel (feature id)".into() },
        HeatMap {
            title: "clustered (average linkage)".into(),
            rows: clustered,
            axis: "channel, similar ones side by side".into(),
        },
    ];
    Ok(heat_maps(
        "fig6_channel_correlation",
        &maps,
        "correlation ρ",
        &source(run, &training_faces(run)),
    )?)
}

/// `data/channel_pruning.csv`: accuracies in percent.
struct Pruning {
    rows: Vec<(String, String, f64, f64)>,
    counts: Vec<f64>,
    majority: f64,
}

impl Pruning {
    fn read(run: &Run) -> Result<Self> {
        let table = run.read_csv(PRUNING)?;
        let (rules, takeovers) = (frame::texts(&table, "rule")?, frame::texts(&table, "takeover")?);
        let (pruned, accuracy) =
            (frame::numbers(&table, "pruned")?, frame::numbers(&table, "accuracy")?);
        let mut counts = pruned.clone();
        counts.sort_by(f64::total_cmp);
        counts.dedup();
        let rows = rules
            .into_iter()
            .zip(takeovers)
            .zip(pruned.into_iter().zip(accuracy))
            .map(|((r, t), (p, a))| (r, t, p, 100. * a))
            .collect();
        // The same for every row.
        let majority = 100.
            * frame::numbers(&table, "majority_accuracy")?.first().copied().unwrap_or(f64::NAN);
        Ok(Self { rows, counts, majority })
    }

    fn of(&self, rule: &str, takeover: &str, count: f64) -> Vec<f64> {
        self.rows
            .iter()
            .filter(|row| row.0 == rule && row.1 == takeover && row.2 == count)
            .map(|row| row.3)
            .collect()
    }

    /// The mean over seeds, and for random orders their range.
    fn line(
        &self,
        name: &str,
        (rule, takeover): (&str, &str),
        colour: usize,
        dash: usize,
    ) -> Curve {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let points = self
            .counts
            .iter()
            .map(|&count| (count, mean(self.of(rule, takeover, count))))
            .collect();
        let mut line = curve(name, points, colour, dash);
        if rule == "random" {
            line.name = format!(
                "{name}, mean and range ({} orders)",
                self.of(rule, takeover, self.counts[0]).len()
            );
            let range = |values: Vec<f64>| {
                values
                    .into_iter()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
            };
            line.spread =
                self.counts.iter().map(|&count| range(self.of(rule, takeover, count))).collect();
        }
        line
    }

    fn figure(&self, run: &Run, name: &str, curves: Vec<Curve>) -> Result<Figure> {
        let levels = vec![Level { name: "always the majority".into(), y: self.majority }];
        let panel = Panel {
            title: String::new(),
            x: "pruned channels".into(),
            y: "accuracy [%]".into(),
            curves,
            levels,
        };
        Ok(self::curves(name, &[panel], &source(run, &images(run, PRUNING)?))?)
    }
}

fn channel_pruning(run: &Run) -> Result<Figure> {
    let pruning = Pruning::read(run)?;
    let lines = vec![
        pruning.line("random", ("random", "nothing"), 6, 0),
        pruning.line("semantic, lower norm goes", ("lower", "nothing"), 0, 0),
        pruning.line("semantic, higher norm goes", ("higher", "nothing"), 1, 1),
        pruning.line("lowest filter norm first", ("l1", "nothing"), 2, 2),
    ];
    pruning.figure(run, "fig7_channel_pruning", lines)
}

/// Beyond the paper: kept channels take over.
fn pruning_takeover(run: &Run) -> Result<Figure> {
    let pruning = Pruning::read(run)?;
    let lines = vec![
        pruning.line("random, nothing takes over", ("random", "nothing"), 6, 0),
        pruning.line("semantic (lower), nothing takes over", ("lower", "nothing"), 0, 2),
        pruning.line("semantic (lower), its partner takes over", ("lower", "partner"), 0, 1),
        pruning.line(
            "semantic (lower), all kept take over (least squares)",
            ("lower", "least_squares"),
            0,
            0,
        ),
        pruning.line(
            "lasso selection, least squares (after He et al., 2017)",
            ("lasso", "least_squares"),
            1,
            1,
        ),
        pruning.line("random, all kept take over", ("random", "least_squares"), 2, 0),
    ];
    pruning.figure(run, "channel_pruning_takeover", lines)
}

fn mask_transformation(run: &Run) -> Result<Figure> {
    let table = run.read_csv(TRANSFORMATION)?;
    let column = |name: &str| frame::numbers(&table, name);
    let (sigma, n, beta) = (column("sigma")?, column("n")?, column("beta")?);
    let (accuracy, gain, error) =
        (column("accuracy")?, column("gain")?, column("gain_standard_error")?);
    let mut settings: Vec<(f64, f64)> = vec![];
    (0..sigma.len()).for_each(|i| {
        if !settings.contains(&(n[i], beta[i])) {
            settings.push((n[i], beta[i]));
        }
    });
    let distinct = |values: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = settings.iter().map(values).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let (all_n, all_beta) = (distinct(|s| s.0), distinct(|s| s.1));
    let place = |all: &[f64], v: f64| all.iter().position(|&o| o == v).unwrap_or(0);
    let lines = |y: &[f64], spread: bool| -> Vec<Curve> {
        let line = |&(at_n, at_beta): &(f64, f64)| {
            let rows: Vec<usize> =
                (0..sigma.len()).filter(|&i| n[i] == at_n && beta[i] == at_beta).collect();
            let name = match (at_n, at_beta) {
                (1., 0.) => "n = 1, β = 0 (untransformed)".into(),
                _ => format!("n = {at_n}, β = {at_beta}"),
            };
            let points = rows.iter().map(|&i| (sigma[i], 100. * y[i])).collect();
            let mut line =
                curve(&name, points, place(&all_n, at_n), place(&all_beta, at_beta).min(2));
            if spread {
                line.spread = rows
                    .iter()
                    .map(|&i| (100. * (y[i] - error[i]), 100. * (y[i] + error[i])))
                    .collect();
                line.band = Band::Bars;
            }
            line
        };
        settings.iter().map(line).collect()
    };
    let x = "σ of the Gaussian noise (pixels in [0, 1])";
    let panels = [
        Panel {
            title: "accuracy".into(),
            x: x.into(),
            y: "accuracy [%]".into(),
            curves: lines(&accuracy, false),
            levels: vec![],
        },
        Panel {
            title: "gain over the untransformed masks (± standard error)".into(),
            x: x.into(),
            y: "gain [percentage points]".into(),
            curves: lines(&gain, true),
            levels: vec![],
        },
    ];
    Ok(curves("fig8_mask_transformation", &panels, &source(run, &images(run, TRANSFORMATION)?))?)
}
