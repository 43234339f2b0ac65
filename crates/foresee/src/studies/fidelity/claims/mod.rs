//! The paper's claims, each tested for the runs of one variant.

mod accuracy;
mod attributes;
mod masks;
mod pruning;
mod regions;
mod transformation;

use super::claim::Claim;
use super::regions::SeedFocus;
use super::{Group, baseline};
use crate::error::Result;
use crate::run::Run;

/// All claims for a variant of the study. `others` are all its variants, among which is the same
/// network without masks, if the study has that; `focus` says where masks lie, of drawn faces.
pub(super) fn of_variant(
    group: &Group,
    others: &[Group],
    focus: Option<&[SeedFocus]>,
) -> Result<Vec<Claim>> {
    let runs: Vec<&Run> = group.runs.iter().collect();
    let mut claims = vec![accuracy::claim(&group.variant, &runs)];
    if let Some(baseline) = baseline::without_masks(group, others)? {
        claims.push(masks::claim(&group.variant, &runs, &baseline.runs));
    }
    claims.extend(pruning::claims(&group.variant, &runs));
    claims.extend(transformation::claims(&group.variant, &runs));
    claims.extend(attributes::claims(&group.variant, &runs));
    claims.extend(regions::claims(&group.variant, &runs, focus));
    Ok(claims)
}
