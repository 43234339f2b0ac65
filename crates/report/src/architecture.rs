//! Figure 2: the network, and where the operations act.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::canvas::{Canvas, Drawn, MARGIN, draw};
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;
use crate::style::{BODY, SMALL, Style, TITLE};

/// Room of an arrow between two boxes.
const ARROW: i32 = 16;
/// Width of the image, least and greatest width of a block, and their height.
const IMAGE: i32 = 58;
const BLOCKS: (i32, i32) = (64, 92);
const TALL: i32 = 130;
/// Height of a classifier's boxes, and from one classifier to the next.
const HEAD: i32 = 64;
const HEAD_STEP: i32 = 92;
/// Widths of a classifier's boxes where there is room for all of them.
const MASK: i32 = 170;
const POOL: i32 = 140;
const READOUT: i32 = 120;
/// Radius of the product's circle.
const PRODUCT: i32 = 11;
/// From the top of a classifier's boxes up to the line that brings z to the product.
const ABOVE: i32 = 12;
/// Beside the last block, where the line of z turns.
const TURN: i32 = 8;
/// Radius of an operation's mark.
const MARK: i32 = 9;

/// The network as it is built.
#[derive(Debug, Clone)]
pub struct Architecture {
    /// Height and width of the images.
    pub image_size: usize,
    /// Input channels, output channels and dilation of each block of the extractor.
    pub blocks: Vec<(usize, usize, usize)>,
    /// K.
    pub attributes: usize,
    /// Size of the masks' convolution; `None` for a network without masks.
    pub mask_kernel: Option<usize>,
    /// Trainable values.
    pub parameters: usize,
}

/// Draws the network (Figure 2), with marks where the two operations act: 1 on the features z, 2 on
/// each mask. The classifiers stand beside the extractor, or below it where there is no room beside
/// it.
///
/// # Errors
/// If it cannot be drawn.
pub fn architecture(
    name: &str,
    network: &Architecture,
    source: &Source,
    style: &Style,
) -> Result<Figure> {
    let layout = Layout::new(network, style.units());
    let room = style.units() - 2 * MARGIN;
    let notes: Vec<_> = network.notes().iter().map(|n| style.fitted(n, SMALL, room)).collect();
    let bottom = layout.bottom();
    let height = bottom + notes.iter().map(|note| note.height() + 4).sum::<i32>();
    draw(name, height, source, style, |canvas| {
        layout.extractor(canvas, network)?;
        layout.features(canvas, network.mask_kernel.is_some())?;
        layout.heads(canvas, network)?;
        let mut y = bottom;
        for note in &notes {
            note.right_of(canvas, (MARGIN, y + note.line_height() / 2))?;
            y += note.height() + 4;
        }
        Ok(())
    })
}

impl Architecture {
    fn notes(&self) -> Vec<String> {
        let pruned = "1: semantic channel pruning takes one of two correlated channels out of z.";
        let transformed = "2: intentional attention mask transformation, M → g(M; n, β).";
        let transformed = self.mask_kernel.map(|_| transformed.to_owned());
        [pruned.to_owned()]
            .into_iter()
            .chain(transformed)
            .chain([format!("{} parameters.", self.parameters)])
            .collect()
    }
}

/// Where the parts are.
struct Layout {
    /// Blocks in the first row of the extractor, and in all further ones.
    first: usize,
    further: usize,
    blocks: usize,
    /// Width of a block.
    block: i32,
    /// Left end and top of the classifiers.
    heads: (i32, i32),
    /// Whether these stand beside the extractor.
    is_beside: bool,
    /// Widths of a classifier's boxes.
    mask: Option<i32>,
    pool: i32,
    readout: i32,
}

/// Top of the first boxes.
const TOP: i32 = 40;

impl Layout {
    fn new(network: &Architecture, width: i32) -> Self {
        let blocks = network.blocks.len();
        let even = (width - 2 * MARGIN - IMAGE - TURN) / blocks.max(1) as i32 - ARROW;
        let block = even.clamp(BLOCKS.0, BLOCKS.1);
        let step = block + ARROW;
        let fits = |room: i32| (room / step).max(1) as usize;
        let first = fits(width - 2 * MARGIN - IMAGE - TURN).min(blocks.max(1));
        let further = fits(width - 2 * MARGIN - TURN);
        let has_masks = network.mask_kernel.is_some();
        let product = 2 * (ARROW + PRODUCT);
        let full = POOL + READOUT + ARROW + if has_masks { MASK + product } else { 0 };
        let extractor = MARGIN + IMAGE + step * blocks as i32;
        let is_beside = first == blocks && extractor + 2 * ARROW + full + MARGIN <= width;
        let rows = 1 + blocks.saturating_sub(first).div_ceil(further) as i32;
        let heads = match is_beside {
            true => (extractor + 2 * ARROW, TOP),
            false => (MARGIN + 2 * ARROW, TOP + rows * (TALL + 14) + 56),
        };
        // What lies between the boxes keeps its width.
        let between = ARROW + if has_masks { product } else { 0 };
        let room = f64::from(width - MARGIN - heads.0 - between);
        let share = (room / f64::from(full - between)).min(1.);
        let scaled = |width: i32| (f64::from(width) * share) as i32;
        let mask = has_masks.then(|| scaled(MASK));
        Self {
            first,
            further,
            blocks,
            block,
            heads,
            is_beside,
            mask,
            pool: scaled(POOL),
            readout: scaled(READOUT),
        }
    }

