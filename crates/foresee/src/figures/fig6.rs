//! Figure 6: correlation among channels.

use foresee_report::{Figure, HeatMap, heat_maps};

use super::{Drawing, Request, Takes, always};
use crate::artifacts::{Artifact, Channel, ChannelCorrelation, Row};
use crate::error::Result;
use crate::provenance::measured_training_faces;

pub(super) const DRAWING: Drawing = Drawing {
    name: "fig6_channel_correlation",
    caption: "Figure 6: correlation among the channels of the feature map.",
    caption_of_chosen: None,
    data: &[ChannelCorrelation::PATH, <Channel as Row>::PATH],
    takes: Takes::Panels,
    needs: None,
    is_in: always,
    draw,
};

fn draw(request: &Request, name: &str) -> Result<Figure> {
    let rows = request.run.read::<ChannelCorrelation>()?.0.rows;
    let channels: Vec<Channel> = request.run.read()?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&channel| channels[channel].cluster_position);
    let clustered = order.iter().map(|&i| order.iter().map(|&j| rows[i][j]).collect()).collect();
    let maps = vec![
        HeatMap { title: "by feature id".into(), rows, axis: "channel (feature id)".into() },
        HeatMap {
            title: "clustered (average linkage)".into(),
            rows: clustered,
            axis: "channel, similar ones side by side".into(),
        },
    ];
    let maps = request.panels(name, maps)?;
    let source = request.source(&measured_training_faces(request.run));
    Ok(heat_maps(name, &maps, "correlation ρ", &source, &request.style)?)
}
