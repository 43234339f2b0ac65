//! Measures of how good an attribution is, one file each.

mod checks;
mod complexity;
mod curve;
mod deletion_insertion;
mod imputation;
mod infidelity;
mod irof;
mod localisation;
mod magnitudes;
mod max_sensitivity;
mod occlusion;
mod pointing_game;
mod random_logit;
mod randomisation;
mod regions;
mod road;
mod scores;
mod segment_removal;
mod selectivity;
mod sensitivity_n;
mod sparseness;
mod structural_similarity;

pub use checks::{MethodChecks, check_method};
pub use complexity::complexity;
pub use curve::Curve;
pub use deletion_insertion::{deletion, insertion};
pub use imputation::linear_imputation;
pub use infidelity::{
    Infidelity, Scaling, infidelity, infidelity_from_changes, infidelity_with_perturbations,
};
pub use irof::irof;
pub use localisation::{Localisation, localisation};
pub use max_sensitivity::{MaxSensitivity, max_sensitivity, max_sensitivity_with_perturbations};
pub use occlusion::Occlusions;
pub use pointing_game::{Pointing, pointing_game};
pub use random_logit::{LogitSimilarity, random_logit, random_logit_with_others};
pub use randomisation::{CascadeStep, randomisation_check, rank_correlation};
pub use road::{Road, RoadCurves, road, road_with_noise};
pub use scores::{ScoredImages, Scores, score};
pub use selectivity::selectivity;
pub use sensitivity_n::{SensitivityN, sensitivity_n, sensitivity_n_with_subsets};
pub use sparseness::sparseness;
pub use structural_similarity::structural_similarity;