    fn bottom(&self) -> i32 {
        let rows = 1 + self.blocks.saturating_sub(self.first).div_ceil(self.further) as i32;
        (TOP + rows * (TALL + 14)).max(self.heads.1 + 3 * HEAD_STEP) + 4
    }

    /// The image and the blocks, in as many rows as they need.
    fn extractor(&self, canvas: &Canvas, network: &Architecture) -> Drawn {
        let across = IMAGE + (self.first as i32) * (self.block + ARROW);
        canvas.centred("Feature extractor", (MARGIN + across / 2, 20), TITLE)?;
        let size = format!("3×{0}×{0}", network.image_size);
        let place = (MARGIN, TOP + 20);
        boxed(canvas, place, (IMAGE, TALL - 40), 6, &["image", &size])?;
        for (i, &(inputs, outputs, dilation)) in network.blocks.iter().enumerate() {
            let (row, column, left) = match i.checked_sub(self.first) {
                None => (0, i, MARGIN + IMAGE),
                Some(later) => (1 + later / self.further, later % self.further, MARGIN),
            };
            let x = left + ARROW + column as i32 * (self.block + ARROW);
            let y = TOP + row as i32 * (TALL + 14);
            arrow(canvas, (x - ARROW + 2, y + TALL / 2), (x - 2, y + TALL / 2))?;
            let lines = [
                "conv 3×3".to_owned(),
                format!("{inputs} → {outputs}"),
                format!("dilation {dilation}"),
                "BatchNorm".into(),
                "LeakyReLU".into(),
            ];
            boxed(canvas, (x, y), (self.block, TALL), 0, &lines.each_ref().map(String::as_str))?;
        }
        Ok(())
    }

    /// The line of the features z, from the last block to all classifiers, with the mark of the
    /// first operation.
    fn features(&self, canvas: &Canvas, has_masks: bool) -> Drawn {
        let (x, y) = self.heads;
        let bus = x - ARROW - 4;
        let (right, middle) = self.end_of_extractor();
        let last = y + 2 * HEAD_STEP + HEAD / 2;
        let top = y - if has_masks { ABOVE } else { 0 };
        let path = match self.is_beside {
            true => vec![(right, middle), (bus, middle), (bus, top.min(middle)), (bus, last)],
            false => {
                let turn = middle + TALL / 2 + 14;
                vec![
                    (right, middle),
                    (right + TURN, middle),
                    (right + TURN, turn),
                    (bus, turn),
                    (bus, last),
                ]
            }
        };
        let label = match self.is_beside {
            true => ((right + bus) / 2, middle - 14),
            false => (bus + 16, y - 28),
        };
        line(canvas, &path)?;
        canvas.centred("z", label, BODY)?;
        mark(canvas, "1", if self.is_beside { (bus, middle) } else { (bus, y - 28) })
    }

    /// The right end of the extractor's last block, and its middle.
    fn end_of_extractor(&self) -> (i32, i32) {
        let step = self.block + ARROW;
        let last = self.blocks.saturating_sub(1);
        let (row, column, left) = match last.checked_sub(self.first) {
            None => (0, last, MARGIN + IMAGE),
            Some(later) => (1 + later / self.further, later % self.further, MARGIN),
        };
        let y = TOP + row as i32 * (TALL + 14) + TALL / 2;
        (left + (column as i32 + 1) * step, y)
    }

    /// The first, any, and the last classifier.
    fn heads(&self, canvas: &Canvas, network: &Architecture) -> Drawn {
        let (x, y) = self.heads;
        let product = 2 * (ARROW + PRODUCT);
        let across = self.mask.map_or(0, |mask| mask + product) + self.pool + ARROW + self.readout;
        let title = format!("{} binary classifiers", network.attributes);
        let above = if self.is_beside { 24 } else { 28 };
        canvas
            .style
            .shortened(&title, TITLE, across, 1)
            .centred(canvas, (x + across / 2, y - above))?;
        let channels = network.blocks.last().map_or(0, |b| b.1);
        let names = ["1".to_owned(), "k".into(), network.attributes.to_string()];
        for (i, k) in (0..).zip(&names) {
            self.head(canvas, (x, y + i * HEAD_STEP), k, channels, network.mask_kernel)?;
        }
        Ok(())
    }

