//! Do the masks look where the attribute is? On drawn faces one knows where that is.

use foresee_analysis::{Focus, FocusBaseline, focus_over_seeds};
use foresee_celeba::ATTRIBUTES;

use super::super::claim::{Claim, ClaimKind, Evidence};
use super::super::regions::SeedFocus;
use super::accuracy::mean_gain;
use crate::error::Result;
use crate::run::Run;

/// Points that a network must be above the majority for its masks to be asked where they look.
const LEARNED: f64 = 3.;
/// Attributes named at either end.
const NAMED: usize = 4;

/// The claims over all seeds of a variant. Of real faces nobody knows where an attribute is: they
/// have no `focus`.
pub(super) fn claims(variant: &str, runs: &[&Run], focus: Option<&[SeedFocus]>) -> Vec<Claim> {
    let claim = |baseline| Claim::new(kind(baseline), variant, test(runs, focus, baseline));
    FocusBaseline::ALL.into_iter().map(claim).collect()
}

fn kind(baseline: FocusBaseline) -> ClaimKind {
    match baseline {
        FocusBaseline::Even => ClaimKind::Region,
        FocusBaseline::OtherAttributes => ClaimKind::RegionAgainstOthers,
    }
}

fn test(runs: &[&Run], focus: Option<&[SeedFocus]>, baseline: FocusBaseline) -> Result<Evidence> {
    let Some(focus) = focus else {
        return Ok(Evidence::not_testable(
            "the regions of attributes are known on drawn faces only",
        ));
    };
    let learned = mean_gain(runs)?;
    if learned < LEARNED {
        return Ok(Evidence::not_testable(&format!(
            "the networks are {learned:.1} points above the majority only: {LEARNED} are asked for"
        )));
    }
    let seeds: Vec<Vec<Focus>> = focus.iter().map(|seed| seed.focus.clone()).collect();
    let found = focus_over_seeds(&seeds, baseline)?;
    let list = |attributes: &[(usize, f64)]| {
        let named = attributes.iter().map(|(k, v)| format!("{} {v:.1}", ATTRIBUTES[*k]));
        named.collect::<Vec<_>>().join(", ")
    };
    let all = found.attributes.len();
    Ok(Evidence {
        statistic: format!(
            "masks' mass in the attribute's region over {}, geometric mean over attributes and \
             seeds",
            baseline.title()
        ),
        interval: found.interval,
        seeds: found.seeds,
        verdict: found.verdict,
        remark: format!(
            "{} of {all} attributes above 1; most: {}; least: {}",
            found.focused,
            list(&found.attributes[..all.min(NAMED)]),
            list(&found.attributes[all.saturating_sub(NAMED)..])
        ),
    })
}
