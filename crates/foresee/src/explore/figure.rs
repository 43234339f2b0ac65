//! What is saved of an operation: a figure of the changes, and the numbers.

use foresee_celeba::display_name;
use foresee_report::{About, ChangeBar, Format, Record, Source, change_bars, record};

use super::outcome::{Changed, Outcome, outcome};
use super::view::View;
use crate::error::Result;
use crate::operate::{FaceId, Opened};
use crate::provenance::source;
use crate::run::marked_csv;
use crate::session::MODEL;

record! {
    /// A row of the numbers.
    #[derive(Debug, Clone, PartialEq)]
    struct ChangedRow {
        /// The attribute.
        attribute: String,
        /// 1 or 0, where it is known.
        label: Option<usize>,
        /// The logit before and after.
        logit_before: f64,
        /// After.
        logit_after: f64,
        /// After minus before.
        change: f64,
        /// The probability before.
        probability_before: f64,
        /// After.
        probability_after: f64,
        /// 1 if the answer flips.
        flips: usize,
        /// The face: its number in the data set, or an image of one's own.
        face: String,
        /// What was done, as parameters of the link.
        operation: String,
    }
}

impl ChangedRow {
    fn new(changed: &Changed, face: &FaceId, operation: &str) -> Self {
        Self {
            face: face.to_string(),
            operation: operation.to_owned(),
            attribute: changed.attribute.to_owned(),
            label: changed.label.map(usize::from),
            logit_before: changed.before.into(),
            logit_after: changed.after.into(),
            change: f64::from(changed.after) - f64::from(changed.before),
            probability_before: changed.probability_before,
            probability_after: changed.probability_after,
            flips: usize::from(changed.flips),
        }
    }
}

/// The numbers before and after as CSV.
pub(super) fn csv(opened: &Opened, view: &View) -> Result<String> {
    let seen = opened.face(view.face.as_ref())?;
    let operation = view.operation.query();
    let row = |changed: &Changed| ChangedRow::new(changed, &seen.id, &operation);
    let rows: Vec<ChangedRow> = outcome(opened, view)?.attributes.iter().map(row).collect();
    let frame = ChangedRow::to_frame(&rows)?;
    let kind = match seen.id {
        FaceId::Test(_) => opened.run.manifest.data.kind(),
        FaceId::Upload(_) => OWN_IMAGE,
    };
    marked_csv(frame, kind)
}

/// What an upload is, in place of the kind of the run's faces.
const OWN_IMAGE: &str = "own image";

/// The figure of the changes in a format.
pub(super) fn figure(opened: &Opened, view: &View, format: Format) -> Result<Vec<u8>> {
    let outcome = outcome(opened, view)?;
    let bar = |changed: &Changed| ChangeBar {
        name: display_name(changed.attribute),
        before: changed.before.into(),
        after: changed.after.into(),
        marked: changed.flips,
    };
    let bars: Vec<ChangeBar> = outcome.attributes.iter().map(bar).collect();
    let style = opened.run.manifest.config.figures.style()?;
    let source = match view.face {
        Some(FaceId::Upload(_)) => Source {
            data: format!("an image of one's own; {}", source(&opened.run, "").data),
            synthetic: false,
        },
        _ => source(&opened.run, "one face"),
    };
    let mark = "the answer flips";
    let drawn =
        change_bars("explore_changes", &bars, "change of the logit", mark, &source, &style)?;
    let about = About {
        caption: caption(opened, view, &outcome)?,
        data: vec![MODEL.into()],
        command: "foresee explore --run .".into(),
    };
    Ok(drawn.about(about).bytes(format)?)
}

fn caption(opened: &Opened, view: &View, outcome: &Outcome) -> Result<String> {
    let seen = opened.face(view.face.as_ref())?;
    let link = View { face: Some(seen.id.clone()), ..view.clone() }.query();
    Ok(format!(
        "Logits of face {} before and after: {}. In the opened: /?{link}.",
        seen.id, outcome.title
    ))
}
