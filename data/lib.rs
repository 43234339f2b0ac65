#![doc = include_str!("README.md")]

/// Statistics of CelebA's 40 attributes, which synthetic faces are drawn with.
pub mod celeba {
    /// CSV: how often each attribute occurs, and the threshold of its latent normal variable.
    ///
    /// ```
    /// let mut rows = foresee_data::celeba::ATTRIBUTE_FREQUENCIES.lines();
    /// assert_eq!(rows.next(), Some("attribute,frequency,threshold,faces"));
    /// assert_eq!(rows.count(), 40);
    /// ```
    pub const ATTRIBUTE_FREQUENCIES: &str = include_str!("celeba/attribute_frequencies.csv");
    /// CSV: the correlation [40, 40] of the latent normal variables.
    ///
    /// ```
    /// let mut rows = foresee_data::celeba::ATTRIBUTE_LATENT_CORRELATION.lines();
    /// // The attribute's name, then 40 numbers.
    /// assert!(rows.all(|row| row.split(',').count() == 41));
    /// ```
    pub const ATTRIBUTE_LATENT_CORRELATION: &str =
        include_str!("celeba/attribute_latent_correlation.csv");
}

/// Results that others published. What is shown of them is marked as cited.
pub mod published {
    /// CSV: Table 3 of the paper.
    pub const TABLE3: &str = include_str!("published/table3.csv");
    /// CSV: Table 4 of the paper.
    ///
    /// ```
    /// let first = foresee_data::published::TABLE4.lines().nth(1);
    /// assert_eq!(first, Some("Black_Hair,1,Blond_Hair"));
    /// ```
    pub const TABLE4: &str = include_str!("published/table4.csv");
    /// CSV: the 40 test accuracies that the authors of ABN published with their code.
    ///
    /// ```
    /// let rows = foresee_data::published::ABN_PER_ATTRIBUTE.lines().skip(1);
    /// let accuracies = rows.filter_map(|row| row.split(',').nth(1)?.parse::<f64>().ok());
    /// let mean = accuracies.sum::<f64>() / 40.;
    /// assert!((mean - 90.87).abs() < 0.005);
    /// ```
    pub const ABN_PER_ATTRIBUTE: &str = include_str!("published/abn_per_attribute.csv");
    /// CSV: how many of CelebA's faces have each attribute.
    ///
    /// ```
    /// let mut rows = foresee_data::published::ATTRIBUTE_COUNTS.lines();
    /// assert_eq!(rows.find_map(|row| row.strip_prefix("Young,")), Some("156734"));
    /// ```
    pub const ATTRIBUTE_COUNTS: &str = include_str!("published/attribute_counts.csv");
}

/// What benchmarks are measured with, so that everyone measures the same.
pub mod bench {
    /// JSON: of how many channels each of CelebA's 40 attributes keeps its masks, in the order of
    /// its annotations. `trained` is a trained network; `training` lists the masks that open on
    /// some pixel of 400 training faces after so many passes over the training images. Only counts
    /// are kept, and no weights.
    ///
    /// ```
    /// let (_, trained) = foresee_data::bench::KEPT_ROWS.split_once("\"trained\": [").unwrap();
    /// let (counts, _) = trained.split_once(']').unwrap();
    /// let counts: Vec<usize> = counts.split(", ").map(|n| n.parse().unwrap()).collect();
    /// assert_eq!(counts.len(), 40);
    /// assert!(counts.iter().all(|&count| count <= 128));
    /// ```
    pub const KEPT_ROWS: &str = include_str!("bench/kept_rows.json");
}

/// Settings of a run, as TOML: (name, text). The first states every key; each of the others states
/// what differs from it.
///
/// ```
/// let names = foresee_data::PROFILES.map(|(name, _)| name);
/// assert_eq!(names, ["quick", "small", "paper", "smoke"]);
/// let (_, paper) = foresee_data::PROFILES[2];
/// assert!(paper.contains("image_size = 64"));
/// ```
pub const PROFILES: [(&str, &str); 4] = [
    ("quick", include_str!("profiles/quick.toml")),
    ("small", include_str!("profiles/small.toml")),
    ("paper", include_str!("profiles/paper.toml")),
    ("smoke", include_str!("profiles/smoke.toml")),
];

/// Lists of runs for `foresee fidelity`, as TOML: (name, text).
///
/// ```
/// let names = foresee_data::STUDIES.map(|(name, _)| name);
/// let (paper, trainings) = names.split_at(3);
/// assert_eq!(paper, ["fidelity", "trained", "architecture"]);
/// assert_eq!(trainings, ["map", "promise", "forecasts", "accuracy"]);
/// ```
pub const STUDIES: [(&str, &str); 7] = [
    ("fidelity", include_str!("studies/fidelity.toml")),
    ("trained", include_str!("studies/trained.toml")),
    ("architecture", include_str!("studies/architecture.toml")),
    ("map", include_str!("studies/map.toml")),
    ("promise", include_str!("studies/promise.toml")),
    ("forecasts", include_str!("studies/forecasts.toml")),
    ("accuracy", include_str!("studies/accuracy.toml")),
];
