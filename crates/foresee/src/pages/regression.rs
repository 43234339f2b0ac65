//! The paper's example, regression models (Eq. 3 to 7): a chapter of every run's report, and a page
//! of its own.

use std::path::Path;

use foresee_report::{Report, Section, Table};

use crate::artifacts::{Artifact, RegressionReport};
use crate::error::Result;
use crate::provenance::simulated;
use crate::run::{REPORT, write_simulated};
use crate::{figures, tables};

/// How the page's title begins.
pub(crate) const TITLE: &str = "Which regression model is predictable?";

/// For a reader who does not know the code.
pub(super) const TEXT: &str = "The paper's example of its definition. A function on [-1, 1] is \
     fitted by least squares with 2N+1 coefficients in three bases; then one coefficient is \
     perturbed. The forecast of a person who sees the coefficients is: only this component \
     changes, by this much. It is scored in two ways: on the components that one reads off the \
     perturbed function through the basis, and on the coefficients when all others are then \
     fitted anew to the same points.";

/// Writes `data/`, `figures/`, `tables/` and the page into a folder; its table.
pub(crate) fn write(out: &Path, measured: &RegressionReport, seeds: u64) -> Result<Table> {
    write_simulated(&out.join(RegressionReport::PATH), measured)?;
    let source = simulated();
    let figures = figures::regression(measured)?;
    for figure in &figures {
        figure.save(&out.join("figures"))?;
    }
    let table = tables::regression(measured, &source);
    table.save(&out.join("tables"))?;
    let mut sections = vec![Section::Text(TEXT.into())];
    sections.extend(figures.into_iter().map(Section::Figure));
    sections.push(Section::Table(table.clone()));
    let report = Report {
        title: format!("{TITLE} Kimura & Tanaka (2020), Eq. 3 to 7"),
        source,
        summary: vec![("data sets".into(), seeds.to_string())],
        sections,
    };
    let path = out.join(REPORT);
    report.save(&path)?;
    tracing::info!("open {}", path.display());
    Ok(table)
}
