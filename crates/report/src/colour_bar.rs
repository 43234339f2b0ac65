//! The legend of a colour map.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Canvas, Drawn, Picture};
use crate::style::{SMALL, Style};

const BAR: i32 = 12;
/// Widest bar.
const WIDEST: i32 = 320;

/// A horizontal bar with its ends and its middle below it, and its title above.
pub(crate) struct ColourBar<'a, F> {
    /// The colour of a share from 0, at the left, to 1.
    pub colour: F,
    /// The values at the ends.
    pub ends: (f64, f64),
    /// What the colours are.
    pub title: &'a str,
}

/// Height of a bar with this title in this width.
pub(crate) fn height(style: &Style, title: &str, width: i32) -> i32 {
    style.fitted(title, SMALL, width).height() + BAR + 26
}

impl<F: Fn(f64) -> [u8; 3]> ColourBar<'_, F> {
    /// Draws it with its left and top end at a place.
    pub fn draw(&self, canvas: &Canvas, (x, y): (i32, i32), width: i32) -> Drawn {
        let title = canvas.style.fitted(self.title, SMALL, width);
        title.right_of(canvas, (x, y + title.line_height() / 2))?;
        let y = y + title.height() + 2;
        let wide = width.min(WIDEST);
        let rgb = (0..256).flat_map(|i| (self.colour)(f64::from(i) / 255.)).collect();
        canvas.place(Picture { at: (x, y), size: (wide, BAR), pixels: (256, 1), rgb });
        canvas.area.draw(&Rectangle::new([(x - 1, y - 1), (x + wide, y + BAR)], BLACK))?;
        let (low, high) = self.ends;
        let labels = [
            (0., low, HPos::Left),
            (0.5, low / 2. + high / 2., HPos::Center),
            (1., high, HPos::Right),
        ];
        // Without a scale there is nothing but its lower end.
        for (share, value, anchor) in labels.into_iter().take(if high > low { 3 } else { 1 }) {
            let at = x + (f64::from(wide) * share) as i32;
            canvas.area.draw(&PathElement::new([(at, y + BAR), (at, y + BAR + 3)], BLACK))?;
            let label = number_label(value);
            canvas.text(&label, (at, y + BAR + 5), SMALL, BLACK, (anchor, VPos::Top))?;
        }
        Ok(())
    }
}

/// A number for a label: about three digits that matter; a dash for what is undefined.
pub(crate) fn number_label(value: f64) -> String {
    match value.abs() {
        0. => "0".into(),
        v if !v.is_finite() => "–".into(),
        v if v < 9.5e-4 => format!("{value:.0e}"),
        v if v < 0.0995 => format!("{value:.3}"),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99999.5 => format!("{value:.0}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        for (value, expected) in [
            (0., "0"),
            (2e-4, "2e-4"),
            (0.0312, "0.031"),
            (-1.5, "-1.50"),
            (123.4, "123"),
            (9.4e-4, "9e-4"),
            (9.6e-4, "0.001"),
            (9.999, "10"),
            (1.26e6, "1.3e6"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number_label(value), expected);
        }
    }
}
