#![doc = include_str!("../README.md")]

mod architecture;
mod canvas;
mod colour;
mod curves;
mod error;
mod forest;
pub mod frame;
mod html;
mod maps;
mod table;

pub use architecture::{Architecture, architecture};
pub use canvas::{Figure, Source};
pub use curves::{Band, Curve, Level, Panel, curves};
pub use error::{Error, Result};
pub use forest::{Dot, Forest, forest};
pub use html::{Report, Section};
pub use maps::{
    AttributionMethod, AttributionRow, CellGrid, Face, FaceRow, HeatMap, Reading, cell_grids,
    face_attributions, face_masks, heat_maps,
};
pub use table::Table;
