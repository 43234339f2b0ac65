//! The page of explanations.

use foresee_report::{Section, Table};

use super::rows::ExplanationRow;
use super::{PART, figure, maps_file, rows};
use crate::error::Result;
use crate::networks::folder::Folder;
use crate::networks::page::{Content, Page};
use crate::networks::task::Task;
use crate::provenance::number;

/// The page.
pub(crate) const PAGE: &str = "explain.html";
const FORMAT: u32 = 3;

/// For a reader who does not know the methods.
const TEXT: &str = "Each column is an image and one output of the network, with its probability. \
     Each row is an attribution method. The maps say which pixels the output's value depends on \
     (gradients), or how it is shared among the pixels (LRP, integrated gradients). Methods \
     disagree; none of them is the truth.";

/// Draws the figures and writes the page of these parts, unless they are there.
pub(super) fn write(task: &Task, folder: &mut Folder, parts: &[String]) -> Result<()> {
    let title = "Which pixels an answer comes from";
    let images = task.images.len();
    let page = Page { file: PAGE, format: FORMAT, title, of: parts, images };
    let names: Vec<&str> = parts.iter().map(|part| &part[PART.len()..]).collect();
    page.write(task, folder, |folder, source| {
        let files: Vec<String> = names.iter().map(|name| maps_file(name)).collect();
        let rows = rows(folder, parts)?;
        let mut sections = vec![Section::Text(TEXT.into())];
        sections.extend(
            figure::figures(task, folder, &files, source)?.into_iter().map(Section::Figure),
        );
        sections.push(Section::Table(table(&rows)));
        Ok(Content { summary: vec![("images".into(), names.len().to_string())], sections })
    })
}

/// Every map in numbers.
pub(crate) fn table(rows: &[ExplanationRow]) -> Table {
    let header = ["image", "output", "probability", "label", "method", "sum", "max |value|", "gap"];
    let mut table = Table::new(
        "explanations",
        "Every map in numbers: the probability of its output, the sum of its values, the largest \
         |value|, and of integrated gradients how far the sum misses what it should be. The maps \
         themselves are in data/explanations/.",
        &header,
    );
    table.rows.extend(rows.iter().map(|row| {
        vec![
            row.image.clone(),
            row.output.clone(),
            number(row.probability, 4),
            row.label.clone(),
            row.method.title().into(),
            number(row.sum, 4),
            number(row.max_abs, 4),
            number(row.completeness_gap, 4),
        ]
    }));
    table
}
