//! A straight line through points.

use crate::rounding::is_rounding;

/// A straight line, fitted by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Change of y for a step of 1 in x.
    pub slope: f64,
    /// R² in [0, 1], the share of y's variance that the line explains; 0 for a y that is constant
    /// but for rounding. NaN if a value is not finite or x is constant.
    pub r_squared: f64,
}

impl Line {
    /// The line through the points (x, y). Its slope is NaN if there are fewer than two x.
    ///
    /// ```
    /// use foresee_stats::Line;
    ///
    /// let line = Line::fit(&[0., 1., 2., 3.], &[5., 3., 1., -1.]);
    /// assert!((line.slope + 2.).abs() < 1e-12 && (line.r_squared - 1.).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If there are not as many y as x.
    pub fn fit(x: &[f64], y: &[f64]) -> Self {
        assert_eq!(x.len(), y.len(), "a line needs as many y as x");
        let n = x.len() as f64;
        let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
        let sum = |f: &dyn Fn(f64, f64) -> f64| {
            x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>()
        };
        let (xy, xx, yy) = (sum(&|x, y| x * y), sum(&|x, _| x * x), sum(&|_, y| y * y));
        let size: f64 = y.iter().map(|y| y * y).sum();
        let r_squared = if is_rounding(yy, size) { 0. } else { xy * xy / (xx * yy) };
        Self { slope: xy / xx, r_squared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_hand() {
        let line = Line::fit(&[0., 1., 2., 3.], &[5., 3., 1., -1.]);
        assert!((line.slope + 2.).abs() < 1e-12 && (line.r_squared - 1.).abs() < 1e-12);
        // The values are symmetric about the middle: the slope is 0.
        assert_eq!(Line::fit(&[0., 1., 2.], &[1., 0., 1.]), Line { slope: 0., r_squared: 0. });
        assert_eq!(Line::fit(&[0., 1., 2.], &[1., 1., 1.]).r_squared, 0.);
        let flat = [85., 85f64.next_up(), 85f64.next_down()];
        assert_eq!(Line::fit(&[0., 1., 2.], &flat).r_squared, 0.);
        assert!(Line::fit(&[0., 1., 2.], &[1., f64::NAN, 2.]).r_squared.is_nan());
    }
}
