//! Table 1: the feature extractor.

use foresee_kernels::LEAKY_RELU_SLOPE;
use foresee_report::{Architecture, Table};

use crate::provenance::thousands;

pub(super) fn extractor(network: &Architecture) -> Table {
    let caption = "Table 1. Architecture of the feature extractor.";
    let header = ["layer", "kernel", "dilation, padding", "channels"];
    let mut table = Table::new("table1_extractor", caption, &header);
    let mut row = |layer: &str, kernel: &str, dilation: String, channels: String| {
        table.rows.push(vec![layer.into(), kernel.into(), dilation, channels]);
    };
    row("RGB image", "", String::new(), format!("3 × {0} × {0}", network.image_size));
    let relu = format!("LeakyReLU, slope {LEAKY_RELU_SLOPE}");
    for (inputs, outputs, dilation) in &network.blocks {
        let channels = format!("{inputs} → {outputs}");
        row("convolution, stride 1", "3 × 3", dilation.to_string(), channels);
        row("BatchNorm", "", String::new(), outputs.to_string());
        row(&relu, "", String::new(), outputs.to_string());
    }
    table.notes.push(format!(
        "{} trainable values in the whole network. All strides are 1: features have the size of \
         the image.",
        thousands(network.parameters as u64)
    ));
    table
}
