//! Methods as rows, images with one of their outputs as columns.

use std::path::Path;

use foresee_attribution::Method;
use foresee_report::{
    AttributionColumn, AttributionMethod, Face, Figure, Plane, PlaneTable, Source, Style, frame,
    image_attributions,
};

use super::rows::MapLabel;
use crate::distinct::distinct;
use crate::error::Result;
use crate::figures::kind_of;
use crate::networks::page::about;
use crate::networks::task::Task;

/// Columns of a figure; more are in the next one.
const COLUMNS: usize = 12;

const CAPTION: &str = "Which pixels an output comes from, by several methods. In signed maps, red \
                       supports the output and blue opposes it; in the others, darker pixels \
                       matter more.";

/// The figures of the maps in these files, a file for each image of the task. A figure is drawn as
/// soon as its columns are read, so that few are held.
///
/// # Errors
/// If a file or an image cannot be read.
pub(super) fn figures(
    task: &Task,
    folder: &Path,
    files: &[String],
    source: &Source,
) -> Result<Vec<Figure>> {
    let (mut figures, mut columns) = (vec![], vec![]);
    for (image, file) in files.iter().enumerate() {
        let (methods, read) = columns_of(task, folder, (image, file))?;
        columns.extend(read.into_iter().map(|column| (file.clone(), column)));
        let is_last = image + 1 == files.len();
        while columns.len() >= COLUMNS || (is_last && !columns.is_empty()) {
            let rest = columns.split_off(columns.len().min(COLUMNS));
            figures.push(draw(source, figures.len() + 1, &methods, columns)?);
            columns = rest;
        }
    }
    Ok(figures)
}

/// The methods of an image's maps, and a column for each output.
fn columns_of(
    task: &Task,
    folder: &Path,
    (image, file): (usize, &str),
) -> Result<(Vec<Method>, Vec<AttributionColumn>)> {
    let table = PlaneTable::<MapLabel>::from_frame(&frame::read_csv(&folder.join(file))?)?;
    let padded = PaddedImage::of(task, image)?;
    let column = |outputs: &[Plane<MapLabel>]| {
        let maps = outputs.iter().map(|plane| {
            let scale = plane.label.max_abs.0;
            padded.map(plane.values.iter().map(|share| share * scale).collect())
        });
        AttributionColumn {
            name: name(&outputs[0].label),
            face: padded.face.clone(),
            region: None,
            maps: maps.collect(),
        }
    };
    let columns = table.planes.chunk_by(|a, b| a.label.output == b.label.output).map(column);
    let methods = distinct(table.planes.iter().map(|plane| plane.label.method));
    Ok((methods, columns.collect()))
}

fn draw(
    source: &Source,
    number: usize,
    methods: &[Method],
    columns: Vec<(String, AttributionColumn)>,
) -> Result<Figure> {
    let described =
        |method: &Method| AttributionMethod { name: method.title().into(), kind: kind_of(*method) };
    let methods: Vec<AttributionMethod> = methods.iter().map(described).collect();
    let (files, columns): (Vec<String>, Vec<AttributionColumn>) = columns.into_iter().unzip();
    let name = format!("explanations_{number}");
    let figure = image_attributions(&name, &methods, &columns, source, &Style::default())?;
    Ok(about(figure, CAPTION, distinct(files)))
}

/// The output, its probability, the image and what is on it, one a line.
fn name(label: &MapLabel) -> String {
    let file = Path::new(&label.image).file_stem().unwrap_or_default().display();
    let is = match label.label.as_str() {
        "" => String::new(),
        label => format!("\n(label: {label})"),
    };
    format!("{}\np\u{a0}=\u{a0}{:.2}\n{file}{is}", label.output, label.probability.0)
}

/// An image as a square: one that is not stands in the middle of a white one.
struct PaddedImage {
    face: Face,
    height: usize,
    width: usize,
}

impl PaddedImage {
    fn of(task: &Task, image: usize) -> Result<Self> {
        let (height, width) = (task.network.input.height, task.network.input.width);
        let pixels = task.reader.pixels(task.images.path(image))?;
        let share = |byte: &u8| f64::from(*byte) / 255.;
        let rgb: Vec<[f64; 3]> = pixels
            .chunks_exact(3)
            .map(|pixel| [share(&pixel[0]), share(&pixel[1]), share(&pixel[2])])
            .collect();
        let size = height.max(width);
        let face = Face { size, rgb: placed(rgb, (height, width), [1.; 3]) };
        Ok(Self { face, height, width })
    }

    /// A map of the image, with zeros beside it.
    fn map(&self, map: Vec<f64>) -> Vec<f64> {
        placed(map, (self.height, self.width), 0.)
    }
}

/// Values in the middle of a square.
fn placed<T: Clone>(values: Vec<T>, (height, width): (usize, usize), around: T) -> Vec<T> {
    let size = height.max(width);
    if height == width {
        return values;
    }
    let (top, left) = ((size - height) / 2, (size - width) / 2);
    let mut square = vec![around; size * size];
    for (y, row) in values.chunks_exact(width).enumerate() {
        let at = (y + top) * size + left;
        square[at..at + width].clone_from_slice(row);
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_square_stands_in_the_middle() {
        assert_eq!(placed(vec![1, 2, 3, 4], (2, 2), 0), [1, 2, 3, 4]);
        assert_eq!(placed(vec![1, 2, 3], (1, 3), 0), [0, 0, 0, 1, 2, 3, 0, 0, 0]);
        assert_eq!(placed(vec![1, 2], (2, 1), 0), [1, 0, 2, 0]);
    }
}
