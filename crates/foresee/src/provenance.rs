//! What stands on every figure and table: what the network was trained on, and what the numbers
//! were measured on.

use foresee_predict::RegressionStudy;
use foresee_report::Source;

use crate::run::{Manifest, Run};

/// The note of a figure or table whose numbers were `measured` on this, if on anything.
pub(crate) fn source(run: &Run, measured: &str) -> Source {
    let m = &run.manifest;
    let trained = match &m.model_file {
        Some(file) => file.description(),
        None => training(m),
    };
    // Of synthetic faces the note itself says so.
    let mut data = if m.data.synthetic { trained } else { format!("CelebA: {trained}") };
    if !measured.is_empty() {
        data.push_str(&format!("; measured on {measured}"));
    }
    Source { data, synthetic: m.data.synthetic }
}

/// What the network of a run was trained on, and how.
fn training(m: &Manifest) -> String {
    let epochs = m.config.train.trainer.epochs;
    format!(
        "trained on {} faces at {} px, {epochs} {}, {}, seed {}",
        thousands(first_of(m.data.train, m.config.train.limit) as u64),
        m.config.data.image_size,
        if epochs == 1 { "epoch" } else { "epochs" },
        m.config.training_title(),
        m.seed
    )
}

/// The note of figures of functions, which no data went into.
pub(crate) fn functions() -> Source {
    Source { data: "computed from the functions alone, without data".into(), synthetic: false }
}

/// The note of figures and tables of the regression models.
pub(crate) fn simulated() -> Source {
    let study = RegressionStudy::default();
    let data = format!(
        "simulated data: random smooth functions on [-1, 1], {} points with noise of σ = {}",
        study.points, study.noise
    );
    Source { data, synthetic: false }
}

/// How many of `all` faces a setting takes, 0 meaning all.
pub(crate) fn first_of(all: usize, limit: usize) -> usize {
    if limit == 0 { all } else { limit.min(all) }
}

/// The training faces that the stage `measure` took its statistics over.
pub(crate) fn measured_training_faces(run: &Run) -> String {
    let m = &run.manifest;
    format!("{} training faces", first_of(m.data.train, m.config.measure.images))
}

/// So many test faces; none if nothing was measured.
pub(crate) fn test_faces(images: Option<usize>) -> String {
    format!("{} test faces", images.unwrap_or(0))
}

/// A share in percent; a dash for what is undefined.
pub(crate) fn percent(share: f64) -> String {
    number(100. * share, 2)
}

/// A number with so many digits behind the point; a dash for what is undefined.
pub(crate) fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = format!("{value:.digits$}");
    // Nothing below 0 that rounds to it is -0.
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.into(),
        _ => text,
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let first = digits.len() % 3;
    let mut parts: Vec<&str> = vec![&digits[..first]];
    parts.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    parts.retain(|part| !part.is_empty());
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 123, 1234, 123_456, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }
}
