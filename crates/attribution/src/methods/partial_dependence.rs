//! Partial dependence (Friedman, 2001) and individual conditional expectation (Goldstein et al.,
//! 2015).

use candle_core::Tensor;
use foresee_stats::{mean, standard_deviation};

use crate::error::{Result, check};
use crate::parts::Part;
use crate::target::Target;
use crate::tensors::{check_input, to_f64};

/// f as one part of the inputs takes the values of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialDependence {
    /// The part's name.
    pub part: String,
    /// Its values.
    pub grid: Vec<f64>,
    /// For each input, f at each value: ICE.
    pub curves: Vec<Vec<f64>>,
}

impl PartialDependence {
    /// Partial dependence: the mean of all curves.
    pub fn mean(&self) -> Vec<f64> {
        (0..self.grid.len()).map(|point| mean(&self.values_at(point))).collect()
    }

    /// Standard deviation of the curves at each value (n - 1): where it is large after
    /// [`centred`](Self::centred), the part interacts with others.
    pub fn standard_deviation(&self) -> Vec<f64> {
        (0..self.grid.len()).map(|point| standard_deviation(&self.values_at(point))).collect()
    }

    /// Every curve minus its value at the grid's first point (c-ICE).
    #[must_use]
    pub fn centred(&self) -> Self {
        let curves =
            self.curves.iter().map(|curve| curve.iter().map(|f| f - curve[0]).collect()).collect();
        Self { curves, ..self.clone() }
    }

    fn values_at(&self, point: usize) -> Vec<f64> {
        self.curves.iter().map(|curve| curve[point]).collect()
    }
}

/// Sets a part of all inputs to each value of the grid.
///
/// # Errors
/// If the grid is empty or not finite, the part does not fit x, or the model fails.
pub fn partial_dependence<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    part: &Part,
    grid: &[f64],
) -> Result<PartialDependence> {
    check(
        !grid.is_empty() && grid.iter().all(|v| v.is_finite()),
        "grid",
        format!("{grid:?}"),
        "at least one value, all finite",
    )?;
    check_input(x)?;
    let n = x.dim(0)?;
    let x = &x.detach().contiguous()?;
    let mut curves = vec![Vec::with_capacity(grid.len()); n];
    for value in grid {
        let value = Tensor::new(*value, x.device())?.to_dtype(x.dtype())?;
        for start in (0..n).step_by(target.batch_size()) {
            let rows = x.narrow(0, start, target.batch_size().min(n - start))?.contiguous()?;
            let f = target.numbers(&part.mix(&value, &rows)?)?;
            curves[start..].iter_mut().zip(f).for_each(|(curve, f)| curve.push(f));
        }
    }
    Ok(PartialDependence { part: part.name.clone(), grid: grid.to_vec(), curves })
}

/// A grid for [`partial_dependence`]: up to `points` evenly spaced quantiles of the values of a
/// part in x, without repeats.
///
/// # Errors
/// If fewer than two points are asked for or the part does not fit x.
pub fn quantile_grid(x: &Tensor, part: &Part, points: usize) -> Result<Vec<f64>> {
    check(points >= 2, "points", points, "a number from 2")?;
    part.mix(x, x)?;
    let inside = part.entries()?;
    let mut values: Vec<f64> = to_f64(x)?
        .into_iter()
        .zip(inside.iter().cycle())
        .filter(|(_, inside)| **inside)
        .map(|(v, _)| v)
        .collect();
    values.sort_by(f64::total_cmp);
    check(
        !values.is_empty(),
        "part",
        &part.name,
        "a part that is not empty, of at least one input",
    )?;
    let mut grid: Vec<f64> = (0..points)
        .map(|i| {
            let position = i as f64 / (points - 1) as f64 * (values.len() - 1) as f64;
            let (below, share) = (position.floor() as usize, position.fract());
            values[below] + share * (values[(below + 1).min(values.len() - 1)] - values[below])
        })
        .collect();
    grid.dedup();
    Ok(grid)
}
