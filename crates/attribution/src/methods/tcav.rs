//! TCAV (Kim et al., 2018): how much a concept that examples show counts for an output.

mod concept_vector;

pub use concept_vector::ConceptVector;

use candle_core::Tensor;
use foresee_stats::{mean, standard_deviation, welch_test};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use self::concept_vector::rows;
use crate::activations::Activations;
use crate::error::{Error, Result, check};
use crate::tensors::{check_input, check_rows, in_batches};

/// Sets of random examples at least: of two there is only one vector, and its opposite.
const LEAST_SETS: usize = 3;

/// Options of [`tcav`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tcav {
    /// [`ConceptVector::fit`]'s α in shares of the activations' total variance, above 0. Default
    /// 0.01.
    pub penalty: f64,
    /// Share of the examples of each side that a vector is not fitted to and is judged on, between
    /// 0 and 1. Default 0.3.
    pub held_out: f64,
    /// Decides which examples these are. Default 0.
    pub seed: u64,
    /// Inputs at once, from 1. Default as many as the activations say
    /// ([`Activations::batch_size`]).
    pub batch: Option<usize>,
}

impl Default for Tcav {
    fn default() -> Self {
        Self { penalty: 0.01, held_out: 0.3, seed: 0, batch: None }
    }
}

/// What the derivatives S = v·∂f/∂z of inputs along a vector v say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TcavScore {
    /// The TCAV score: the share of inputs with S > 0.
    pub sign_count: f64,
    /// The share of inputs with S < 0. Both shares are 0 where f does not depend on the activation:
    /// a score of 0 then says nothing.
    pub negative: f64,
    /// The mean of S, in f's unit for a step of v's length.
    pub magnitude: f64,
}

/// A vector with its scores.
#[derive(Debug, Clone)]
pub struct TcavRun {
    /// The vector.
    pub vector: ConceptVector,
    /// [`ConceptVector::accuracy`] on the examples that it was not fitted to. Near 0.5 the vector
    /// tells nothing apart, and its score says nothing of the concept.
    pub held_out_accuracy: f64,
    /// How many examples these are, of both sides.
    pub held_out: usize,
    /// Its scores.
    pub score: TcavScore,
}

/// A score of the concept beside that of random examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TcavTest {
    /// Mean over the concept's vectors.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Mean over the vectors of random examples.
    pub random_mean: f64,
    /// Their standard deviation.
    pub random_deviation: f64,
    /// Two-sided p-value of [Welch's t-test](foresee_stats::welch_test) of the two means; `None`
    /// where neither score varies.
    pub p: Option<f64>,
}

/// What [`tcav`] found.
#[derive(Debug, Clone)]
pub struct TcavResult {
    /// Of [`TcavScore::sign_count`].
    pub sign_count: TcavTest,
    /// Of [`TcavScore::magnitude`].
    pub magnitude: TcavTest,
    /// The mean of the concept's [`held_out_accuracy`](TcavRun::held_out_accuracy): near 0.5 the
    /// layer does not show the concept, and the scores say nothing.
    pub held_out_accuracy: f64,
    /// The concept against each set of random examples.
    pub concept: Vec<TcavRun>,
    /// Each set of random examples against the next one, the last against the first.
    pub random: Vec<TcavRun>,
}

