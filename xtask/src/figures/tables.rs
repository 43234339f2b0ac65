//! Tables 1 to 4.

use anyhow::Result;
use foresee_celeba::{ATTRIBUTES, display_name};
use foresee_report::frame::{self, DataFrame};
use foresee_report::{Architecture, Table};

use super::{images, percent, some_of, source};
use crate::run::Run;

const TABLE3: &str = include_str!("../../../data/published/table3.csv");
const TABLE4: &str = include_str!("../../../data/published/table4.csv");
const ABN: &str = include_str!("../../../data/published/abn_per_attribute.csv");
/// Neighbours listed for an attribute, as in the paper.
const NEIGHBOURS: usize = 5;

pub fn all(run: &Run, network: &Architecture) -> Result<Vec<Table>> {
    Ok(vec![
        table1(network),
        table2(run, network),
        table3(run)?,
        table3_per_attribute(run)?,
        table4(run)?,
    ])
}

fn published(text: &str) -> Result<DataFrame> {
    Ok(frame::parse_csv(text)?)
}

fn table1(network: &Architecture) -> Table {
    let mut table = Table::new(
        "table1_extractor",
        "Table 1. Architecture of the feature extractor.",
        &["layer", "kernel", "dilation, padding", "channels"],
    );
    table.rows.push(vec![
        "RGB image".into(),
        "".into(),
        "".into(),
        format!("3 × {0} × {0}", network.image_size),
    ]);
    for (inputs, outputs, dilation) in &network.blocks {
        table.rows.push(vec![
            "convolution, stride 1".into(),
            "3 × 3".into(),
            dilation.to_string(),
            format!("{inputs} → {outputs}"),
        ]);
        table.rows.push(vec!["BatchNorm".into(), "".into(), "".into(), outputs.to_string()]);
        table.rows.push(vec![
            "LeakyReLU, slope 0.01".into(),
            "".into(),
            "".into(),
            outputs.to_string(),
        ]);
    }
    table
        .notes
        .push(format!("{} trainable values in the whole network. All strides are 1: features have the size of the image.", network.parameters));
    table
}

fn table2(run: &Run, network: &Architecture) -> Table {
    let channels = network.blocks.last().map_or(0, |b| b.1);
    let n = network.mask_kernel;
    let caption =
        format!("Table 2. Architecture of each of the {} binary classifiers.", network.attributes);
    let mut table = Table::new("table2_classifier", &caption, &["layer", "channels"]);
    let readout = match run.manifest.config.model.readout {
        foresee_model::Readout::Linear => "linear readout",
        foresee_model::Readout::Mean => "mean over channels, learned bias",
    };
    table.rows = [
        ("features z".to_owned(), channels.to_string()),
        (format!("attention mask: sigmoid of a {n} × {n} convolution of z"), channels.to_string()),
        ("element-wise product with z".into(), channels.to_string()),
        ("global average pooling".into(), channels.to_string()),
        (readout.into(), "1".into()),
        ("sigmoid".into(), "1".into()),
    ]
    .map(|(layer, channels)| vec![layer, channels])
    .to_vec();
    table.notes.push("The paper does not say how 128 pooled channels become one answer; the readout is this project's reading.".into());
    table
}

fn table3(run: &Run) -> Result<Table> {
    let cited = published(TABLE3)?;
    let caption = "Table 3. Classification accuracy: the paper's rows (cited) and this run.";
    let mut table = Table::new(
        "table3_accuracy",
        caption,
        &["method", "mean accuracy [%]", "origin", "data and remarks"],
    );
    let (methods, accuracy, notes) = (
        frame::texts(&cited, "method")?,
        frame::numbers(&cited, "accuracy_percent")?,
        frame::texts(&cited, "note")?,
    );
    for ((method, accuracy), note) in methods.into_iter().zip(accuracy).zip(notes) {
        table.rows.push(vec![
            method,
            format!("{accuracy:.2}"),
            "cited from the paper's Table 3".into(),
            note,
        ]);
    }
    let ours = run.read_csv("data/accuracy.csv")?;
    let number = |name: &str| -> Result<f64> { Ok(frame::numbers(&ours, name)?[0]) };
    let count = number("images")?;
    let faces = format!(
        "{count} unseen {}",
        if run.manifest.data.synthetic { "SYNTHETIC faces" } else { "faces" }
    );
    let row = |method: &str, value: f64, remark: String| {
        vec![method.to_owned(), percent(value), "run here".to_owned(), remark]
    };
    table.rows.push(row(
        "always the majority of the training faces",
        number("majority_accuracy")?,
        faces.clone(),
    ));
    let config = &run.manifest.config;
    let how = format!(
        "{faces}; {} px, {} epochs, {}",
        config.data.image_size,
        config.train.epochs,
        config.sparsity_in_words()
    );
    table.rows.push(row("this run", number("accuracy")?, how));
    table.rows.push(row(
        "this run, balanced accuracy",
        number("balanced_accuracy")?,
        "mean of the shares right with and without the attribute".into(),
    ));
    table.rows.push(vec![
        "this run, area under the ROC curve".into(),
        format!("{:.4}", number("auc")?),
        "run here".into(),
        "not a percentage".into(),
    ]);
    table.notes.push("Cited rows were not re-run here and are not like for like among each other: they used different images and crops.".into());
    Ok(table.measured_on(&source(run, &images(run, "data/accuracy.csv")?)))
}

