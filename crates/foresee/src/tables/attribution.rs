//! What the stage `attribute` found, in tables.

use foresee_attribution::{Method, PartKind, SurrogateKind};
use foresee_celeba::display_name;
use foresee_report::Table;
use foresee_stats::{MeanWithError, mean_and_clustered_error};

use crate::artifacts::{
    Artifact, AttributionCheck, AttributionScore, DependencePoint, PermutedPart, PermutedParts,
    RandomisedStep, Row, SurrogateRow,
};
use crate::distinct::distinct;
use crate::error::Result;
use crate::provenance::{first_of, number, source};
use crate::run::{Run, Stage};

/// Those that the run's settings ask for.
pub(crate) fn all(run: &Run) -> Result<Vec<Table>> {
    let made = |file: &str| run.made(Stage::Attribute, file);
    let mut tables = vec![];
    if made(AttributionScore::PATH) {
        tables.push(scores(run)?);
    }
    if made(AttributionCheck::PATH) {
        tables.push(checks(run)?);
    }
    if made(PermutedParts::PATH) {
        tables.push(permutation(run)?);
    }
    if made(SurrogateRow::PATH) {
        tables.push(surrogate(run)?);
    }
    Ok(tables)
}

/// How good each method is: means over faces and attributes, with their standard errors.
fn scores(run: &Run) -> Result<Table> {
    let scores: Vec<AttributionScore> = run.read()?;
    let header = [
        "method",
        "deletion",
        "insertion",
        "pointing: hit",
        "pointing: energy",
        "region's area",
        "pairs of face and attribute",
        "different faces",
    ];
    let caption = "Attribution methods and the paper's masks: area under the logit while the \
                   pixels of greatest attribution are deleted (lower is better) and inserted \
                   (higher is better), and on drawn faces how often the greatest value lies in \
                   the attribute's region and which share of the positive values does. Means ± \
                   standard errors over faces (one face can have several attributes; no error \
                   of a single face, or where all values are the same); n where not every pair \
                   has a value.";
    let mut table = Table::new("attribution_scores", caption, &header);
    for method in distinct(scores.iter().map(|score| score.method)) {
        let own: Vec<&AttributionScore> =
            scores.iter().filter(|score| score.method == method).collect();
        let mean = |value: fn(&AttributionScore) -> f64| {
            with_count(own.iter().map(|score| (value(score), score.image.as_str())))
        };
        table.rows.push(vec![
            method.id().into(),
            mean(|s| s.deletion),
            mean(|s| s.insertion),
            mean(|s| s.pointing_hit),
            mean(|s| s.pointing_energy),
            mean(|s| s.region_area),
            own.len().to_string(),
            distinct(own.iter().map(|score| &score.image)).len().to_string(),
        ]);
    }
    table.notes.push(
        "Deleted pixels become grey, the middle of the range, which is what integrated gradients \
         and LIME start from, too; pixels are inserted into the same face out of focus. `chance` \
         is random numbers."
            .into(),
    );
    let lime = scores.iter().filter(|score| score.method == Method::Lime);
    let fits = with_count(lime.map(|score| (score.local_r2, score.image.as_str())));
    table.notes.push(format!(
        "LIME's linear model around a face explains a share of {fits} of the variance of the \
         logit of the copies it was fitted to."
    ));
    let path = scores.iter().filter(|score| score.method == Method::IntegratedGradients);
    let gaps = with_count(path.map(|score| (score.completeness_gap, score.image.as_str())));
    table.notes.push(format!(
        "Integrated gradients miss the difference of the logit between a face and grey by a share \
         of {gaps}: it falls with `attribute.steps`."
    ));
    Ok(table.measured_on(&source(run, "test faces with the attribute")))
}

