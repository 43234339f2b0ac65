//! Intentional mask transformation: for each σ the best setting on validation faces, judged on test
//! faces.

use std::collections::BTreeMap;

use anyhow::Result;
use foresee_analysis::Verdict;
use foresee_report::frame;

use super::by_image::ByImage;
use super::{Claim, LEVEL, MARGIN, or_told, over_seeds_and_images};
use crate::run::Run;

const TEXT: &str = "mask transformation makes the network robust";

/// Gains `[seed][image]` at a σ, and the settings that were chosen.
#[derive(Default)]
struct AtSigma {
    gains: Vec<Vec<f64>>,
    chosen: Vec<(f64, f64)>,
}

pub fn claims(runs: &[&Run]) -> Vec<Claim> {
    if runs.iter().any(|run| !run.manifest.config.model.attention) {
        return vec![Claim::not_testable(TEXT, "the network has no masks")];
    }
    if runs.iter().any(|run| run.manifest.config.transform.validation == 0) {
        return vec![Claim::not_testable(
            TEXT,
            "no validation faces were set aside to choose (n, β) on (transform.validation)",
        )];
    }
    match gains(runs) {
        Ok(gains) => gains
            .into_iter()
            .map(|(sigma, at)| {
                let text = format!("{TEXT}, σ = {sigma}");
                or_told(&text, claim(&text, at))
            })
            .collect(),
        Err(e) => vec![Claim::not_testable(TEXT, &format!("{e:#}"))],
    }
}

fn gains(runs: &[&Run]) -> Result<BTreeMap<String, AtSigma>> {
    let mut all: BTreeMap<String, AtSigma> = BTreeMap::new();
    for run in runs {
        let choice = run.read_csv("data/mask_transformation_choice.csv")?;
        let table = ByImage::read(run, "data/mask_transformation_by_image.csv")?;
        let column = |name: &str| frame::numbers(&choice, name);
        for ((sigma, n), beta) in column("sigma")?.iter().zip(column("n")?).zip(column("beta")?) {
            let of = |n: f64, beta: f64| table.column(&format!("{sigma}/{n}/{beta}"));
            let at = all.entry(sigma.to_string()).or_default();
            at.gains.push(of(n, beta)?.iter().zip(of(1., 0.)?).map(|(a, b)| a - b).collect());
            at.chosen.push((n, beta));
        }
    }
    Ok(all)
}

fn claim(text: &str, at: AtSigma) -> Result<Claim> {
    let (interval, seeds) = over_seeds_and_images(&at.gains, LEVEL)?;
    let verdict = Verdict::of_gain(&interval, &seeds, MARGIN);
    let chosen: Vec<String> = at
        .chosen
        .iter()
        .map(|(n, beta)| {
            if (*n, *beta) == (1., 0.) {
                "the identity".into()
            } else {
                format!("n = {n}, β = {beta}")
            }
        })
        .collect();
    let statistic = "gain on test faces of the setting chosen on validation faces [points]";
    Ok(Claim::new(
        text,
        statistic,
        interval,
        seeds,
        verdict,
        format!("chosen: {}", chosen.join("; ")),
    ))
}
