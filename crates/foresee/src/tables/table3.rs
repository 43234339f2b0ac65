//! Table 3: accuracy, of this run and cited.

use foresee_celeba::display_name;
use foresee_report::Table;

use super::published::{self, CitedAccuracy};
use crate::artifacts::{Accuracy, AttributeAccuracy};
use crate::error::Result;
use crate::provenance::{number, percent, source, test_faces};
use crate::run::Run;

pub(super) fn accuracy(run: &Run) -> Result<Table> {
    let caption = "Table 3. Classification accuracy: the paper's rows (cited) and this run.";
    let header = [
        "method",
        "mean accuracy [%]",
        "balanced accuracy [%]",
        "area under the ROC curve",
        "origin",
        "data and remarks",
    ];
    let mut table = Table::new("table3_accuracy", caption, &header);
    for CitedAccuracy { method, accuracy_percent, note } in published::table3()? {
        let origin = "cited from the paper's Table 3";
        let accuracy = format!("{accuracy_percent:.2}");
        let unknown = || "–".to_owned();
        table.cited.push(table.rows.len());
        table.rows.push(vec![method, accuracy, unknown(), unknown(), origin.into(), note]);
    }
    let ours: Accuracy = run.read_one()?;
    let manifest = &run.manifest;
    let kind = if manifest.data.synthetic { "SYNTHETIC faces" } else { "faces" };
    let faces = format!("{} unseen {kind}", ours.images);
    let settings = format!(
        "{faces}; {} px, {} epochs, {}",
        manifest.config.data.image_size,
        manifest.config.train.trainer.epochs,
        manifest.config.training_title()
    );
    let mut row = |method: &str, values: [String; 3], remark: &str| {
        let [accuracy, balanced, auc] = values;
        let texts = [method, &accuracy, &balanced, &auc, "run here", remark];
        table.rows.push(texts.map(String::from).to_vec());
    };
    // Who always gives one answer has these two by definition.
    let majority = [percent(ours.majority_accuracy), "50.00".into(), "0.5000".into()];
    row("majority-class baseline (of the training faces)", majority, &faces);
    let values = [percent(ours.accuracy), percent(ours.balanced_accuracy), number(ours.auc, 4)];
    row("this run", values, &settings);
    let drawn = if manifest.data.synthetic { ", which are of drawn faces" } else { "" };
    table.notes.push(format!(
        "Cited rows were not run here. They used different images and crops, so that they are \
         comparable neither with each other nor with this run's rows{drawn}."
    ));
    table.notes.push(
        "Balanced accuracy: the mean of the shares right with and without the attribute.".into(),
    );
    Ok(table.measured_on(&source(run, &test_faces(Some(ours.images)))))
}

pub(super) fn by_attribute(run: &Run) -> Result<Table> {
    let abn = published::abn()?;
    let header = [
        "attribute",
        "frequency [%]",
        "accuracy [%]",
        "majority of the training faces [%]",
        "balanced [%]",
        "AUC",
        "ABN, cited [%]",
    ];
    let caption = "Table 3 by attribute: this run, and ABN's published accuracies.";
    let mut table = Table::new("table3_per_attribute", caption, &header);
    for ours in run.read::<Vec<AttributeAccuracy>>()? {
        let cited = abn.iter().find(|cited| cited.attribute == ours.attribute);
        table.rows.push(vec![
            display_name(&ours.attribute),
            percent(ours.frequency),
            percent(ours.accuracy),
            percent(ours.majority_accuracy),
            percent(ours.balanced_accuracy),
            number(ours.auc, 4),
            cited.map_or("–".into(), |cited| format!("{:.2}", cited.abn_accuracy_percent)),
        ]);
    }
    table.notes.push(
        "ABN: published by its authors with their code, on all of CelebA's test faces; cited, not \
         run here."
            .into(),
    );
    let images = run.read_one::<Accuracy>()?.images;
    Ok(table.measured_on(&source(run, &test_faces(Some(images)))))
}
