//! What a study leaves: `data/`, `tables/`, `figures/` and `report.html` in its folder.

use std::path::Path;

use anyhow::Result;
use foresee_report::frame::{self, df};
use foresee_report::{Report, Section, Source, Table};

use super::claims::{self, Claim};
use super::{Done, Failed, by_variant, over_lambda, predictability, pruning, regions};
use crate::run::{Manifest, Run};

pub fn write(
    out: &Path,
    done: &[Done],
    failed: &[Failed],
    planned: usize,
    claims: bool,
) -> Result<()> {
    if done.is_empty() {
        tracing::warn!(
            "no run is done: there is nothing to analyse; allow more time with --budget"
        );
        return Ok(());
    }
    let groups = by_variant(done);
    let source = source(done, planned);
    let (mut all, mut sections) = (vec![], vec![]);
    if claims {
        all = of_all(out, done, &groups)?;
        sections = claims_sections(out, &all, &groups, &source)?;
    }
    let rows = groups
        .iter()
        .map(|(variant, runs)| over_lambda::row(variant, runs, &all))
        .collect::<Result<Vec<_>>>()?;
    let (name, caption) = match claims {
        true => ("over_lambda", "What the sparsity of the masks changes: mean over seeds (range)."),
        false => ("variants", "What the settings change: mean over seeds (range)."),
    };
    frame::write_csv(&out.join(format!("data/{name}.csv")), over_lambda::frame(&rows)?)?;
    let table = over_lambda::table(name, caption, &rows, &source);
    table.save(&out.join("tables"))?;
    sections.extend([Section::Heading(caption.into()), Section::Table(table)]);
    if let Some(figure) = over_lambda::figure(&rows, &source)?.filter(|_| claims) {
        figure.save(&out.join("figures"))?;
        sections.push(Section::Figure(
            figure,
            "Accuracy, pruning and transformation over the mean of the masks.".into(),
        ));
    }
    if claims {
        sections.extend(pruning_section(out, &groups, &source)?);
    }
    sections.extend(predictability_section(out, &groups, &source)?);
    let hours = done
        .iter()
        .flat_map(|d| d.run.manifest.stages.values())
        .map(|stage| stage.wall_seconds)
        .sum::<f64>()
        / 3600.;
    for run in failed {
        sections.insert(
            0,
            Section::Text(format!("Not done: {}, seed {}: {}", run.variant, run.seed, run.why)),
        );
    }
    let summary = [
        ("runs done", format!("{} of {planned}", done.len())),
        ("variants", groups.len().to_string()),
        ("time of the runs", format!("{hours:.1} h")),
    ];
    let summary = summary.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let title = if claims {
        "Do the claims of Kimura & Tanaka (2020) hold?"
    } else {
        "What the settings change"
    };
    let report = Report { title: title.into(), source, summary, sections };
    report.save(&out.join("report.html"))?;
    tracing::info!("open {}", out.join("report.html").display());
    Ok(())
}

/// Figure 7 over the seeds of the first variants with masks, on real faces, or on drawn ones if
/// there are no others.
fn pruning_section(out: &Path, groups: &Groups, source: &Source) -> Result<Vec<Section>> {
    const PANELS: usize = 3;
    let shown = |runs: &[&Run]| {
        runs[0].manifest.config.model.attention
            && runs[0].manifest.data.synthetic == source.synthetic
    };
    let shown = groups.iter().filter(|(_, runs)| shown(runs)).take(PANELS);
    let (mut points, mut titles) = (vec![], vec![]);
    for (variant, runs) in shown {
        let own = pruning::points(variant, runs)?;
        titles.extend(
            (!own.is_empty()).then(|| (*variant, runs[0].manifest.config.sparsity_in_words())),
        );
        points.extend(own);
    }
    if points.is_empty() {
        return Ok(vec![]);
    }
    frame::write_csv(&out.join("data/pruning_over_seeds.csv"), pruning::frame(&points)?)?;
    let figure = pruning::figure(&points, &titles, source)?;
    figure.save(&out.join("figures"))?;
    let caption = "Accuracy over pruned channels (Figure 7): mean over seeds; bars and the band from the lowest to the highest. Not \
                   shown: a single channel left.";
    Ok(vec![Section::Figure(figure, caption.into())])
}

