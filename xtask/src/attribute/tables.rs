//! Tables of the stage, from its files alone.

use anyhow::Result;
use foresee_celeba::display_name;
use foresee_report::Table;
use foresee_report::frame::{self, DataFrame};

use super::{CASCADE, CHECKS, DEPENDENCE, PERMUTATION, SCORES, SURROGATE, has};
use crate::figures::source;
use crate::run::Run;

/// Those that the run's settings ask for.
pub fn all(run: &Run) -> Result<Vec<Table>> {
    let mut tables = vec![];
    if has(run, SCORES) {
        tables.push(scores(run)?);
    }
    if has(run, CHECKS) {
        tables.push(checks(run)?);
    }
    if has(run, PERMUTATION) {
        tables.push(permutation(run)?);
    }
    if has(run, SURROGATE) {
        tables.push(surrogate(run)?);
    }
    Ok(tables)
}

/// A column's finite values in the lines of one method.
struct ByMethod {
    methods: Vec<String>,
    table: DataFrame,
}

impl ByMethod {
    fn read(run: &Run, file: &str) -> Result<Self> {
        let table = run.read_csv(file)?;
        Ok(Self { methods: frame::texts(&table, "method")?, table })
    }

    /// In the order of the file.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        self.methods.iter().for_each(|name| {
            if !names.contains(name) {
                names.push(name.clone());
            }
        });
        names
    }

    fn values(&self, name: &str, column: &str) -> Result<Vec<f64>> {
        let values = frame::numbers(&self.table, column)?;
        Ok(values
            .iter()
            .zip(&self.methods)
            .filter(|(_, method)| *method == name)
            .map(|(v, _)| *v)
            .collect())
    }

    /// Mean ± standard error, with the number of values if it is not that of the lines.
    fn mean(&self, name: &str, column: &str) -> Result<String> {
        Ok(with_number(&self.values(name, column)?))
    }
}

/// How good each method is: means over faces and attributes, with their standard errors.
fn scores(run: &Run) -> Result<Table> {
    let scores = ByMethod::read(run, SCORES)?;
    let mut table = Table::new(
        "attribution_scores",
        "Attribution methods and the paper's masks: area under the logit while the pixels of greatest attribution are deleted (lower is better) and inserted (higher is better), and on drawn faces how often the greatest value lies in the attribute's region and which share of the positive values does. Means ± standard errors; n where not every pair has a value.",
        &[
            "method",
            "deletion",
            "insertion",
            "pointing: hit",
            "pointing: energy",
            "region's area",
            "face-attribute pairs",
        ],
    );
    for name in scores.names() {
        let mut row = vec![name.clone()];
        for column in ["deletion", "insertion", "pointing_hit", "pointing_energy", "region_area"] {
            row.push(scores.mean(&name, column)?);
        }
        row.push(scores.values(&name, "deletion")?.len().to_string());
        table.rows.push(row);
    }
    table.notes.push(
        "Deleted pixels become grey, the middle of the range, which is what integrated gradients and LIME start from, too; pixels are inserted into the same face out of focus. `chance` is random numbers.".into(),
    );
    let fits = scores.mean("lime", "local_r2")?;
    table
        .notes
        .push(format!("LIME's linear model around a face explains a share of {fits} of the variance of the logit of the copies it was fitted to."));
    Ok(table.measured_on(&source(run, "test faces with the attribute")))
}

