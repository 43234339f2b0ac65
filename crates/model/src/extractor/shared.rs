//! The extractor in training on a batch that is cut into micro-batches. Batch norm has the moments
//! of the whole batch, and its gradient the sums over it; both come together from all ranks.

use candle_core::{Device, Tensor, Var};
use foresee_kernels::channels_last::{self, ConvGradients, NormOfBatch, NormSums};
use foresee_kernels::{BATCH_NORM_EPSILON, Moments};
use foresee_ranks::Shares;

use super::{Block, Extractor, SLOPE};
use crate::error::Result;

/// What a forward pass keeps for the backward pass: block by block.
pub(crate) struct Tape {
    blocks: Vec<BlockTape>,
}

/// Tensors are [B, H, W, C], one for each micro-batch of this rank.
struct BlockTape {
    inputs: Vec<Tensor>,
    /// Before the batch norm.
    convolved: Vec<Tensor>,
    /// Of the whole batch.
    moments: Moments,
}

/// The gradients of a loss in the extractor's weights.
pub(crate) struct ExtractorGradients<'a> {
    /// For each micro-batch of this rank, the gradients of the convolutions.
    pub of_micro_batches: Vec<Vec<(&'a Var, Tensor)>>,
    /// Those of batch norms, of the whole batch.
    pub of_batch: Vec<(&'a Var, Tensor)>,
}

impl Block {
    fn forward_shared(
        &self,
        inputs: Vec<Tensor>,
        pixels: &[usize],
        shares: &Shares,
    ) -> Result<(Vec<Tensor>, BlockTape)> {
        let [weight, bias, gamma, beta] = self.detached();
        let conv =
            |x: &Tensor| channels_last::conv2d(x, &weight, &bias, self.dilation, self.precision);
        let convolved = inputs.iter().map(|x| Ok(conv(x)?)).collect::<Result<Vec<_>>>()?;
        let moments = moments_of_batch(&convolved, gamma.elem_count(), pixels, shares)?;
        let [mean, variance] = [&moments.mean, &moments.variance];
        let device = gamma.device();
        let moments = Moments {
            mean: mean.to_device(device)?,
            variance: variance.to_device(device)?,
            ..moments
        };
        self.update_running(&moments)?;
        let norm = |x: &Tensor| {
            let epsilon = BATCH_NORM_EPSILON;
            channels_last::norm_leaky_relu(x, &moments, &gamma, &beta, epsilon, SLOPE)
        };
        let outputs = convolved.iter().map(|x| Ok(norm(x)?)).collect::<Result<Vec<_>>>()?;
        Ok((outputs, BlockTape { inputs, convolved, moments }))
    }

    /// From the gradients of the outputs: those of the inputs, if they are asked for, after those
    /// of the weights were added to `gradients`.
    fn backward_shared<'a>(
        &'a self,
        tape: BlockTape,
        g: Vec<Tensor>,
        of_inputs: bool,
        shares: &Shares,
        gradients: &mut ExtractorGradients<'a>,
    ) -> Result<Vec<Tensor>> {
        let BlockTape { inputs, convolved, moments } = tape;
        let [weight, _, gamma, beta] = &self.detached();
        let norm = NormOfBatch {
            moments: &moments,
            gamma,
            beta,
            epsilon: BATCH_NORM_EPSILON,
            slope: SLOPE,
        };
        let sums = sums_of_batch(&norm, &convolved, &g, shares)?;
        let mut of_input = vec![];
        for (place, ((x, convolved), g)) in inputs.iter().zip(convolved).zip(g).enumerate() {
            let g = norm.input_gradient(&convolved, &g, &sums)?;
            let (dilation, precision) = (self.dilation, self.precision);
            let ConvGradients { x, weight, bias } =
                channels_last::conv2d_gradients(x, weight, &g, dilation, precision, of_inputs)?;
            gradients.of_micro_batches[place].push((&self.weight, weight));
            gradients.of_micro_batches[place].push((&self.bias, bias));
            of_input.extend(x);
        }
        gradients.of_batch.push((&self.gamma, single(&sums.gamma, gamma.device())?));
        gradients.of_batch.push((&self.beta, single(&sums.beta, beta.device())?));
        Ok(of_input)
    }

    /// Weight, bias, γ and β.
    fn detached(&self) -> [Tensor; 4] {
        [&self.weight, &self.bias, &self.gamma, &self.beta].map(|v| v.as_detached_tensor())
    }
}