fn predictability_section(out: &Path, groups: &Groups, source: &Source) -> Result<Vec<Section>> {
    let lines = groups
        .iter()
        .map(|(variant, runs)| predictability::lines(variant, runs))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    if lines.is_empty() {
        return Ok(vec![]);
    }
    let synthetic = |variant: &str| is_synthetic(groups, variant);
    frame::write_csv(
        &out.join("data/predictability_over_seeds.csv"),
        predictability::frame(&lines, &synthetic)?,
    )?;
    let table = predictability::table(&lines, &synthetic, source);
    table.save(&out.join("tables"))?;
    Ok(vec![Section::Heading("Human predictability".into()), Section::Table(table)])
}

fn is_synthetic(groups: &Groups, variant: &str) -> bool {
    groups.iter().any(|(name, runs)| *name == variant && runs[0].manifest.data.synthetic)
}

type Groups<'a> = [(&'a str, Vec<&'a Run>)];

/// Whether `other` is the network of `run` without masks, trained alike on the same faces.
fn is_plain(other: &Run, run: &Run) -> bool {
    let (a, b) = (&other.manifest, &run.manifest);
    let data =
        |manifest: &Manifest| (manifest.data.sha256.clone(), manifest.config.data.image_size);
    let train = |manifest: &Manifest| {
        let train = &manifest.config.train;
        (
            train.epochs,
            train.limit,
            train.batch_size,
            train.learning_rate,
            train.crop,
            train.average,
        )
    };
    !a.config.model.attention && data(a) == data(b) && train(a) == train(b)
}

/// All claims for all variants; where masks lie on drawn faces is written on the way.
fn of_all(out: &Path, done: &[Done], groups: &Groups) -> Result<Vec<Claim>> {
    let (mut all, mut focus) = (vec![], vec![]);
    for (variant, runs) in groups {
        let masked = runs[0].manifest.config.model.attention && !runs[0].manifest.data.synthetic;
        let plain = groups
            .iter()
            .find(|(_, other)| masked && is_plain(other[0], runs[0]))
            .map(|(_, other)| other.as_slice());
        let mut claims = claims::of_variant(variant, runs, plain);
        let about_regions =
            match done.iter().any(|d| d.variant == *variant && d.synthetic) {
                true => {
                    let each =
                        runs.iter().map(|run| regions::focus(run)).collect::<Result<Vec<_>>>()?;
                    let claims = regions::claims(&each, claims::above_majority(runs)?);
                    focus.extend(each.into_iter().enumerate().flat_map(|(seed, list)| {
                        list.into_iter().map(move |f| (*variant, seed, f))
                    }));
                    claims
                }
                false => regions::not_testable().into(),
            };
        claims.extend(about_regions.into_iter().map(|claim| claim.of(variant)));
        all.extend(claims);
    }
    if !focus.is_empty() {
        let table = df!(
            "variant" => focus.iter().map(|f| f.0).collect::<Vec<_>>(),
            "seed" => focus.iter().map(|f| f.1 as i64).collect::<Vec<_>>(),
            "attribute" => focus.iter().map(|f| f.2.attribute).collect::<Vec<_>>(),
            "faces" => focus.iter().map(|f| f.2.faces as i64).collect::<Vec<_>>(),
            "area" => focus.iter().map(|f| f.2.area).collect::<Vec<_>>(),
            "mask_mass_over_area" => focus.iter().map(|f| f.2.own).collect::<Vec<_>>(),
            "others_mass_over_area" => focus.iter().map(|f| f.2.others).collect::<Vec<_>>(),
            "data" => focus.iter().map(|_| "synthetic").collect::<Vec<_>>(),
        )?;
        frame::write_csv(&out.join("data/mask_regions.csv"), table)?;
    }
    Ok(all)
}