fn checks(run: &Run) -> Result<Table> {
    let (checks, cascade) = (ByMethod::read(run, CHECKS)?, ByMethod::read(run, CASCADE)?);
    let (steps, layers) =
        (frame::numbers(&cascade.table, "step")?, frame::texts(&cascade.table, "also_random")?);
    let last = steps.iter().copied().fold(0., f64::max) as usize;
    let mut header: Vec<String> =
        ["method", "infidelity, share", "max-sensitivity"].map(String::from).to_vec();
    let names: Vec<&String> = (1..=last)
        .filter_map(|step| steps.iter().position(|s| *s == step as f64).map(|at| &layers[at]))
        .collect();
    header.extend(names.iter().enumerate().map(|(i, name)| {
        if i == 0 { format!("ρ, random: {name}") } else { format!("and {name}") }
    }));
    header.push("face-attribute pairs".into());
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(
        "attribution_checks",
        "Checks of attribution methods: the share that a map leaves unexplained of what taking squares of the face away does to the logit (infidelity over that of a map of zeros, the map being scaled by the number from 0 that fits best; 0 is best, 1 no better than zeros, and what a map without knowledge gets is the line `chance`), the greatest relative change of the map when no pixel changes by more than 0.02 (max-sensitivity; 0 is steady), and Spearman's ρ of |map| with itself after weights are drawn anew from the output back (near 1: the method does not look at those weights). Means ± standard errors.",
        &header,
    );
    for name in checks.names() {
        let share = checks
            .values(&name, "infidelity")?
            .into_iter()
            .zip(checks.values(&name, "infidelity_of_zeros")?)
            .map(|(i, zeros)| i / zeros);
        let mut row = vec![
            name.clone(),
            with_number(&share.collect::<Vec<_>>()),
            checks.mean(&name, "max_sensitivity")?,
        ];
        let (of_step, values) =
            (cascade.values(&name, "step")?, cascade.values(&name, "rank_correlation")?);
        for step in 1..=last {
            row.push(with_number(
                &of_step
                    .iter()
                    .zip(&values)
                    .filter(|(s, _)| **s == step as f64)
                    .map(|(_, v)| *v)
                    .collect::<Vec<_>>(),
            ));
        }
        row.push(checks.values(&name, "infidelity")?.len().to_string());
        table.rows.push(row);
    }
    table.notes.push("Permutation importance has one map for all faces, and is not computed again for small changes and new weights. The random numbers of `chance` are others for each face and the same for every network, hence ρ = 1.".into());
    Ok(table.measured_on(&source(run, "test faces with the attribute")))
}

