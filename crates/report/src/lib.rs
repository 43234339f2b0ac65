#![doc = include_str!("../README.md")]

mod architecture;
mod canvas;
mod cell;
mod cell_grid;
mod colour;
mod colour_bar;
mod curves;
mod error;
mod face;
mod face_attributions;
mod face_masks;
mod figure;
mod font;
mod forest;
pub mod frame;
mod heat_map;
mod html;
mod latex;
mod line_style;
mod matrix_table;
mod overlay;
mod pdf;
mod plane_table;
mod png;
pub mod record;
mod scale;
mod source;
mod style;
mod table;
mod tikz;
mod wide_table;

pub use architecture::{Architecture, architecture};
pub use cell::{Cell, Fixed, Scientific};
pub use cell_grid::{CellGrid, cell_grids};
pub use curves::{Band, Curve, Level, Panel, curves};
pub use error::{Error, Result};
pub use face::Face;
pub use face_attributions::{
    AttributionColumn, AttributionKind, AttributionMethod, face_attributions,
};
pub use face_masks::{FaceRow, face_masks};
pub use figure::{About, Figure, is_figure};
pub use font::Font;
pub use forest::{Dot, Forest, forest};
pub use frame::{Column, DataFrame};
pub use heat_map::{HeatMap, heat_maps};
pub use html::{Report, Section, is_report};
pub use line_style::LineStyle;
pub use matrix_table::MatrixTable;
pub use overlay::overlay;
pub use plane_table::{Plane, PlaneTable};
pub use record::Record;
pub use source::Source;
pub use style::{Format, Palette, Preset, Style};
pub use table::Table;
pub use wide_table::WideTable;