fn claims_sections(
    out: &Path,
    all: &[Claim],
    groups: &Groups,
    source: &Source,
) -> Result<Vec<Section>> {
    let synthetic = |variant: &str| is_synthetic(groups, variant);
    write_claims(out, all, &synthetic)?;
    let table = table(all, &synthetic, source);
    table.save(&out.join("tables"))?;
    let how = format!(
        "Each claim is tested for every variant. Intervals are of 95 %: test images by a bootstrap, seeds by Student's t, both added as squares; where a statistic has no \
             images, seeds alone. A claim of a gain holds if the interval and every seed lie on its side, and does not hold if the whole interval lies below {} points, a gain \
             that nobody would care for; other rules stand beside their statistic; with fewer than {} seeds nothing is decided. These are {} statistics: about one in \
             twenty intervals misses its value by chance, so that a verdict counts where the variants agree.",
        claims::MARGIN,
        foresee_analysis::SEEDS_NEEDED,
        all.iter().filter(|c| c.interval.estimate.is_finite()).count(),
    );
    Ok(vec![
        Section::Heading("The paper's claims".into()),
        Section::Text(how),
        Section::Table(table),
    ])
}

/// The faces of the whole study. It counts as synthetic only if no run had others: lines on drawn
/// faces say so themselves.
fn source(done: &[Done], planned: usize) -> Source {
    let real = done.iter().find(|d| !d.run.manifest.data.synthetic);
    let data = &real.unwrap_or(&done[0]).run.manifest.data;
    Source {
        data: format!("{}; {} of {planned} runs of the study", data.description(), done.len()),
        synthetic: real.is_none(),
    }
}

fn write_claims(out: &Path, claims: &[Claim], synthetic: &dyn Fn(&str) -> bool) -> Result<()> {
    let text =
        |value: fn(&Claim) -> &str| claims.iter().map(|c| value(c).to_owned()).collect::<Vec<_>>();
    let number = |value: fn(&Claim) -> f64| claims.iter().map(value).collect::<Vec<_>>();
    let list = |seeds: &[f64]| seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let table = df!(
        "claim" => text(|c| &c.claim),
        "variant" => text(|c| &c.variant),
        "statistic" => text(|c| &c.statistic),
        "estimate" => number(|c| c.interval.estimate),
        "low" => number(|c| c.interval.low),
        "high" => number(|c| c.interval.high),
        "seeds" => claims.iter().map(|c| list(&c.seeds)).collect::<Vec<_>>(),
        "verdict" => text(|c| c.verdict.words()),
        "why" => text(|c| &c.why),
        "data" => claims.iter().map(|c| if synthetic(&c.variant) { "synthetic" } else { "celeba" }).collect::<Vec<_>>(),
    )?;
    Ok(frame::write_csv(&out.join("data/claims.csv"), table)?)
}

fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { "–".into() }
}

/// Claim by claim, the variants below each other.
fn table(claims: &[Claim], synthetic: &dyn Fn(&str) -> bool, source: &Source) -> Table {
    let header = [
        "claim",
        "variant",
        "faces",
        "statistic",
        "estimate",
        "interval",
        "by seed",
        "verdict",
        "remark",
    ];
    let mut table = Table::new("claims", "The paper's claims, tested.", &header);
    let mut order: Vec<&str> = vec![];
    for claim in claims {
        if !order.contains(&claim.claim.as_str()) {
            order.push(&claim.claim);
        }
    }
    for name in order {
        for c in claims.iter().filter(|c| c.claim == name) {
            let by_seed = c.seeds.iter().map(|v| format!("{v:.2}")).collect::<Vec<_>>().join(", ");
            table.rows.push(vec![
                c.claim.clone(),
                c.variant.clone(),
                if synthetic(&c.variant) { "SYNTHETIC" } else { "CelebA" }.into(),
                c.statistic.clone(),
                number(c.interval.estimate),
                if c.interval.low.is_finite() {
                    format!("{:.2} to {:.2}", c.interval.low, c.interval.high)
                } else {
                    "–".into()
                },
                by_seed,
                c.verdict.words().into(),
                c.why.clone(),
            ]);
        }
    }
    table.measured_on(source)
}
