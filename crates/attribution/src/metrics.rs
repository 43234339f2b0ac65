//! Measures of how good an attribution is, one file each.

mod checks;
mod deletion_insertion;
mod infidelity;
mod max_sensitivity;
mod occlusion;
mod pointing_game;
mod randomisation;
mod scores;

pub use checks::{MethodChecks, check_method};
pub use deletion_insertion::{Curve, deletion, insertion};
pub use infidelity::{
    Infidelity, Scaling, infidelity, infidelity_from_changes, infidelity_with_perturbations,
};
pub use max_sensitivity::{MaxSensitivity, max_sensitivity, max_sensitivity_with_perturbations};
pub use occlusion::Occlusions;
pub use pointing_game::{Pointing, pointing_game};
pub use randomisation::{CascadeStep, randomisation_check, rank_correlation};
pub use scores::{Scores, score};