fn table3_per_attribute(run: &Run) -> Result<Table> {
    let ours = run.read_csv("data/accuracy_per_attribute.csv")?;
    let abn = published(ABN)?;
    let (abn_names, abn) =
        (frame::texts(&abn, "attribute")?, frame::numbers(&abn, "abn_accuracy_percent")?);
    let column = |name: &str| frame::numbers(&ours, name);
    let (frequency, accuracy, balanced) =
        (column("frequency")?, column("accuracy")?, column("balanced_accuracy")?);
    let (auc, majority) = (column("auc")?, column("majority_accuracy")?);
    let header = [
        "attribute",
        "frequency [%]",
        "accuracy [%]",
        "majority [%]",
        "balanced [%]",
        "AUC",
        "ABN, cited [%]",
    ];
    let mut table = Table::new(
        "table3_per_attribute",
        "Table 3 by attribute: this run, and ABN's published accuracies.",
        &header,
    );
    for (k, name) in ATTRIBUTES.iter().enumerate() {
        let cited = abn_names
            .iter()
            .position(|n| n == name)
            .map_or("–".into(), |i| format!("{:.2}", abn[i]));
        let auc = if auc[k].is_nan() { "–".into() } else { format!("{:.4}", auc[k]) };
        table.rows.push(vec![
            display_name(name),
            percent(frequency[k]),
            percent(accuracy[k]),
            percent(majority[k]),
            percent(balanced[k]),
            auc,
            cited,
        ]);
    }
    table.notes.push("ABN: published by its authors with their code, on all of CelebA's test faces; cited, not run here.".into());
    Ok(table.measured_on(&source(run, &images(run, "data/accuracy.csv")?)))
}

fn table4(run: &Run) -> Result<Table> {
    let ours = run.read_csv("data/attribute_neighbours.csv")?;
    let (of, rank) = (frame::texts(&ours, "attribute")?, frame::numbers(&ours, "rank")?);
    let (neighbour, correlation) =
        (frame::texts(&ours, "neighbour")?, frame::numbers(&ours, "correlation")?);
    let cited = published(TABLE4)?;
    let (cited_of, cited_neighbour) =
        (frame::texts(&cited, "attribute")?, frame::texts(&cited, "neighbour")?);
    let header = [
        "attribute",
        "five highest correlated attributes, this run (ρ)",
        "the paper's five (cited)",
        "in both",
    ];
    let mut table = Table::new(
        "table4_attribute_correlation",
        "Table 4. Correlation among the attributes' mean masks.",
        &header,
    );
    // The paper's three first, then the others.
    let mut order: Vec<&str> = cited_of.iter().map(String::as_str).collect();
    order.dedup();
    order.extend(ATTRIBUTES.iter().filter(|name| !cited_of.iter().any(|c| c == *name)));
    for name in order {
        let mine: Vec<usize> =
            (0..of.len()).filter(|&i| of[i] == name && rank[i] <= NEIGHBOURS as f64).collect();
        let theirs: Vec<&String> = cited_of
            .iter()
            .zip(&cited_neighbour)
            .filter(|(attribute, _)| *attribute == name)
            .map(|(_, n)| n)
            .collect();
        let shared = mine.iter().filter(|&&i| theirs.contains(&&neighbour[i])).count();
        let list = mine
            .iter()
            .map(|&i| format!("{} ({:.2})", display_name(&neighbour[i]), correlation[i]))
            .collect::<Vec<_>>()
            .join(", ");
        let (paper, both) = match theirs.is_empty() {
            true => ("–".into(), "–".into()),
            false => (
                theirs.iter().map(|n| display_name(n)).collect::<Vec<_>>().join(", "),
                format!("{shared} of {}", theirs.len()),
            ),
        };
        table.rows.push(vec![display_name(name), list, paper, both]);
    }
    let faces = format!(
        "{} training faces",
        some_of(run.manifest.data.train, run.manifest.config.measure.images)
    );
    Ok(table.measured_on(&source(run, &faces)))
}