/// The line with the greatest value among those that are chosen.
fn greatest(values: &[f64], chosen: impl Fn(usize) -> bool) -> Option<usize> {
    (0..values.len()).filter(|&i| chosen(i)).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

fn permutation(run: &Run) -> Result<Table> {
    let (parts, dependence) = (run.read_csv(PERMUTATION)?, run.read_csv(DEPENDENCE)?);
    let (kind, attribute, part) = (
        frame::texts(&parts, "kind")?,
        frame::texts(&parts, "attribute")?,
        frame::texts(&parts, "part")?,
    );
    let column = |name: &str| frame::numbers(&parts, name);
    let (loss, increase, deviation) =
        (column("log_loss")?, column("increase")?, column("deviation")?);
    let of_curve = |name: &str| frame::numbers(&dependence, name);
    let (curve_of, value, mean, interaction) = (
        frame::texts(&dependence, "attribute")?,
        of_curve("value")?,
        of_curve("mean_logit")?,
        of_curve("deviation_of_change")?,
    );
    let mut table = Table::new(
        "attribution_permutation",
        "Permutation importance: by how much the log loss grows when a cell of the image or a channel of the features is exchanged among faces (± standard deviation over the permutations), the most important of each; the same of another attribute's label as input of a model of this attribute's label by all others (linear, fitted to training labels; its own log loss beside it); and partial dependence of the logit on that channel, set to its least and greatest value everywhere (± standard deviation of the change over faces: how much it depends on the rest).",
        &[
            "attribute",
            "log loss",
            "cell (row, column)",
            "increase",
            "channel",
            "increase",
            "log loss by labels",
            "other attribute",
            "increase",
            "logit, least → greatest",
            "change",
        ],
    );
    for name in &run.manifest.config.measure.attributes {
        let most =
            |of: &str| greatest(&increase, |i| attribute[i] == *name && kind[i].starts_with(of));
        let at = |least: bool| {
            greatest(&value.iter().map(|v| if least { -v } else { *v }).collect::<Vec<_>>(), |i| {
                curve_of[i] == *name
            })
        };
        let (Some(cell), Some(channel), Some(low), Some(high)) =
            (most("region"), most("channel"), at(true), at(false))
        else {
            continue;
        };
        let spread = |i: usize| format!("{:.3} ± {:.3}", increase[i], deviation[i]);
        let other = most("attribute");
        let or_none = |words: Option<String>| words.unwrap_or_else(|| "–".into());
        table.rows.push(vec![
            display_name(name),
            format!("{:.3}", loss[cell]),
            part[cell].clone(),
            spread(cell),
            part[channel].clone(),
            spread(channel),
            or_none(other.map(|i| format!("{:.3}", loss[i]))),
            or_none(other.map(|i| display_name(&part[i]))),
            or_none(other.map(spread)),
            format!("{:.2} → {:.2}", mean[low], mean[high]),
            format!("{:.2} ± {:.2}", mean[high] - mean[low], interaction[high]),
        ]);
    }
    let settings = &run.manifest.config.attribute;
    let channels = if settings.channels == 0 {
        "all channels".into()
    } else {
        format!("{} channels, evenly spread", settings.channels)
    };
    table.notes.push(format!(
        "{} permutations; {channels}; labels of all test faces. data/attribution_permutation.csv and data/attribution_dependence.csv have all parts and each face's curve.",
        settings.repeats
    ));
    Ok(table.measured_on(&source(
        run,
        &format!("{} test faces", settings.permutation_images.min(run.manifest.data.test)),
    )))
}

fn surrogate(run: &Run) -> Result<Table> {
    let found = run.read_csv(SURROGATE)?;
    let number = |name: &str| frame::numbers(&found, name);
    let (attribute, kind, model) = (
        frame::texts(&found, "attribute")?,
        frame::texts(&found, "surrogate")?,
        frame::texts(&found, "model")?,
    );
    let (fitted, held_out, agreement, faces) = (
        number("r2_fitted")?,
        number("r2_held_out")?,
        number("agreement_held_out")?,
        number("faces_held_out")?,
    );
    let inputs = frame::texts(&found, "inputs")?;
    let mut table = Table::new(
        "attribution_surrogate",
        "Global surrogates: models of an attribute's mean masks, and as the control of the features' means without masks, that say its logit, and their fidelity: the share of the logit's variance that they explain, and how often they decide as the network does, on faces that they were not fitted to.",
        &[
            "attribute",
            "inputs",
            "surrogate",
            "R², fitted",
            "R², held out",
            "same decision",
            "faces held out",
        ],
    );
    for i in 0..attribute.len() {
        let row = [
            format!("{:.3}", fitted[i]),
            format!("{:.3}", held_out[i]),
            format!("{:.3}", agreement[i]),
            faces[i].to_string(),
        ];
        table.rows.push(
            [display_name(&attribute[i]), inputs[i].clone(), kind[i].clone()]
                .into_iter()
                .chain(row)
                .collect(),
        );
    }
    if let Some(tree) = (0..kind.len()).find(|&i| kind[i] == "tree") {
        table.notes.push(format!(
            "The first tree, {}, {}: {}",
            display_name(&attribute[tree]),
            inputs[tree],
            model[tree]
        ));
    }
    table.notes.push("data/attribution_surrogate.csv has every model; c12 is channel 12.".into());
    Ok(table.measured_on(&source(
        run,
        &format!(
            "{} test faces",
            run.manifest.config.attribute.surrogate_images.min(run.manifest.data.test)
        ),
    )))
}

/// [`with_error`], and how many values that is of, if not all are finite.
fn with_number(values: &[f64]) -> String {
    match values.iter().filter(|v| v.is_finite()).count() {
        n if n == 0 || n == values.len() => with_error(values),
        n => format!("{} (n = {n})", with_error(values)),
    }
}

/// Mean ± standard error of the finite values; of one alone the spread is not known.
fn with_error(values: &[f64]) -> String {
    let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = values.len() as f64;
    match values[..] {
        [] => "–".into(),
        [one] => format!("{one:.3}"),
        _ => {
            let mean = values.iter().sum::<f64>() / n;
            let deviation =
                (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.)).sqrt();
            format!("{mean:.3} ± {:.3}", deviation / n.sqrt())
        }
    }
}
