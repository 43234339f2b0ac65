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
    // Without a scale there is nothing but its lower end.
    let labels = [(1., low), (0.5, low / 2. + high / 2.), (0., high)];
    for (share, value) in labels.into_iter().take(if high > low { 3 } else { 1 }) {
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
