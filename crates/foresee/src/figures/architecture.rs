//! Figure 2: the network, and where the operations act.

use candle_core::Device;
use foresee_celeba::ATTRIBUTES;
use foresee_model::Network;
use foresee_report::{Architecture, Figure};

use super::{Drawing, Request, Takes, always};
use crate::error::Result;
use crate::run::Run;
use crate::session::MODEL;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig2_architecture",
    caption: "Figure 2: the network as it is built, and where the operations act.",
    caption_of_chosen: None,
    data: &[MODEL],
    takes: Takes::Nothing,
    needs: None,
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let network = architecture(request.run)?;
    let source = request.source("");
    Ok(foresee_report::architecture(name, &network, &source, &request.style)?)
}

/// A run's network as it is built.
pub(crate) fn architecture(run: &Run) -> Result<Architecture> {
    let (network, _) = Network::load(&run.path(MODEL), &Device::Cpu)?;
    let config = network.config();
    Ok(Architecture {
        image_size: run.manifest.config.data.image_size,
        blocks: network.extractor().plan(),
        attributes: ATTRIBUTES.len(),
        mask_kernel: config.attention.then_some(config.mask_kernel),
        parameters: network.parameters(),
    })
}