/// TCAV (Kim et al., 2018) of inputs x [B, ...] of a class for output `target`: does f grow when
/// the activation moves towards a concept? The concept is shown by examples `concept` [N, ...],
/// beside several sets of `random` ones [M, ...]; all are inputs of the model.
///
/// Against each random set a [`ConceptVector`] v is fitted, and the class's derivatives v·∂f/∂z are
/// counted. Any direction gives some count, and where the gradient hardly varies even 0 or 1. So
/// the scores are compared with those of random sets against each other, by a two-sided test. (The
/// paper's text compares with 0.5, its authors' program as here.) Vectors share examples, so that
/// p is a guide more than a probability: more random sets make it smaller, but no surer. Who tests
/// several concepts or layers must correct for that.
///
/// The random sets should have no examples in common, and about as many each as the concept.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{SplitModel, Tcav, tcav};
///
/// // z = x, and f = z₀ - z₁; the concept is "z₀ is large".
/// let weights = Tensor::new(&[[1f64], [-1.]], &Device::Cpu)?;
/// let model = SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.matmul(&weights));
/// let examples = |shift: f64, step: f64| {
///     let values = (0..20).flat_map(|i| {
///         let angle = step * f64::from(i * i + 1);
///         [shift + angle.sin(), (1.7 * angle).cos()]
///     });
///     Tensor::from_iter(values, &Device::Cpu)?.reshape((20, 2))
/// };
/// let random = [0.3, 0.7, 1.1, 1.3, 1.9].map(|step| examples(0., step));
/// let random = random.into_iter().collect::<candle_core::Result<Vec<_>>>()?;
/// let class = examples(0., 2.3)?;
/// let found = tcav(&model, &class, 0, &examples(3., 0.5)?, &random, &Tcav::default())?;
/// assert!(found.held_out_accuracy > 0.9);
/// assert_eq!(found.sign_count.mean, 1.);
/// assert!(found.magnitude.random_mean < found.magnitude.mean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If an option is outside its range, there are fewer than three random sets, a set is too small to
/// hold out examples and fit two, or as for [`ConceptVector::fit`] and
/// [`grad_cam`](crate::grad_cam()).
pub fn tcav<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    concept: &Tensor,
    random: &[Tensor],
    options: &Tcav,
) -> Result<TcavResult> {
    let (held_out, batch) = (options.held_out, batch_size(model, options.batch)?);
    check(held_out > 0. && held_out < 1., "held_out", held_out, "a share between 0 and 1")?;
    check(random.len() >= LEAST_SETS, "random sets", random.len(), "three or more")?;
    let concept = activations(model, concept, batch)?;
    let random = random
        .iter()
        .map(|examples| activations(model, examples, batch))
        .collect::<Result<Vec<_>>>()?;
    let gradients = gradients(model, x, target, batch)?;
    let run = |number: usize, on: &Tensor, off: &Tensor| -> Result<TcavRun> {
        let (vector, held_out_accuracy, held_out) = judged(on, off, number, options)?;
        let score = score(&gradients, &rows("the vector", &vector.vector.unsqueeze(0)?)?)?;
        Ok(TcavRun { vector, held_out_accuracy, held_out, score })
    };
    let sets = random.len();
    let of_concept = (0..sets).map(|i| run(i, &concept, &random[i])).collect::<Result<Vec<_>>>()?;
    let of_random = (0..sets)
        .map(|i| run(sets + i, &random[i], &random[(i + 1) % sets]))
        .collect::<Result<Vec<_>>>()?;
    let accuracies: Vec<f64> = of_concept.iter().map(|run| run.held_out_accuracy).collect();
    Ok(TcavResult {
        sign_count: compared(&of_concept, &of_random, |score| score.sign_count)?,
        magnitude: compared(&of_concept, &of_random, |score| score.magnitude)?,
        held_out_accuracy: mean(&accuracies),
        concept: of_concept,
        random: of_random,
    })
}

/// The scores of inputs x [B, ...] of a class for output `target` along given `vectors` [V, ...],
/// each of the shape of one activation or flat: Captum's `TCAV.interpret` for these vectors.
///
/// The vectors are used as they are: their lengths scale [`TcavScore::magnitude`], which is the
/// mean of the derivatives as in Captum's code. (Captum's documentation has a share of absolute
/// values instead, which its code does not compute.)
///
/// # Errors
/// If the vectors do not fit the activation, or as for [`grad_cam`](crate::grad_cam()).
pub fn tcav_with_vectors<A: Activations>(
    model: &A,
    x: &Tensor,
    target: usize,
    vectors: &Tensor,
) -> Result<Vec<TcavScore>> {
    let all = rows("the vectors", vectors)?;
    let gradients = gradients(model, x, target, batch_size(model, None)?)?;
    (0..all.dim(0)?).map(|i| score(&gradients, &all.narrow(0, i, 1)?)).collect()
}

