//! Table 4: which attributes have similar masks, and whether that means something.

use foresee_analysis::{cohesion_over_seeds, expected_common_channels, sharing};
use foresee_celeba::{Split, attribute_index};
use foresee_stats::{Matrix, RESAMPLES, Verdict, mantel, mean_over_seeds};

use super::super::claim::{Claim, ClaimKind, Evidence};
use crate::artifacts::{AttributeCorrelation, MeanMasks};
use crate::error::Result;
use crate::faces;
use crate::run::Run;

/// Channels of an attribute that are compared with another's.
const TOP: usize = 10;
/// A pair of attributes is close if at most this share of all pairs is as close, in percent.
const CLOSE: f64 = 5.;

/// Pairs that the paper names.
const PAIRS: [(&str, &str); 2] = [("Black_Hair", "Blond_Hair"), ("Mouth_Slightly_Open", "Smiling")];

/// What a person would put together.
const GROUPS: [(&str, &[&str]); 5] = [
    ("hair colour", &["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]),
    ("beard", &["5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"]),
    ("make-up", &["Heavy_Makeup", "Wearing_Lipstick", "Rosy_Cheeks"]),
    ("mouth", &["Mouth_Slightly_Open", "Smiling", "High_Cheekbones", "Big_Lips"]),
    ("hair shape", &["Bald", "Bangs", "Receding_Hairline", "Straight_Hair", "Wavy_Hair"]),
];

pub(super) fn claims(variant: &str, runs: &[&Run]) -> Vec<Claim> {
    let shared = |(a, b): (&'static str, &'static str)| {
        Claim::new(ClaimKind::SharedChannels(a, b), variant, shared_channels(runs, a, b))
    };
    let mut claims: Vec<Claim> = PAIRS.into_iter().map(shared).collect();
    let correlations = correlations(runs);
    let together = occur_together(&correlations, |rho| rho);
    claims.push(Claim::new(ClaimKind::OccurTogether, variant, together));
    let either = occur_together(&correlations, f64::abs);
    claims.push(Claim::new(ClaimKind::OccurTogetherOrNever, variant, either));
    claims.push(Claim::new(ClaimKind::Groups, variant, groups(runs)));
    claims
}

/// How high a pair's correlation stands among all pairs, and how many of their first channels are
/// the same.
fn shared_channels(runs: &[&Run], a: &str, b: &str) -> Result<Evidence> {
    let i = attribute_index(a)?;
    let j = attribute_index(b)?;
    let mut ranks = vec![];
    let mut common = vec![];
    for run in runs {
        let masks = run.read::<MeanMasks>()?.matrix();
        let correlation = run.read::<AttributeCorrelation>()?.matrix();
        let found = sharing(&masks, &correlation, i, j, TOP);
        ranks.push(100. * found.rank);
        common.push(found.common.to_string());
    }
    let chance = expected_common_channels(TOP, runs[0].manifest.config.model.channels);
    Ok(Evidence {
        statistic: "share of all pairs whose mean masks correlate at least as much [%] (holds up \
                    to 5 with every seed)"
            .into(),
        verdict: Verdict::of_limit_by_seed(&ranks, CLOSE),
        interval: mean_over_seeds(&ranks).clamp_ends(0., 100.),
        seeds: ranks,
        remark: format!(
            "of the {TOP} channels with the highest mean masks, {} are the same (by chance \
             {chance:.1})",
            common.join(", ")
        ),
    })
}

/// The correlations among the attributes' mean masks and among their labels in the training split,
/// for each run.
fn correlations(runs: &[&Run]) -> Result<Vec<(Matrix, Matrix)>> {
    let of_run = |run: &&Run| {
        let manifest = &run.manifest;
        let data = faces::reopen(&manifest.data, run.folder(), manifest.config.data.split)?;
        let labels = faces::label_correlation(&data, &data.split(Split::Train)?)?;
        Ok((run.read::<AttributeCorrelation>()?.matrix(), labels))
    };
    runs.iter().map(of_run).collect()
}

/// Do mean masks correlate as labels do?
fn occur_together(
    correlations: &Result<Vec<(Matrix, Matrix)>>,
    of_labels: fn(f64) -> f64,
) -> Result<Evidence> {
    let correlations = correlations.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let labels = correlations.iter().map(|(_, rho)| {
        Matrix::from_fn(rho.rows(), rho.columns(), |i, j| of_labels(rho.get(i, j)))
    });
    let labels: Vec<Matrix> = labels.collect();
    let pairs: Vec<(&Matrix, &Matrix)> =
        correlations.iter().zip(&labels).map(|((masks, _), labels)| (masks, labels)).collect();
    let agreement = mantel(&pairs, RESAMPLES, 0)?;
    Ok(Evidence {
        statistic: "rank correlation between mean masks' and labels' correlation over 780 pairs"
            .into(),
        verdict: Verdict::of_test(agreement.p, &agreement.each),
        interval: mean_over_seeds(&agreement.each),
        seeds: agreement.each,
        remark: p_value(agreement.p),
    })
}

fn p_value(p: f64) -> String {
    format!("p of Mantel's test (of ranks, one-sided) over all seeds: {p:.4}")
}

/// Is the correlation of mean masks higher inside of groups than between them?
fn groups(runs: &[&Run]) -> Result<Evidence> {
    let members = |(_, names): (&str, &[&str])| -> Result<Vec<usize>> {
        names.iter().map(|name| Ok(attribute_index(name)?)).collect()
    };
    let groups = GROUPS.into_iter().map(members).collect::<Result<Vec<_>>>()?;
    let correlations = runs
        .iter()
        .map(|run| Ok(run.read::<AttributeCorrelation>()?.matrix()))
        .collect::<Result<Vec<_>>>()?;
    let found = cohesion_over_seeds(&correlations, &groups)?;
    let by_group = GROUPS
        .iter()
        .zip(&found.groups)
        .map(|((name, _), values)| format!("{name} {:+.2}", mean_over_seeds(values).estimate));
    Ok(Evidence {
        statistic: "correlation of mean masks inside of groups minus between them".into(),
        verdict: Verdict::of_test(found.p, &found.all),
        interval: mean_over_seeds(&found.all),
        remark: format!("{}; {}", by_group.collect::<Vec<_>>().join(", "), p_value(found.p)),
        seeds: found.all,
    })
}
