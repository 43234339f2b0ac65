//! The legend of a colour map.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::{Area, Drawn, Picture, right_of, style};

const WIDTH: i32 = 14;

/// Draws a vertical colour bar with its ends, its middle and a title; `colour` is that of a share
/// from 0 at the bottom to 1 at the top.
pub(crate) fn colour_bar(
    area: &Area,
    pictures: &mut Vec<Picture>,
    (x, y): (i32, i32),
    height: i32,
    colour: impl Fn(f64) -> [u8; 3],
    (low, high): (f64, f64),
    title: &str,
) -> Drawn {
    let rgb = (0..256).flat_map(|i| colour(1. - f64::from(i) / 255.)).collect();
    pictures.push(Picture { at: (x, y), size: (WIDTH, height), pixels: (1, 256), rgb });
    area.draw(&Rectangle::new([(x, y), (x + WIDTH, y + height)], BLACK))?;
    for (share, value) in [(0., high), (0.5, (low + high) / 2.), (1., low)] {
        let at = y + (f64::from(height) * share) as i32;
        area.draw(&PathElement::new([(x + WIDTH, at), (x + WIDTH + 4, at)], BLACK))?;
        right_of(area, &number_label(value), (x + WIDTH + 7, at), 13.)?;
    }
    let turned = style(13., BLACK)
        .transform(FontTransform::Rotate270)
        .pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(title.to_owned(), (x + WIDTH + 48, y + height / 2), turned))?;
    Ok(())
}

/// A number for a label: three digits that matter.
pub(crate) fn number_label(value: f64) -> String {
    match value.abs() {
        0. => "0".into(),
        v if v < 0.001 => format!("{value:.0e}"),
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10. => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        for (value, expected) in
            [(0., "0"), (2e-4, "2e-4"), (0.0312, "0.031"), (-1.5, "-1.50"), (123.4, "123")]
        {
            assert_eq!(number_label(value), expected);
        }
    }
}
