//! Intentional mask transformation: for each σ the best curve on validation faces, judged on test
//! faces.

use foresee_perturb::{Curve, ToneCurve};
use foresee_stats::{LEVEL, MARGIN, Verdict, mean_over_seeds_and_images};

use super::super::by_image::TransformationByImage;
use super::super::claim::{Claim, ClaimKind, Evidence};
use crate::artifacts::TransformationChoice;
use crate::error::Result;
use crate::run::Run;

/// What was chosen at a σ, and what it gains.
struct AtSigma {
    sigma: f64,
    /// Gains `[seed][image]`.
    gains: Vec<Vec<f64>>,
    /// The curve of each seed.
    chosen: Vec<Curve>,
}

pub(super) fn claims(variant: &str, runs: &[&Run]) -> Vec<Claim> {
    let untestable = |why: &str| {
        let found = Ok(Evidence::not_testable(why));
        vec![Claim::new(ClaimKind::Transformation, variant, found)]
    };
    if runs.iter().any(|run| !run.manifest.config.model.attention) {
        return untestable("the network has no masks");
    }
    if runs.iter().any(|run| run.manifest.config.transform.validation == 0) {
        return untestable(
            "no validation faces were set aside to choose a curve on (transform.validation)",
        );
    }
    match gains(runs) {
        Ok(sigmas) => sigmas
            .iter()
            .map(|at| Claim::new(ClaimKind::TransformationAt(at.sigma), variant, test(at)))
            .collect(),
        Err(e) => untestable(&format!("{e:#}")),
    }
}

fn gains(runs: &[&Run]) -> Result<Vec<AtSigma>> {
    let mut all: Vec<AtSigma> = vec![];
    for run in runs {
        let table = TransformationByImage::read(run)?;
        for TransformationChoice { sigma, curve, .. } in run.read::<Vec<TransformationChoice>>()? {
            let untransformed = table.point(sigma, &Curve::identity())?;
            let transformed = table.point(sigma, &curve)?;
            let gains = transformed.iter().zip(untransformed).map(|(a, b)| a - b).collect();
            match all.iter_mut().find(|at| at.sigma == sigma) {
                Some(at) => {
                    at.gains.push(gains);
                    at.chosen.push(curve);
                }
                None => all.push(AtSigma { sigma, gains: vec![gains], chosen: vec![curve] }),
            }
        }
    }
    all.sort_by(|a, b| a.sigma.total_cmp(&b.sigma));
    Ok(all)
}

fn test(at: &AtSigma) -> Result<Evidence> {
    let means = mean_over_seeds_and_images(&at.gains, LEVEL)?;
    let title = |curve: &Curve| match curve.is_identity() {
        true => "the identity".into(),
        false => curve.title(),
    };
    let chosen: Vec<String> = at.chosen.iter().map(title).collect();
    Ok(Evidence {
        statistic: "gain on test faces of the setting chosen on validation faces [points]".into(),
        verdict: Verdict::of_gain(&means.interval, &means.seeds, MARGIN),
        interval: means.interval,
        seeds: means.seeds,
        remark: format!("chosen: {}", chosen.join("; ")),
    })
}
