//! Figures 1 and 2: what is predicted, and the network.

use plotters::prelude::*;

use crate::canvas::{Area, Drawn, centred, draw, fitted};
use crate::colour::category;
use crate::error::Result;
use crate::figure::Figure;
use crate::source::Source;

/// From a classifier's mask to its pooling.
const MASK_STEP: i32 = 192;

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

/// Draws the network (Figure 2) with the two operations (Figure 1's perturbations) where they act.
///
/// # Errors
/// If it cannot be drawn.
pub fn architecture(name: &str, network: &Architecture, source: &Source) -> Result<Figure> {
    let step = 112;
    let blocks = network.blocks.len() as i32;
    let heads_x = 96 + step * blocks + 24;
    let channels = network.blocks.last().map_or(0, |b| b.1);
    let masks_width = network.mask_kernel.map_or(0, |_| MASK_STEP);
    let width = heads_x + masks_width + 308;
    draw(name, (width as u32, 400), source, |area, _| {
        centred(area, "Feature extractor", (96 + step * blocks / 2, 22), 18.)?;
        boxed(area, (12, 150), (64, 90), 6, &["image", &format!("3×{0}×{0}", network.image_size)])?;
        for (i, &(inputs, outputs, dilation)) in network.blocks.iter().enumerate() {
            let x = 96 + step * i as i32;
            arrow(area, (x - 20, 195), (x - 2, 195))?;
            let lines = [
                "conv 3×3".to_owned(),
                format!("{inputs} → {outputs}"),
                format!("dilation {dilation}"),
                "BatchNorm".into(),
                "LeakyReLU".into(),
            ];
            boxed(area, (x, 130), (step - 20, 130), 0, &lines.each_ref().map(String::as_str))?;
        }
        arrow(area, (heads_x - 44, 195), (heads_x - 4, 195))?;
        centred(area, "z", (heads_x - 30, 180), 17.)?;
        centred(
            area,
            &format!("{} binary classifiers", network.attributes),
            (heads_x + masks_width / 2 + 144, 22),
            18.,
        )?;
        for (y, k) in
            [(60, "1".to_owned()), (152, "k".to_owned()), (244, network.attributes.to_string())]
        {
            head(area, (heads_x, y), &k, channels, network.mask_kernel)?;
        }
        // Right of the number of parameters.
        let note = |words, y| fitted(words, 14., width - 220).centred(area, ((200 + width) / 2, y));
        note("semantic channel pruning: take out one of two correlated channels of z", 352)?;
        if network.mask_kernel.is_some() {
            note("intentional attention mask transformation: M → g(M; n, β)", 378)?;
        }
        centred(area, &format!("{} parameters", network.parameters), (100, 352), 14.)
    })
}

fn head(
    area: &Area,
    (mut x, y): (i32, i32),
    k: &str,
    channels: usize,
    mask_kernel: Option<usize>,
) -> Drawn {
    let mut pooled = vec!["average pooling"];
    if let Some(n) = mask_kernel {
        let mask = format!("mask M{}", superscript(k));
        boxed(area, (x, y), (170, 70), 1, &[&mask, &format!("σ(conv {n}×{n}), {channels} ch.")])?;
        arrow(area, (x + 170, y + 35), (x + 190, y + 35))?;
        pooled.insert(0, "M ⊗ z");
        x += MASK_STEP;
    }
    boxed(area, (x, y), (140, 70), 2, &pooled)?;
    arrow(area, (x + 140, y + 35), (x + 160, y + 35))?;
    boxed(area, (x + 162, y), (120, 70), 3, &["readout, σ", &format!("attribute {k}")])
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
    area: &Area,
    (x, y): (i32, i32),
    (w, h): (i32, i32),
    colour: usize,
    lines: &[&str],
) -> Drawn {
    area.draw(&Rectangle::new([(x, y), (x + w, y + h)], category(colour).mix(0.15).filled()))?;
    area.draw(&Rectangle::new([(x, y), (x + w, y + h)], category(colour).stroke_width(2)))?;
    for (i, line) in lines.iter().enumerate() {
        let offset = 19 * i as i32 - 19 * (lines.len() as i32 - 1) / 2;
        centred(area, line, (x + w / 2, y + h / 2 + offset), 14.)?;
    }
    Ok(())
}

fn arrow(area: &Area, from: (i32, i32), to: (i32, i32)) -> Drawn {
    area.draw(&PathElement::new([from, to], BLACK.stroke_width(2)))?;
    area.draw(&Polygon::new([to, (to.0 - 8, to.1 - 5), (to.0 - 8, to.1 + 5)], BLACK.filled()))?;
    Ok(())
}
