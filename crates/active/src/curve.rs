use crate::error::{Error, Result};

/// Accuracy over the number of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningCurve {
    points: Vec<(f64, f64)>,
}

impl LearningCurve {
    /// From points (labels, accuracy).
    ///
    /// # Errors
    /// If there is no point, a number is not finite, or labels do not grow.
    pub fn new(points: &[(f64, f64)]) -> Result<Self> {
        let numbers = points.iter().flat_map(|&(labels, accuracy)| [labels, accuracy]);
        if let Some(value) = numbers.into_iter().find(|value| !value.is_finite()) {
            let (what, expected) = ("a learning curve's number", "a finite number");
            return Err(Error::Value { what, value, expected });
        }
        if points.is_empty() || points.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Error::Shape {
                what: "a learning curve",
                expected: "points with more and more labels".into(),
                got: format!("{points:?}"),
            });
        }
        Ok(Self { points: points.to_vec() })
    }

    /// The mean accuracy over the labels: the area under the curve, by the trapezoidal rule, over
    /// its width. The accuracy itself, if there is one point.
    ///
    /// ```
    /// use foresee_active::LearningCurve;
    ///
    /// let curve = LearningCurve::new(&[(100., 0.6), (200., 0.8), (400., 0.8)])?;
    /// // (0.7·100 + 0.8·200) / 300.
    /// assert!((curve.mean_accuracy() - 230. / 300.).abs() < 1e-12);
    /// # Ok::<(), foresee_active::Error>(())
    /// ```
    pub fn mean_accuracy(&self) -> f64 {
        let (first, last) = (self.points[0], self.points[self.points.len() - 1]);
        if self.points.len() == 1 {
            return first.1;
        }
        let parts = self.points.windows(2).map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.);
        parts.sum::<f64>() / (last.0 - first.0)
    }

    /// How many labels give this accuracy: where the curve first reaches it, between two points on
    /// the line. The first point's labels if that has it already; `None` if no point has it.
    ///
    /// ```
    /// use foresee_active::LearningCurve;
    ///
    /// let curve = LearningCurve::new(&[(100., 0.6), (200., 0.8), (400., 0.7)])?;
    /// assert_eq!(curve.labels_for(0.75).map(f64::round), Some(175.));
    /// assert_eq!((curve.labels_for(0.5), curve.labels_for(0.9)), (Some(100.), None));
    /// # Ok::<(), foresee_active::Error>(())
    /// ```
    pub fn labels_for(&self, accuracy: f64) -> Option<f64> {
        let at = self.points.iter().position(|point| point.1 >= accuracy)?;
        let (x, y) = self.points[at];
        let Some(&(x0, y0)) = at.checked_sub(1).and_then(|before| self.points.get(before)) else {
            return Some(x);
        };
        Some(x0 + (x - x0) * (accuracy - y0) / (y - y0))
    }
}
