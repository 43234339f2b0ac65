//! Forecasts for one image, with their signs and in the unit of logits.

use candle_core::{Tensor, Var};
use foresee_stats::Matrix;

use crate::error::{AnyError, Error, Result};
use crate::explanation::CLOSED_MASK;

/// What a person sees of one image. C channels, K attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageExplanation {
    /// Pooled products p_k = mean(M^k ⊗ z) of the image, [K, C].
    pub products: Matrix,
    /// Its mean masks, [K, C].
    pub masks: Matrix,
    /// Readout weights w, [K, C].
    pub readout: Matrix,
}

impl ImageExplanation {
    /// How much each logit changes by its contributions w·p alone, `[K]`: a pruned channel takes
    /// its contribution away, and one that is kept changes as the curve changes its mean mask m:
    ///
    /// Δ_k = - Σ_pruned w·p + Σ_kept w·p·(g(m)/m - 1).
    ///
    /// The masks of the kept channels also read the pruned ones, which this forecast does not see.
    /// `curve` is g; without one the masks stay as they are.
    ///
    /// ```
    /// use foresee_predict::{ImageExplanation, Matrix};
    ///
    /// let seen = ImageExplanation {
    ///     products: Matrix::from_rows(&[vec![0.5, 1.]]),
    ///     masks: Matrix::from_rows(&[vec![0.25, 0.5]]),
    ///     readout: Matrix::from_rows(&[vec![2., -1.]]),
    /// };
    /// // Without channel 1 its -1·1 is missing.
    /// assert_eq!(seen.contribution_change(&[1], None)?, [1.]);
    /// // A curve that halves masks takes half of what channel 0 contributes, too.
    /// assert_eq!(seen.contribution_change(&[1], Some(&|m| m / 2.))?, [0.5]);
    /// # Ok::<(), foresee_predict::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the tables do not fit each other, or there is no such channel.
    pub fn contribution_change(
        &self,
        pruned: &[usize],
        curve: Option<&dyn Fn(f64) -> f64>,
    ) -> Result<Vec<f64>> {
        let shape = (self.readout.rows(), self.readout.columns());
        for (what, table) in [("the products", &self.products), ("the mean masks", &self.masks)] {
            let got = (table.rows(), table.columns());
            if got != shape {
                return Err(Error::Shape {
                    what: what.into(),
                    expected: format!("[{}, {}]", shape.0, shape.1),
                    got: format!("[{}, {}]", got.0, got.1),
                });
            }
        }
        check_channels(pruned, shape.1)?;
        let change = |k: usize, c: usize| {
            let contribution = self.readout.get(k, c) * self.products.get(k, c);
            let mask = self.masks.get(k, c);
            match curve {
                _ if pruned.contains(&c) => -contribution,
                Some(curve) if mask > CLOSED_MASK => contribution * (curve(mask) / mask - 1.),
                _ => 0.,
            }
        };
        Ok((0..shape.0).map(|k| (0..shape.1).map(|c| change(k, c)).sum()).collect())
    }
}

/// How much pruning changes these outputs f of one image to first order, -Σ z·∂f/∂z over the
/// features z of the pruned channels, `[outputs]`.
///
/// `logits` computes [1, K] from features [1, C, H, W], and has gradients.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_predict::first_order_change;
///
/// // f = z₀·z₁ at (3, 5): without channel 0 the slope says -3·5, which here is what happens.
/// let features = Tensor::new(&[3f32, 5.], &Device::Cpu)?.reshape((1, 2, 1, 1))?;
/// let f = |z: &Tensor| z.narrow(1, 0, 1)?.mul(&z.narrow(1, 1, 1)?)?.reshape((1, 1));
/// assert_eq!(first_order_change(f, &features, &[0], &[0])?, [-15.]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If there is no such channel or output, or the model fails.
pub fn first_order_change(
    logits: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    features: &Tensor,
    pruned: &[usize],
    outputs: &[usize],
) -> Result<Vec<f64>> {
    let channels = features.dims().get(1).copied().unwrap_or(0);
    check_channels(pruned, channels)?;
    let change = || -> std::result::Result<Vec<f64>, AnyError> {
        let features = Var::from_tensor(features)?;
        let all = logits(&features)?;
        let of_output = |&output: &usize| -> std::result::Result<f64, AnyError> {
            let gradients = all.narrow(1, output, 1)?.sum_all()?.backward()?;
            let gradient = gradients.get(&features).ok_or("an output that reads no feature")?;
            let products = (features.as_detached_tensor() * gradient)?.sum((0, 2, 3))?;
            let products = products.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
            Ok(-pruned.iter().map(|&c| products[c]).sum::<f64>())
        };
        outputs.iter().map(of_output).collect()
    };
    change().map_err(Error::of_model("the first-order change"))
}

fn check_channels(pruned: &[usize], channels: usize) -> Result<()> {
    match pruned.iter().find(|&&c| c >= channels) {
        None => Ok(()),
        Some(channel) => Err(Error::Shape {
            what: "a pruned channel".into(),
            expected: format!("one of {channels}"),
            got: channel.to_string(),
        }),
    }
}
