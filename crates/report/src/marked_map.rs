//! Maps of coloured cells with a mark in each, for values on both sides of 0.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Canvas, Drawn, MARGIN, draw};
use crate::colour::ColourMap;
use crate::colour_bar::{self, ColourBar};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{BODY, SMALL, Style, TITLE};

const COLOURS: ColourMap = ColourMap::Diverging;
/// Height of a row, and of a line of the columns' groups.
const ROW: i32 = 18;
const GROUP: i32 = 20;
/// Narrowest and widest cell, and the longest name of a column.
const CELLS: (i32, i32) = (16, 60);
const LONGEST: i32 = 120;
/// Between groups of columns, outer and inner.
const GAPS: [i32; 2] = [10, 4];
/// Most of the width that the rows' names take.
const NAMES: f64 = 0.25;
/// Share of a scale from which on a mark on its colour is white.
const DEEP: f64 = 0.65;

/// One map of [`marked_maps`].
#[derive(Debug, Clone)]
pub struct MarkedMap {
    /// Written above.
    pub title: String,
    /// The rows' names.
    pub rows: Vec<String>,
    /// The value of each cell, and its mark, `[row][column]`. NaN is grey.
    pub cells: Vec<Vec<(f64, &'static str)>>,
}

/// A column of all maps. Neighbours of the same groups stand below one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapColumn {
    /// The outer and the inner group; empty: none.
    pub groups: [String; 2],
    /// Its name in the inner group.
    pub name: String,
}

/// Maps of the same columns below each other, on one scale about 0 that is named `scale`. `marks`
/// says what the marks mean. If there is no room for all columns beside each other, the maps go on
/// below.
///
/// ```
/// use foresee_report::{MapColumn, MarkedMap, Source, Style, marked_maps};
///
/// let column = |name: &str| MapColumn {
///     groups: ["lower norm goes".into(), "filter".into()],
///     name: name.into(),
/// };
/// let map = MarkedMap {
///     title: "nothing takes over".into(),
///     rows: vec!["sparse".into()],
///     cells: vec![vec![(0.5, "+"), (-1., "–")]],
/// };
/// let source = Source { data: "40 drawn faces".into(), synthetic: true };
/// let columns = [column("ρ"), column("|ρ|")];
/// let style = Style::default();
/// let figure = marked_maps("map", &[map], &columns, "gain", "+ holds", &source, &style)?;
/// assert!(figure.svg().contains("lower norm goes") && figure.svg().contains("+ holds"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If it cannot be drawn.
pub fn marked_maps(
    name: &str,
    maps: &[MarkedMap],
    columns: &[MapColumn],
    scale: &str,
    marks: &str,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let bands = bands(maps, columns, style);
    let values = maps.iter().flat_map(|map| map.cells.iter().flatten()).map(|cell| cell.0);
    let high = values.map(f64::abs).filter(|v| v.is_finite()).fold(0., f64::max);
    let bottom = MARGIN + bands.iter().map(|band| band.height(maps)).sum::<i32>();
    let room = style.units() - 2 * MARGIN;
    let marks = style.fitted(marks, SMALL, room);
    let bar_height = colour_bar::height(style, scale, room);
    let height = bottom + bar_height + marks.height() + 6;
    draw(name, height, source, style, |canvas| {
        let mut y = MARGIN;
        for band in &bands {
            band.draw(canvas, maps, y, high)?;
            y += band.height(maps);
        }
        let bar =
            ColourBar { colour: |share| COLOURS.at(share), ends: (-high, high), title: scale };
        bar.draw(canvas, (MARGIN, bottom), room)?;
        marks.right_of(canvas, (MARGIN, bottom + bar_height + marks.line_height() / 2))
    })
}

/// Columns that stand beside each other.
struct Band<'a> {
    /// The first of them.
    from: usize,
    columns: &'a [MapColumn],
    /// Left end of each column.
    lefts: Vec<i32>,
    /// Width of a cell.
    width: i32,
    /// Height of the columns' names.
    below: i32,
}

/// The columns in bands that there is room for. Outer groups stay together where they can.
fn bands<'a>(maps: &[MarkedMap], columns: &'a [MapColumn], style: &Style) -> Vec<Band<'a>> {
    let units = style.units();
    let widths = maps.iter().flat_map(|map| &map.rows).map(|name| style.width_of(name, BODY));
    let names = widths.fold(0., f64::max).ceil().min(NAMES * f64::from(units)) as i32;
    let left = MARGIN + names + 8;
    let room = units - MARGIN - left;
    let gaps = |of: &[MapColumn]| (1..of.len()).map(|i| gap(of, i)).sum::<i32>();
    let fits = |of: &[MapColumn]| of.len() as i32 * CELLS.0 + gaps(of) <= room;
    // From the last on, so that a small group at the end is not left alone.
    let mut lengths = vec![];
    let mut rest = columns;
    while !rest.is_empty() {
        let end = rest.len();
        let most = (1..=end).take_while(|n| fits(&rest[end - n..])).last().unwrap_or(1);
        let begins_group = |n: &usize| {
            let before = end.checked_sub(n + 1).map(|i| &rest[i].groups[0]);
            before != Some(&rest[end - n].groups[0])
        };
        let length = (1..=most).rev().find(begins_group).unwrap_or(most);
        lengths.push(length);
        rest = &rest[..end - length];
    }
    lengths.reverse();
    let mut from = 0;
    let mut bands = vec![];
    for length in lengths {
        let own = &columns[from..from + length];
        let widest = own.iter().map(|c| style.width_of(&c.name, SMALL)).fold(0., f64::max);
        let below = (widest.ceil() as i32).min(LONGEST) + 12;
        let width = (room - gaps(own)) / length as i32;
        bands.push(Band { from, columns: own, lefts: vec![], width, below });
        from += length;
    }
    // One width for all.
    let width = bands.iter().map(|band| band.width).min().unwrap_or(CELLS.0).min(CELLS.1);
    for band in &mut bands {
        let mut at = left;
        for i in 0..band.columns.len() {
            at += gap(band.columns, i);
            band.lefts.push(at);
            at += width;
        }
        band.width = width;
    }
    bands
}