fn batch_size<A: Activations>(model: &A, batch: Option<usize>) -> Result<usize> {
    let batch = batch.unwrap_or_else(|| model.batch_size());
    check(batch >= 1, "batch", batch, "a number from 1")?;
    Ok(batch)
}

fn activations<A: Activations>(model: &A, x: &Tensor, batch: usize) -> Result<Tensor> {
    check_input(x)?;
    in_batches(x, batch, |x| {
        let z = model.features(x)?.detach();
        check_rows(&z, x.dim(0)?)?;
        Ok(z)
    })
}

/// ∂f/∂z of inputs as rows [B, D] in `f64`.
fn gradients<A: Activations>(model: &A, x: &Tensor, target: usize, batch: usize) -> Result<Tensor> {
    check_input(x)?;
    let gradients = in_batches(x, batch, |x| {
        let (z, gradient) = model.activation_and_gradient(x, target)?;
        check_rows(&z, x.dim(0)?)?;
        Ok(gradient)
    })?;
    rows("the gradient in the activation", &gradients)
}

/// Of gradients [B, D] along a vector [1, D].
fn score(gradients: &Tensor, vector: &Tensor) -> Result<TcavScore> {
    if vector.dims()[1] != gradients.dims()[1] {
        let expected = format!("[V, ...] with {} entries each", gradients.dims()[1]);
        return Err(Error::shape("the vectors", vector.dims(), expected));
    }
    let along = gradients.matmul(&vector.t()?)?.squeeze(1)?.to_vec1::<f64>()?;
    let share =
        |sign: f64| along.iter().filter(|s| sign * **s > 0.).count() as f64 / along.len() as f64;
    Ok(TcavScore { sign_count: share(1.), negative: share(-1.), magnitude: mean(&along) })
}

/// A vector that is fitted to a part of the examples, its accuracy on the others, and how many
/// these are.
fn judged(
    on: &Tensor,
    off: &Tensor,
    run: usize,
    options: &Tcav,
) -> Result<(ConceptVector, f64, usize)> {
    let (on_fitted, on_held_out) = split(on, 2 * run, options)?;
    let (off_fitted, off_held_out) = split(off, 2 * run + 1, options)?;
    let vector = ConceptVector::fit(&on_fitted, &off_fitted, options.penalty)?;
    let accuracy = vector.accuracy(&on_held_out, &off_held_out)?;
    Ok((vector, accuracy, on_held_out.dim(0)? + off_held_out.dim(0)?))
}

/// Examples to fit to and examples to judge on; the seed and the stream decide which.
fn split(examples: &Tensor, stream: usize, options: &Tcav) -> Result<(Tensor, Tensor)> {
    let n = examples.dim(0)?;
    let held_out = ((options.held_out * n as f64).round() as usize).max(1);
    if n < held_out + 2 {
        return Err(Error::Degenerate(
            "TCAV needs at least two examples to fit to and one to judge on, of the concept and of \
             each random set",
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(stream as u64);
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut rng);
    let fitted = order.split_off(held_out);
    let examples = examples.contiguous()?;
    let chosen = |rows: Vec<u32>| -> Result<Tensor> {
        let count = rows.len();
        Ok(examples.index_select(&Tensor::from_vec(rows, count, examples.device())?, 0)?)
    };
    Ok((chosen(fitted)?, chosen(order)?))
}

/// The concept's scores beside those of random examples.
fn compared(
    concept: &[TcavRun],
    random: &[TcavRun],
    of: impl Fn(&TcavScore) -> f64,
) -> Result<TcavTest> {
    let values = |runs: &[TcavRun]| runs.iter().map(|run| of(&run.score)).collect::<Vec<_>>();
    let (concept, random) = (values(concept), values(random));
    let p = match welch_test(&concept, &random) {
        Ok(p) => Some(p),
        Err(foresee_stats::Error::Degenerate(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(TcavTest {
        mean: mean(&concept),
        deviation: standard_deviation(&concept),
        random_mean: mean(&random),
        random_deviation: standard_deviation(&random),
        p,
    })
}
