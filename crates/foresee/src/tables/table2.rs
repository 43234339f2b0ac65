//! Table 2: the binary classifiers.

use foresee_model::Readout;
use foresee_report::{Architecture, Table};

use crate::run::Run;

pub(super) fn classifier(run: &Run, network: &Architecture) -> Table {
    let channels = network.blocks.last().map_or(0, |b| b.1).to_string();
    let caption =
        format!("Table 2. Architecture of each of the {} binary classifiers.", network.attributes);
    let mut table = Table::new("table2_classifier", &caption, &["layer", "channels"]);
    let readout = match run.manifest.config.model.readout {
        Readout::Linear => "linear readout",
        Readout::Mean => "mean over channels, learned bias",
        Readout::Signs => "readout by fixed signs, learned bias",
        Readout::Sum => "sum over channels, learned bias",
        Readout::Positive => "linear readout, no weight below 0",
    };
    let mask = network
        .mask_kernel
        .map(|n| format!("attention mask: sigmoid of a {n} × {n} convolution of z"));
    let mut rows: Vec<[&str; 2]> = vec![["features z", channels.as_str()]];
    if let Some(mask) = &mask {
        rows.extend([[mask.as_str(), &channels], ["element-wise product with z", &channels]]);
    }
    rows.extend([["global average pooling", &channels], [readout, "1"], ["sigmoid", "1"]]);
    table.rows = rows.into_iter().map(|row| row.map(String::from).to_vec()).collect();
    table.notes.push(format!(
        "The paper does not say how the pooled channels (128 there, {channels} here) become one \
         answer; the readout is this project's reading."
    ));
    table
}
