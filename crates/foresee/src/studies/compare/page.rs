//! What the comparison leaves: data, tables, figures and a page.

use std::path::Path;

use foresee_report::{Record, Report, Section, Source, frame};

use super::figures::figures;
use super::settings::settings;
use super::tables::{by_attribute, systems, under_noise, when_pruned};
use super::{Request, Results, forecasts};
use crate::artifacts::{ConditionRow, Row, SystemAttribute, SystemForecast, SystemPass, SystemRow};
use crate::config::SystemName;
use crate::error::Result;
use crate::provenance::first_of;
use crate::run::{Lock, REPORT, Run};
use crate::studies::runs::{Outcome, State, StudyRun};

/// The page's title.
pub(crate) const TITLE: &str = "Table 3, run: systems for the attributes of faces";

/// Writes all that the comparison leaves, and gives what it found.
pub(crate) fn write(
    request: &Request,
    runs: &[(SystemName, Run)],
    outcome: &Outcome,
) -> Result<Results> {
    let out = request.out;
    // Two analyses at once would mix their files.
    let _lock = Lock::wait(out)?;
    let results = Results::new(runs)?;
    write_data(out, &results)?;
    let source = source(runs);
    let mut sections = vec![
        Section::Text(
            "All networks saw the same training faces through the same loader, and were trained \
             by the same optimizer (AdamW) with a one-cycle schedule; the table of settings says \
             where their settings differ. FaceTracer is no network: it learned from at most 4,000 \
             of these faces, which its seed drew, as they are. FaceTracer, PANDA-l and LNets+ANet \
             answer by support vector machines, and MOON by a regression on -1 and 1: what is \
             above 0 says yes, but is no log-odds, as the logits of the others are. Rows marked \
             as cited are from the paper, which quotes them from others: they used other images \
             and protocols, and networks of full width."
                .into(),
        ),
        Section::Table(systems(&results.systems, &source)?),
        Section::Table(settings(runs, &source)?),
    ];
    let figures = figures(&results, &source)?;
    sections.extend(figures.iter().cloned().map(Section::Figure));
    sections.push(Section::Table(under_noise(&results.conditions, &source)));
    sections.push(Section::Table(when_pruned(&results.conditions, &source)));
    sections.extend(forecasts::tables(&results.forecasts, &source).into_iter().map(Section::Table));
    sections.push(Section::Table(by_attribute(&results.attributes, &source)));
    for section in &sections {
        if let Section::Table(table) = section {
            table.save(&out.join("tables"))?;
        }
    }
    for figure in &figures {
        figure.save(&out.join("figures"))?;
    }
    let mut summary = vec![("runs done".to_owned(), runs.len().to_string())];
    for (number, entry) in request.entries().iter().enumerate() {
        match State::of(out, number, entry, outcome) {
            State::Done => {}
            state => summary.push((entry.title(), state.title())),
        }
    }
    let report = Report { title: TITLE.into(), source, summary, sections };
    report.save(&out.join(REPORT))?;
    tracing::info!("open {}", out.join(REPORT).display());
    Ok(results)
}

fn write_data(out: &Path, results: &Results) -> Result<()> {
    let write = |path: &str, frame| frame::write_csv(&out.join(path), &frame);
    write(<SystemRow as Row>::PATH, SystemRow::to_frame(&results.systems)?)?;
    write(<ConditionRow as Row>::PATH, ConditionRow::to_frame(&results.conditions)?)?;
    write(<SystemAttribute as Row>::PATH, SystemAttribute::to_frame(&results.attributes)?)?;
    write(<SystemPass as Row>::PATH, SystemPass::to_frame(&results.learning)?)?;
    write(<SystemForecast as Row>::PATH, SystemForecast::to_frame(&results.forecasts)?)?;
    Ok(())
}

fn source(runs: &[(SystemName, Run)]) -> Source {
    let Some((_, run)) = runs.first() else {
        return Source { data: "no run is done".into(), synthetic: false };
    };
    let manifest = &run.manifest;
    let data = format!(
        "{}trained on {} faces at {} px; {} test faces",
        if manifest.data.synthetic { "" } else { "CelebA: " },
        first_of(manifest.data.train, manifest.config.train.limit),
        manifest.config.data.image_size,
        manifest.data.test
    );
    Source { data, synthetic: manifest.data.synthetic }
}
