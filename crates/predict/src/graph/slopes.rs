//! First-order changes, and what each channel contributes to each output.

use candle_core::Tensor;
use foresee_perturb::{MaskedPass, TakeoverDirection, UnitMasks};
use foresee_stats::Matrix;

use super::cut::Cut;

/// What the gradients of outputs f say of some groups of channels and some cuts.
///
/// A unit contributes ∂f/∂m at m = 1 of a mask m on its activations a wherever nodes read them,
/// Σ a·∂f/∂a through all paths ([`UnitMasks`]). It is the first term of a Taylor expansion around
/// the network as it is: if f were linear in the masks, taking units away would change f by just -1
/// times their sum.
pub(super) struct Slopes {
    /// Of each group the mean of |contribution| over the images, [units, outputs].
    pub sizes: Vec<Matrix>,
    /// Of each cut the first-order change, [images, outputs].
    pub of_cuts: Vec<Matrix>,
}

/// Measures groups with so many units, and cuts of them. One forward pass for each batch, and a
/// pass back for each output.
pub(super) fn measure(
    masks: &UnitMasks,
    units: &[usize],
    cuts: &[Cut],
    batches: &[Tensor],
    outputs: &[usize],
) -> foresee_perturb::Result<Slopes> {
    let sizes = units.iter().map(|&units| Matrix::zeros(units, outputs.len())).collect();
    let mut sums = Sums { images: 0, sizes, rows: vec![vec![]; cuts.len()] };
    for images in batches {
        let pass = masks.pass(std::slice::from_ref(images))?;
        sums.add(&pass, cuts, outputs)?;
    }
    let images = sums.images.max(1) as f64;
    let mean = |sum: Matrix| {
        Matrix::from_fn(sum.rows(), sum.columns(), |unit, k| sum.get(unit, k) / images)
    };
    Ok(Slopes {
        sizes: sums.sizes.into_iter().map(mean).collect(),
        of_cuts: sums.rows.iter().map(|rows| Matrix::from_rows(rows)).collect(),
    })
}

/// What the batches so far have.
struct Sums {
    images: usize,
    sizes: Vec<Matrix>,
    /// Cut by cut, image by image, the change of each output.
    rows: Vec<Vec<Vec<f64>>>,
}

impl Sums {
    fn add(
        &mut self,
        pass: &MaskedPass,
        cuts: &[Cut],
        outputs: &[usize],
    ) -> foresee_perturb::Result<()> {
        let logits = &pass.outputs()[0];
        let images = logits.dim(0)?;
        let direction = |cut: &Cut| match cut.by.is_empty() {
            true => Ok(None),
            false => pass.direction(&cut.of, &cut.by).map(Some),
        };
        let directions: Vec<Option<TakeoverDirection>> =
            cuts.iter().map(direction).collect::<foresee_perturb::Result<_>>()?;
        let first = self.images;
        self.images += images;
        let more = || std::iter::repeat_n(vec![0.; outputs.len()], images);
        self.rows.iter_mut().for_each(|rows| rows.extend(more()));
        for (place, &output) in outputs.iter().enumerate() {
            let gradients = pass.gradients(&logits.narrow(1, output, 1)?.sum_all()?)?;
            let of_group = |group| gradients.of_group(group);
            let groups: Vec<Vec<Vec<f64>>> =
                (0..self.sizes.len()).map(of_group).collect::<foresee_perturb::Result<_>>()?;
            for (sizes, images) in self.sizes.iter_mut().zip(&groups) {
                for (unit, value) in images.iter().flat_map(|units| units.iter().enumerate()) {
                    sizes.row_mut(unit)[place] += value.abs();
                }
            }
            for ((cut, direction), rows) in cuts.iter().zip(&directions).zip(&mut self.rows) {
                let changes = match direction {
                    Some(direction) => gradients.directional_derivative(direction)?,
                    None => (0..images).map(|image| missing(cut, &groups, image)).collect(),
                };
                let rows = rows[first..].iter_mut();
                rows.zip(changes).for_each(|(row, change)| row[place] = change);
            }
        }
        Ok(())
    }
}

/// What goes with a cut: -1 times the sum of the contributions, [groups][images][units].
fn missing(cut: &Cut, groups: &[Vec<Vec<f64>>], image: usize) -> f64 {
    let of_group = |(group, units): &(usize, &[usize])| {
        units.iter().map(|&unit| groups[*group][image][unit]).sum::<f64>()
    };
    -cut.of.iter().map(of_group).sum::<f64>()
}