    fn head(
        &self,
        canvas: &Canvas,
        (mut x, y): (i32, i32),
        k: &str,
        channels: usize,
        mask_kernel: Option<usize>,
    ) -> Drawn {
        let middle = y + HEAD / 2;
        let between = |x: i32| arrow(canvas, (x + 1, middle), (x + ARROW - 1, middle));
        arrow(canvas, (x - ARROW - 4, middle), (x - 1, middle))?;
        if let (Some(width), Some(n)) = (self.mask, mask_kernel) {
            let sizes = format!("sigmoid of conv {n}×{n}, {channels} channels");
            let lines = [format!("mask M{}", superscript(k)), sizes];
            boxed(canvas, (x, y), (width, HEAD), 1, &lines.each_ref().map(String::as_str))?;
            between(x + width)?;
            mark(canvas, "2", (x + width + ARROW / 2, middle - MARK - 8))?;
            let centre = (x + width + ARROW + PRODUCT, middle);
            product(canvas, centre)?;
            let above = y - ABOVE;
            line(canvas, &[(x - ARROW - 4, above), (centre.0, above), (centre.0, above + 4)])?;
            arrow_down(canvas, (centre.0, above), (centre.0, middle - PRODUCT - 1))?;
            x += width + 2 * (ARROW + PRODUCT);
            between(x - ARROW)?;
        }
        boxed(canvas, (x, y), (self.pool, HEAD), 2, &["average pooling"])?;
        between(x + self.pool)?;
        x += self.pool + ARROW;
        let answer = format!("attribute {k}");
        boxed(canvas, (x, y), (self.readout, HEAD), 3, &["readout, sigmoid", &answer])
    }
}

fn superscript(k: &str) -> String {
    let raised = |c| match c {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => 'ᵏ',
    };
    k.chars().map(raised).collect()
}

fn boxed(
    canvas: &Canvas,
    (x, y): (i32, i32),
    (w, h): (i32, i32),
    colour: usize,
    lines: &[&str],
) -> Drawn {
    let colour = canvas.style.palette.curve(colour);
    let corners = [(x, y), (x + w, y + h)];
    canvas.area.draw(&Rectangle::new(corners, colour.mix(0.15).filled()))?;
    canvas.area.draw(&Rectangle::new(corners, colour.stroke_width(2)))?;
    let lines: Vec<String> =
        lines.iter().flat_map(|line| canvas.style.fitted(line, SMALL, w - 3).lines).collect();
    for (i, line) in (0..).zip(&lines) {
        let offset = 18 * i - 9 * (lines.len() as i32 - 1);
        canvas.centred(line, (x + w / 2, y + h / 2 + offset), SMALL)?;
    }
    Ok(())
}

fn arrow(canvas: &Canvas, from: (i32, i32), to: (i32, i32)) -> Drawn {
    canvas.area.draw(&PathElement::new([from, to], BLACK.stroke_width(2)))?;
    let head = [to, (to.0 - 8, to.1 - 5), (to.0 - 8, to.1 + 5)];
    canvas.area.draw(&Polygon::new(head, BLACK.filled()))?;
    Ok(())
}

fn arrow_down(canvas: &Canvas, from: (i32, i32), to: (i32, i32)) -> Drawn {
    line(canvas, &[from, to])?;
    let head = [to, (to.0 - 5, to.1 - 8), (to.0 + 5, to.1 - 8)];
    canvas.area.draw(&Polygon::new(head, BLACK.filled()))?;
    Ok(())
}

fn line(canvas: &Canvas, places: &[(i32, i32)]) -> Drawn {
    canvas.area.draw(&PathElement::new(places.to_vec(), BLACK.stroke_width(2)))?;
    Ok(())
}

/// A circle with a cross: an element-wise product.
fn product(canvas: &Canvas, (x, y): (i32, i32)) -> Drawn {
    canvas.area.draw(&Circle::new((x, y), PRODUCT, BLACK.stroke_width(2)))?;
    let reach = PRODUCT * 7 / 10;
    line(canvas, &[(x - reach, y - reach), (x + reach, y + reach)])?;
    line(canvas, &[(x - reach, y + reach), (x + reach, y - reach)])
}

/// The number of an operation, where it acts.
fn mark(canvas: &Canvas, number: &str, (x, y): (i32, i32)) -> Drawn {
    let colour = canvas.style.palette.curve(1);
    canvas.area.draw(&Circle::new((x, y), MARK, colour.filled()))?;
    let style = (HPos::Center, VPos::Center);
    canvas.text(number, (x, y), SMALL, WHITE, style)
}
