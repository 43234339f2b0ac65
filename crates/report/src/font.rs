//! The embedded font: figures look alike on every machine, also on one without fonts.

use std::sync::{Arc, Once};

use plotters::style::{FontStyle, register_font};
use resvg::usvg;

/// The font's name.
pub(crate) const FAMILY: &str = "DejaVu Sans";

/// Lets plotters measure text in the font.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // If a font could not be read, plotters would say so when text is drawn.
        let _ = register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular());
        let _ = register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold());
    });
}

/// Options under which SVG text is set in the font.
pub(crate) fn svg_options() -> usvg::Options<'static> {
    let mut options = usvg::Options::default();
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    options
}
