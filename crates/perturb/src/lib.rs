//! perturb
