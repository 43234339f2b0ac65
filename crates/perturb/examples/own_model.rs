//! Your own network under both operations:
//! `cargo run --release -p foresee-perturb --example own_model`.

use candle_core::{D, Device, Result, Tensor};
use foresee_kernels::{Precision, Rows, attention_heads, attention_heads_with_curves};
use foresee_perturb::{
    AttentionModel, Cut, Error, GatedModel, Identity, Noise, PowerCurve, PruneOrder, ToneCurve,
    prune_curves, transform_grid,
};

/// Features are random mixtures of the colours; one mask per attribute and channel; logits are sums
/// of the pooled products.
struct Mixtures {
    mix: Tensor,
    weight: Tensor,
    bias: Tensor,
}

impl GatedModel for Mixtures {
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        images.conv2d(&self.mix, 0, 1, 1, 1)
    }

    fn logits_with_curves(
        &self,
        features: &Tensor,
        curves: &[&dyn ToneCurve],
    ) -> Result<Vec<Tensor>> {
        let (weight, bias) = (&self.weight, &self.bias);
        let rows = Rows::all(bias.dims()[0] / self.channels(), self.channels());
        let pooled =
            attention_heads_with_curves(features, weight, bias, &rows, curves, Precision::F32)
                .map_err(candle_core::Error::wrap)?;
        pooled.iter().map(|pooled| pooled.features.sum(D::Minus1)).collect()
    }
}

impl AttentionModel for Mixtures {
    fn channels(&self) -> usize {
        self.mix.dims()[0]
    }

    fn logits(&self, features: &Tensor) -> Result<Tensor> {
        attention_heads(features, &self.weight, &self.bias, Precision::F32)
            .map_err(candle_core::Error::wrap)?
            .features
            .sum(D::Minus1)
    }

    fn cut(&self, cut: &Cut) -> Result<Self> {
        let Cut::Plain(kept) = cut else {
            candle_core::bail!(
                "this model has no readout weights, so kept channels cannot take over"
            )
        };
        let c = self.channels();
        let k = self.bias.dims()[0] / c;
        let index = Tensor::from_iter(kept.iter().map(|&c| c as u32), &Device::Cpu)?;
        let weight =
            self.weight.reshape((k, c, c))?.index_select(&index, 1)?.index_select(&index, 2)?;
        let weight = weight.reshape((k * kept.len(), kept.len(), 1, 1))?;
        let bias = self.bias.reshape((k, c))?.index_select(&index, 1)?.flatten_all()?;
        Ok(Self { mix: self.mix.index_select(&index, 0)?, weight, bias })
    }
}

fn main() -> std::result::Result<(), Error> {
    let random = |shape: &[usize]| Tensor::randn(0f32, 1., shape, &Device::Cpu);
    let model = Mixtures {
        mix: random(&[12, 3, 1, 1])?,
        weight: random(&[2 * 12, 12, 1, 1])?,
        bias: random(&[2 * 12])?,
    };
    let images = Tensor::rand(-1f32, 1., (64, 3, 8, 8), &Device::Cpu)?;
    // The labels are the predictions of the unperturbed network: the accuracies below say how often
    // the perturbed one still predicts the same.
    let labels =
        model.logits(&model.features(&images)?)?.gt(0f64)?.to_dtype(candle_core::DType::F32)?;

    let counts = [0, 3, 6, 9, 11];
    let batches = || std::iter::once(Ok::<_, Error>((images.clone(), labels.clone())));
    let tallies = prune_curves(&model, &[PruneOrder::random(12, 0).cuts(12, &counts)], batches())?;
    for (count, tally) in counts.iter().zip(&tallies[0]) {
        println!(
            "{count:2} channels pruned: {:.0} % of the predictions are the same",
            100. * tally.accuracy()
        );
    }
    let noise =
        Noise { sigma: 0., clip: true, mean: vec![0.5; 3], deviation: vec![0.5; 3], seed: 0 };
    let curve = PowerCurve::new(2., 0.1)?;
    let batches =
        batches().map(|batch| batch.map(|(images, labels)| (images, labels, (0..64).collect())));
    let grid = transform_grid(&model, &noise, &[0., 0.3], &[&Identity, &curve], batches)?;
    println!(
        "under noise, σ = 0.3: {:.0} %, with transformed masks {:.0} %",
        100. * grid[1][0].accuracy(),
        100. * grid[1][1].accuracy()
    );
    Ok(())
}
