//! MOON's loss: squared distances from targets of -1 and 1, with weights of the classes (Rudd,
//! Günther & Boult, 2016, Equations 3 to 5).

use candle_core::Tensor;

use crate::error::{Result, check};

/// For each attribute what a negative and a positive label count, so that the labels of the
/// training images (the source) weigh as those of a target domain do. For a share S of positive
/// labels in the source and T in the target (Equations 3 and 4),
///
/// ```text
/// p(+1) = 1 if T > S, else (1 - S)·T / (S·(1 - T))
/// p(-1) = 1 if T < S, else S·(1 - T) / ((1 - S)·T)
/// ```
///
/// The class that the target has less of counts less, and no class more than 1: S·p(+1) and
/// (1 - S)·p(-1) are as T and 1 - T.
///
/// ```
/// use foresee_baselines::class_weights;
///
/// // A fifth of the labels is positive, and the target is balanced: of the negative ones a quarter
/// // counts. For the same shares all weights are 1.
/// assert_eq!(class_weights(&[0.2, 0.3], &[0.5, 0.3])?, [[0.25, 1.], [1., 1.]]);
/// # Ok::<(), foresee_baselines::Error>(())
/// ```
///
/// # Errors
/// If there is not one target for each source, or a share is not between 0 and 1.
pub fn class_weights(source: &[f64], target: &[f64]) -> Result<Vec<[f32; 2]>> {
    let expected = format!("as many as sources, {}", source.len());
    check("the number of targets", target.len(), source.len() == target.len(), expected)?;
    let share = |key, share: f64| {
        let expected = "more than 0 and less than 1: both classes must be there";
        check(key, share, share > 0. && share < 1., expected)
    };
    let of = |(&s, &t): (&f64, &f64)| {
        share("a source's share of positive labels", s)?;
        share("a target's share of positive labels", t)?;
        let odds = (1. - s) * t / (s * (1. - t));
        let positive = if t >= s { 1. } else { odds };
        let negative = if t <= s { 1. } else { 1. / odds };
        Ok([negative as f32, positive as f32])
    };
    source.iter().zip(target).map(of).collect()
}

/// Equation 5: (1/B)·Σ_b n_b·Σ_k p_k(y_bk)·(f_bk - y_bk)² for answers f [B, K], labels [B, K] that
/// are 0 for y = -1 and 1 for y = 1, class weights p (none: all are 1), and weights n of the images
/// (`None`: all are 1).
///
/// # Errors
/// If the shapes do not fit each other.
pub fn mixed_objective(
    answers: &Tensor,
    labels: &Tensor,
    class_weights: &[[f32; 2]],
    image_weights: Option<&[f32]>,
) -> Result<Tensor> {
    let (images, attributes) = labels.dims2()?;
    let labels = labels.to_dtype(answers.dtype())?;
    let mut squares = (answers - labels.affine(2., -1.)?)?.sqr()?;
    let constant = |values: Vec<f32>, shape: (usize, usize)| {
        Tensor::from_vec(values, shape, answers.device())?.to_dtype(answers.dtype())
    };
    if !class_weights.is_empty() {
        let of_class = |class: usize| class_weights.iter().map(|pair| pair[class]).collect();
        let negative = constant(of_class(0), (1, attributes))?;
        let positive = constant(of_class(1), (1, attributes))?;
        let steps = labels.broadcast_mul(&(&positive - &negative)?)?;
        squares = (squares * steps.broadcast_add(&negative)?)?;
    }
    if let Some(weights) = image_weights {
        squares = squares.broadcast_mul(&constant(weights.to_vec(), (images, 1))?)?;
    }
    Ok((squares.sum_all()? / images as f64)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn weights_by_hand() {
        // 0.9/0.1 against 0.5/0.5: of the positive labels a ninth counts.
        let found = class_weights(&[0.9, 0.2, 0.5], &[0.5, 0.1, 0.75]).unwrap();
        // 0.8·0.1/(0.2·0.9) = 4/9, and 0.5·0.25/(0.5·0.75) = 1/3.
        let expected = [[1., 1. / 9.], [1., 4. / 9.], [1. / 3., 1.]];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
        assert!(class_weights(&[0.5], &[]).is_err());
        let refused = class_weights(&[1.], &[0.5]).unwrap_err().to_string();
        assert!(refused.contains("a source's share of positive labels = 1"), "{refused}");
    }

    #[test]
    fn the_loss_and_its_gradient_by_hand() -> Result<()> {
        let answers = Var::new(&[[0.5f32, -1.], [2., 0.]], &Device::Cpu)?;
        let labels = Tensor::new(&[[1f32, 0.], [0., 1.]], &Device::Cpu)?;
        let of = |loss: &Tensor| loss.to_scalar::<f32>();
        // Squares: 0.25, 0; 9, 1.
        assert_eq!(of(&mixed_objective(&answers, &labels, &[], None)?)?, 10.25 / 2.);
        let classes = [[0.5, 1.], [1., 0.25]];
        // 0.25·1 + 0 and 9·0.5 + 1·0.25.
        let loss = mixed_objective(&answers, &labels, &classes, None)?;
        assert_eq!(of(&loss)?, (0.25 + 4.75) / 2.);
        let loss = mixed_objective(&answers, &labels, &classes, Some(&[2., 0.5]))?;
        assert_eq!(of(&loss)?, (0.5 + 2.375) / 2.);
        // n·p·(f - y), of a batch of two.
        let gradients = loss.backward()?;
        let gradient = gradients.get(&answers).map(|g| g.to_vec2::<f32>()).transpose()?;
        assert_eq!(gradient, Some(vec![vec![-1., 0.], vec![0.75, -0.125]]));
        Ok(())
    }
}