/// Before a column.
fn gap(columns: &[MapColumn], i: usize) -> i32 {
    match i.checked_sub(1).map(|before| &columns[before].groups) {
        Some(before) if before[0] != columns[i].groups[0] => GAPS[0],
        Some(before) if *before != columns[i].groups => GAPS[1],
        _ => 0,
    }
}

impl Band<'_> {
    /// Height of all maps, with their titles, the headings and the columns' names.
    fn height(&self, maps: &[MarkedMap]) -> i32 {
        let map = |map: &MarkedMap| GROUP + 8 + ROW * map.rows.len() as i32 + 6;
        2 * GROUP + maps.iter().map(map).sum::<i32>() + self.below
    }

    fn draw(&self, canvas: &Canvas, maps: &[MarkedMap], y: i32, high: f64) -> Drawn {
        let mut y = y;
        for (i, map) in maps.iter().enumerate() {
            let room = canvas.style.units() - 2 * MARGIN;
            let title = canvas.style.shortened(&map.title, TITLE, room, 1);
            title.right_of(canvas, (MARGIN, y + GROUP / 2))?;
            y += GROUP + 8;
            if i == 0 {
                self.headings(canvas, y)?;
                y += 2 * GROUP;
            }
            self.cells(canvas, map, y, high)?;
            y += ROW * map.rows.len() as i32 + 6;
        }
        self.names(canvas, y)
    }

    /// The groups' headings, each above a line over its columns.
    fn headings(&self, canvas: &Canvas, y: i32) -> Drawn {
        for level in 0..2 {
            let own = |i: usize| &self.columns[i].groups[..=level];
            let mut from = 0;
            while from < self.columns.len() {
                let of_group = (from..self.columns.len()).take_while(|&i| own(i) == own(from));
                let next = from + of_group.count();
                self.heading(canvas, (from, next - 1), level, y + level as i32 * GROUP)?;
                from = next;
            }
        }
        Ok(())
    }

    fn heading(&self, canvas: &Canvas, ends: (usize, usize), level: usize, y: i32) -> Drawn {
        let words = &self.columns[ends.0].groups[level];
        if words.is_empty() {
            return Ok(());
        }
        let (left, right) = (self.lefts[ends.0], self.lefts[ends.1] + self.width - 1);
        let fitted = canvas.style.shortened(words, BODY, right - left, 1);
        fitted.centred(canvas, ((left + right) / 2, y + GROUP / 2 - 1))?;
        let line = [(left, y + GROUP - 2), (right, y + GROUP - 2)];
        canvas.area.draw(&PathElement::new(line, RGBColor(120, 120, 120)))?;
        Ok(())
    }

    fn cells(&self, canvas: &Canvas, map: &MarkedMap, y: i32, high: f64) -> Drawn {
        let left = self.lefts.first().copied().unwrap_or(MARGIN) - 6;
        for (i, (name, cells)) in (0..).zip(map.rows.iter().zip(&map.cells)) {
            let top = y + i * ROW;
            let name = canvas.style.shortened(name, BODY, left - MARGIN, 1);
            name.left_of(canvas, (left, top + ROW / 2))?;
            for (&left, &(value, mark)) in self.lefts.iter().zip(cells.iter().skip(self.from)) {
                let share = if high > 0. { value / high } else { value };
                self.cell(canvas, (left, top), share, mark)?;
            }
        }
        Ok(())
    }

    /// A cell whose value is this share of the scale, from -1 to 1.
    fn cell(&self, canvas: &Canvas, (x, y): (i32, i32), share: f64, mark: &str) -> Drawn {
        let [red, green, blue] = COLOURS.at((share + 1.) / 2.);
        let corners = [(x, y), (x + self.width - 1, y + ROW - 1)];
        let colour = RGBColor(red, green, blue);
        canvas.area.draw(&Rectangle::new(corners, colour.filled()))?;
        let colour = if share.abs() > DEEP { WHITE } else { BLACK };
        let place = (HPos::Center, VPos::Center);
        canvas.text(mark, (x + self.width / 2, y + ROW / 2), BODY, colour, place)
    }

    /// The columns' names, turned, below the last map.
    fn names(&self, canvas: &Canvas, y: i32) -> Drawn {
        for (column, left) in self.columns.iter().zip(&self.lefts) {
            let name = canvas.style.shortened(&column.name, SMALL, LONGEST, 1).lines.concat();
            let half = canvas.style.width_of(&name, SMALL) as i32 / 2;
            canvas.turned(&name, (left + self.width / 2, y + 2 + half), SMALL)?;
        }
        Ok(())
    }
}
