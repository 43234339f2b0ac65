//! Figure 6: correlation among channels.

use foresee_report::{Figure, HeatMap, heat_maps};

use crate::artifacts::{Channel, ChannelCorrelation};
use crate::error::Result;
use crate::provenance::{measured_training_faces, source};
use crate::run::Run;

pub(super) fn channel_correlation(run: &Run) -> Result<Figure> {
    let rows = run.read::<ChannelCorrelation>()?.0.rows;
    let channels: Vec<Channel> = run.read()?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&channel| channels[channel].cluster_position);
    let clustered = order.iter().map(|&i| order.iter().map(|&j| rows[i][j]).collect()).collect();
    let maps = [
        HeatMap { title: "by feature id".into(), rows, axis: "channel (feature id)".into() },
        HeatMap {
            title: "clustered (average linkage)".into(),
            rows: clustered,
            axis: "channel, similar ones side by side".into(),
        },
    ];
    let source = source(run, &measured_training_faces(run));
    Ok(heat_maps("fig6_channel_correlation", &maps, "correlation ρ", &source)?)
}
