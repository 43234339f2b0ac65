//! Table 2: the binary classifiers.

use foresee_model::Readout;
use foresee_report::{Architecture, Table};

use crate::run::Run;

pub(super) fn classifier(run: &Run, network: &Architecture) -> Table {
    let channels = network.blocks.last().map_or(0, |b| b.1).to_string();
    let n = network.mask_kernel;
    let caption =
        format!("Table 2. Architecture of each of the {} binary classifiers.", network.attributes);
    let mut table = Table::new("table2_classifier", &caption, &["layer", "channels"]);
    let readout = match run.manifest.config.model.readout {
        Readout::Linear => "linear readout",
        Readout::Mean => "mean over channels, learned bias",
    };
    let mask = format!("attention mask: sigmoid of a {n} × {n} convolution of z");
    table.rows = [
        ["features z", &channels],
        [&mask, &channels],
        ["element-wise product with z", &channels],
        ["global average pooling", &channels],
        [readout, "1"],
        ["sigmoid", "1"],
    ]
    .map(|row| row.map(String::from).to_vec())
    .to_vec();
    table.notes.push(
        "The paper does not say how 128 pooled channels become one answer; the readout is this \
         project's reading."
            .into(),
    );
    table
}