fn checks(run: &Run) -> Result<Table> {
    let checks: Vec<AttributionCheck> = run.read()?;
    let cascade: Vec<RandomisedStep> = run.read()?;
    let last = cascade.iter().map(|row| row.step).max().unwrap_or(0);
    let mut header =
        vec!["method".to_owned(), "infidelity, share".into(), "max-sensitivity".into()];
    for step in 1..=last {
        let layer = cascade.iter().find(|row| row.step == step).map(|row| &row.also_random);
        let start = if step == 1 { "ρ, random:" } else { "and" };
        header.extend(layer.map(|layer| format!("{start} {layer}")));
    }
    header.extend(["pairs of face and attribute".into(), "different faces".into()]);
    let caption = "Checks of attribution methods: the share that a map leaves unexplained of what \
                   taking squares of the face away does to the logit (infidelity over that of a \
                   map of zeros, the map being scaled by the number from 0 that fits best; 0 is \
                   best, 1 no better than zeros, and what a map without knowledge gets is the \
                   line `chance`), the greatest relative change of the map when no pixel changes \
                   by more than 0.02 (max-sensitivity; 0 is steady), and Spearman's ρ of |map| \
                   with itself after weights are drawn anew from the output back (near 1: the \
                   method does not look at those weights). Means ± standard errors over faces; no \
                   error of a single face.";
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = Table::new("attribution_checks", caption, &header);
    for method in distinct(checks.iter().map(|check| check.method)) {
        let own: Vec<&AttributionCheck> =
            checks.iter().filter(|check| check.method == method).collect();
        let mean = |value: fn(&AttributionCheck) -> f64| {
            with_count(own.iter().map(|check| (value(check), check.image.as_str())))
        };
        let share = mean(|check| check.infidelity / check.infidelity_of_zeros);
        let mut row = vec![method.id().into(), share, mean(|check| check.max_sensitivity)];
        for step in 1..=last {
            let of_step = cascade.iter().filter(|r| r.method == method && r.step == step);
            row.push(with_count(of_step.map(|r| (r.rank_correlation, r.image.as_str()))));
        }
        row.push(own.len().to_string());
        row.push(distinct(own.iter().map(|check| &check.image)).len().to_string());
        table.rows.push(row);
    }
    table.notes.push(
        "Permutation importance has one map for all faces, and is not computed again for small \
         changes and new weights. The random numbers of `chance` are others for each face and \
         the same for every network, hence ρ = 1."
            .into(),
    );
    Ok(table.measured_on(&source(run, "test faces with the attribute")))
}

fn permutation(run: &Run) -> Result<Table> {
    let parts: Vec<PermutedPart> =
        run.read::<PermutedParts>()?.0.into_iter().map(|(part, _)| part).collect();
    let dependence: Vec<DependencePoint> = run.read()?;
    let header = [
        "attribute",
        "log loss",
        "cell (row, column)",
        "increase by cell",
        "channel",
        "increase by channel",
        "log loss by labels",
        "other attribute",
        "increase by label",
        "logit, least → greatest",
        "change",
    ];
    let caption = "Permutation importance: by how much the log loss grows when a cell of the \
                   image or a channel of the features is exchanged among faces (± standard \
                   deviation over the permutations), the most important of each; the same of \
                   another attribute's label as input of a model of this attribute's label by all \
                   others (linear, fitted to training labels; its own log loss beside it); and \
                   partial dependence of the logit on that channel, set to its least and greatest \
                   value everywhere (± standard deviation of the change over faces: how much it \
                   depends on the rest).";
    let mut table = Table::new("attribution_permutation", caption, &header);
    let settings = &run.manifest.config;
    for attribute in &settings.measure.attributes {
        table.rows.extend(permutation_row(attribute, &parts, &dependence));
    }
    let channels = match settings.attribute.channels {
        0 => "all channels".into(),
        n => format!("{n} channels, evenly spread"),
    };
    table.notes.push(format!(
        "{} permutations; {channels}; labels of all test faces. The most important parts are \
         chosen by the increases that are shown, which are too high for that; ± does not contain \
         the choice of faces. data/attribution_permutation.csv and \
         data/attribution_dependence.csv have all parts and each face's curve.",
        settings.attribute.repeats
    ));
    let images = settings.attribute.permutation_images.min(run.manifest.data.test);
    Ok(table.measured_on(&source(run, &format!("{images} test faces"))))
}