/// The moments over the micro-batches of all ranks, of which micro-batch i has `pixels[i]` values
/// of each channel; in the CPU's memory.
fn moments_of_batch(
    own: &[Tensor],
    channels: usize,
    pixels: &[usize],
    shares: &Shares,
) -> Result<Moments> {
    let row = |x: &Tensor| -> Result<Vec<f64>> {
        let Moments { mean, variance, .. } = channels_last::channel_moments(x)?;
        let values = [mean.to_vec1::<f32>()?, variance.to_vec1()?].concat();
        Ok(values.into_iter().map(f64::from).collect())
    };
    let own = own.iter().map(row).collect::<Result<Vec<_>>>()?;
    let part = |(row, &count): (Vec<f64>, &usize)| -> Result<Moments> {
        let (mean, variance) = row.split_at(channels);
        let [mean, variance] = [mean, variance].map(|row| single(row, &Device::Cpu));
        Ok(Moments { mean: mean?, variance: variance?, count })
    };
    let all = shares.gather(2 * channels, &own)?;
    let parts = all.into_iter().zip(pixels).map(part).collect::<Result<Vec<_>>>()?;
    Ok(Moments::merge(&parts)?)
}

/// The sums that the gradient of a batch norm needs, over the micro-batches of all ranks.
fn sums_of_batch(
    norm: &NormOfBatch,
    own: &[Tensor],
    g: &[Tensor],
    shares: &Shares,
) -> Result<NormSums> {
    let channels = norm.gamma.elem_count();
    let row = |(x, g): (&Tensor, &Tensor)| -> Result<Vec<f64>> {
        let NormSums { gamma, beta } = norm.sums(x, g)?;
        Ok([gamma, beta].concat())
    };
    let own = own.iter().zip(g).map(row).collect::<Result<Vec<_>>>()?;
    let mut all = vec![0.; 2 * channels];
    for row in shares.gather(2 * channels, &own)? {
        all.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let beta = all.split_off(channels);
    Ok(NormSums { gamma: all, beta })
}

fn single(values: &[f64], device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let count = values.len();
    Ok(Tensor::from_vec(values, count, device)?)
}

impl Extractor {
    /// Features [B, H, W, C] of this rank's micro-batches [B, 3, H, W], in training mode. `images`
    /// are the numbers of images of all micro-batches. Updates the running moments.
    pub(crate) fn forward_shared(
        &self,
        own: &[Tensor],
        images: &[usize],
        [height, width]: [usize; 2],
        shares: &Shares,
    ) -> Result<(Vec<Tensor>, Tape)> {
        let pixels: Vec<usize> = images.iter().map(|images| images * height * width).collect();
        let last = |x: &Tensor| Ok(x.permute((0, 2, 3, 1))?.contiguous()?);
        let mut x = own.iter().map(last).collect::<Result<Vec<_>>>()?;
        let mut blocks = vec![];
        for block in &self.blocks {
            let (outputs, tape) = block.forward_shared(x, &pixels, shares)?;
            x = outputs;
            blocks.push(tape);
        }
        Ok((x, Tape { blocks }))
    }

    /// The gradients of the weights from those of the features.
    pub(crate) fn backward_shared(
        &self,
        tape: Tape,
        of_features: Vec<Tensor>,
        shares: &Shares,
    ) -> Result<ExtractorGradients<'_>> {
        let mut gradients = ExtractorGradients {
            of_micro_batches: of_features.iter().map(|_| vec![]).collect(),
            of_batch: vec![],
        };
        let mut g = of_features;
        let blocks = self.blocks.iter().zip(tape.blocks).enumerate();
        for (number, (block, tape)) in blocks.rev() {
            g = block.backward_shared(tape, g, number > 0, shares, &mut gradients)?;
        }
        Ok(gradients)
    }
}