fn permutation_row(
    attribute: &str,
    parts: &[PermutedPart],
    dependence: &[DependencePoint],
) -> Option<Vec<String>> {
    let most = |kind: PartKind| {
        let own = parts.iter().filter(|part| part.attribute == attribute && part.kind == kind);
        own.max_by(|a, b| a.increase.total_cmp(&b.increase))
    };
    let points = || dependence.iter().filter(|point| point.attribute == attribute);
    let cell = most(PartKind::Region)?;
    let channel = most(PartKind::Channel)?;
    let other = most(PartKind::Attribute);
    let low = points().max_by(|a, b| (-a.value).total_cmp(&-b.value))?;
    let high = points().max_by(|a, b| a.value.total_cmp(&b.value))?;
    let spread = |part: &PermutedPart| {
        let (mean, standard_error) = (part.increase, Some(part.deviation));
        with_error(&MeanWithError { mean, standard_error, count: 2 })
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    Some(vec![
        display_name(attribute),
        number(cell.log_loss, 3),
        cell.part.clone(),
        spread(cell),
        channel.part.clone(),
        spread(channel),
        or_none(other.map(|part| number(part.log_loss, 3))),
        or_none(other.map(|part| display_name(&part.part))),
        or_none(other.map(spread)),
        format!("{} → {}", number(low.mean_logit, 2), number(high.mean_logit, 2)),
        format!(
            "{} ± {}",
            number(high.mean_logit - low.mean_logit, 2),
            number(high.deviation_of_change, 2)
        ),
    ])
}

fn surrogate(run: &Run) -> Result<Table> {
    let found: Vec<SurrogateRow> = run.read()?;
    let header = [
        "attribute",
        "inputs",
        "surrogate",
        "R², fitted",
        "R², held out",
        "same decision",
        "faces held out",
    ];
    let caption = "Global surrogates: models of an attribute's mean masks, and as the control of \
                   the features' means without masks, that say its logit, and their fidelity: the \
                   share of the logit's variance that they explain, and how often they decide as \
                   the network does, on faces that they were not fitted to.";
    let mut table = Table::new("attribution_surrogate", caption, &header);
    for row in &found {
        table.rows.push(vec![
            display_name(&row.attribute),
            row.inputs.title().into(),
            row.surrogate.title().into(),
            number(row.r2_fitted, 2),
            number(row.r2_held_out, 2),
            number(row.agreement_held_out, 2),
            row.faces_held_out.to_string(),
        ]);
    }
    let is_tree = |row: &&SurrogateRow| matches!(row.surrogate, SurrogateKind::Tree { .. });
    if let Some(row) = found.iter().find(is_tree) {
        table.notes.push(format!(
            "The first tree, {}, {}: {}",
            display_name(&row.attribute),
            row.inputs.title(),
            row.model
        ));
    }
    table.notes.push("data/attribution_surrogate.csv has every model; c12 is channel 12.".into());
    let images = run.manifest.config.attribute.surrogate_images;
    let measured = format!("{} test faces", first_of(run.manifest.data.test, images));
    Ok(table.measured_on(&source(run, &measured)))
}

/// Mean ± standard error over images of the finite values, with their number if some are not
/// finite.
fn with_count<'a>(values: impl Iterator<Item = (f64, &'a str)>) -> String {
    let values: Vec<(f64, &str)> = values.collect();
    match mean_and_clustered_error(&values) {
        Some(found) if found.count < values.len() => {
            format!("{} (n = {})", with_error(&found), found.count)
        }
        Some(found) => with_error(&found),
        None => "–".into(),
    }
}

/// The spread of a single value is not known, and of values that are all the same it is not shown.
/// Small errors keep their first digit.
fn with_error(found: &MeanWithError) -> String {
    match found.standard_error {
        Some(error) if error > 1e-12 && error < 5e-4 => {
            format!("{} ± {error:.0e}", number(found.mean, 3))
        }
        Some(error) if error <= 1e-12 => number(found.mean, 3),
        Some(error) => format!("{} ± {error:.3}", number(found.mean, 3)),
        None => number(found.mean, 3),
    }
}
