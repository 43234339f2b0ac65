//! Rows of the heads that sleep: masks that stay shut cost nothing until they are looked at again.

use candle_core::{D, DType, Tensor, Var};
use foresee_kernels::{Identity, Pooled, Rows, ToneCurve, attention_heads_with_curves};

use crate::error::Result;
use crate::heads::Heads;

/// Which rows (attribute, channel) of the heads sleep.
///
/// Step 0 and every 32nd step look at all rows: their masks are computed for the batch. A mask that
/// stays at or below the limit on every pixel, at two looks in a row, sleeps: it is not computed,
/// and its means of the last look stand in for it. A look wakes the masks that opened.
///
/// On images with dropped channels no mask sleeps: one that is otherwise shut may open
/// there. From the others a sleeping mask gets no gradient. The momentum and the weight decay of
/// AdamW go on for its weights, and its readout weight is trained on the constant mean.
pub struct Sleep {
    limit: f32,
    /// The rows that are awake.
    rows: Rows,
    /// 1 for each row that is awake: [K, C].
    awake: Var,
    /// 1 for each row that was open at the last look: [K, C].
    open: Var,
    /// In place of the sleeping rows' means, 0 for the others: [K, C].
    features: Var,
    masks: Var,
}

/// 1 where a mask is above a limit.
struct Above(f32);

impl ToneCurve for Above {
    fn apply(&self, _attribute: usize, _channel: usize, mask: &mut [f32]) {
        // A mask that is NaN is not shut.
        mask.iter_mut().for_each(|m| *m = if *m <= self.0 { 0. } else { 1. });
    }
}

impl Sleep {
    /// All rows of these heads are awake.
    pub fn new(heads: &Heads, limit: f64) -> Result<Self> {
        let kept = heads.rows.to_tensor(heads.mask_weight.device())?;
        let zeros = || Var::from_tensor(&kept.zeros_like()?);
        Ok(Self {
            limit: limit as f32,
            rows: heads.rows.clone(),
            awake: Var::from_tensor(&kept)?,
            open: Var::from_tensor(&kept)?,
            features: zeros()?,
            masks: zeros()?,
        })
    }

    /// What all rows are on features z [B, C, H, W]: [3, K, C]. First the sums over the images of
    /// the means of mask ⊗ feature, then those of the masks' means, then 0 for rows that are shut
    /// on every pixel. Looks at parts of a batch add up.
    pub fn look(&self, heads: &Heads, z: &Tensor) -> Result<Tensor> {
        let (means, open) = match z.device().is_cpu() {
            true => self.seen_under_a_curve(heads, z)?,
            // A GPU's kernels know no curve but Eq. 11, clipped or not.
            false => (heads.pool(z)?, self.seen_one_by_one(heads, z)?),
        };
        Ok(Tensor::stack(&[&means.features.sum(0)?, &means.masks.sum(0)?, &open], 0)?)
    }

    /// Wakes rows that are open, and lets those sleep that were shut on all `images` of this look
    /// and on those of the last one.
    pub fn settle(&mut self, heads: &Heads, seen: &Tensor, images: usize) -> Result<()> {
        let (features, masks, open) = (seen.get(0)?, seen.get(1)?, seen.get(2)?);
        let open = open.ne(0f64)?.to_dtype(DType::F32)?;
        let awake = open.maximum(self.open.as_tensor())?;
        let asleep = ((1. - &awake)? / images as f64)?;
        self.features.set(&(features * &asleep)?)?;
        self.masks.set(&(masks * asleep)?)?;
        self.open.set(&open)?;
        self.awake.set(&awake)?;
        self.find_rows(heads)
    }

    /// The means of all rows, and 1 for each that is open on some pixel: [K, C].
    fn seen_under_a_curve(&self, heads: &Heads, z: &Tensor) -> Result<(Pooled, Tensor)> {
        let Heads { mask_weight, mask_bias, rows, precision, .. } = heads;
        let curves: [&dyn ToneCurve; 2] = [&Identity, &Above(self.limit)];
        let pooled =
            attention_heads_with_curves(z, mask_weight, mask_bias, rows, &curves, *precision)?;
        let [means, above] = &pooled[..] else { unreachable!("one result for each curve") };
        let open = above.masks.max(0)?.ne(0f64)?.to_dtype(z.dtype())?;
        Ok((means.clone(), open))
    }

    /// 1 for each row that is open on some pixel, [K, C], from the masks themselves: attribute by
    /// attribute, so that only one's are in memory.
    fn seen_one_by_one(&self, heads: &Heads, z: &Tensor) -> Result<Tensor> {
        let open = |k: usize| -> Result<Tensor> {
            // A mask that is NaN is not shut: it compares with no limit.
            let is_shut = heads.masks(z, &[k])?.le(f64::from(self.limit))?.to_dtype(DType::F32)?;
            let shut = is_shut.flatten_from(3)?.min(D::Minus1)?.min(0)?.squeeze(0)?;
            Ok((1. - shut)?)
        };
        let each = (0..heads.rows.attributes()).map(open).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&each, 0)?)
    }

    /// The heads with the rows that are awake.
    pub fn waking(&self, heads: &Heads) -> Heads {
        Heads { rows: self.rows.clone(), ..heads.clone() }
    }

    /// Puts the means of the last look in place of sleeping rows'.
    pub fn complete(&self, pooled: Pooled) -> Result<Pooled> {
        Ok(Pooled {
            features: pooled.features.broadcast_add(&self.features())?,
            masks: pooled.masks.broadcast_add(&self.masks.as_detached_tensor())?,
        })
    }

    /// In place of the sleeping rows' means of mask ⊗ feature, 0 for the others: [K, C].
    pub fn features(&self) -> Tensor {
        self.features.as_detached_tensor()
    }

    /// In place of the sleeping masks' means, 0 for the others: [K, C].
    pub fn masks(&self) -> Tensor {
        self.masks.as_detached_tensor()
    }

    /// The rows that are awake.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The state by the names that it has in checkpoints.
    pub fn tensors(&self) -> [(String, &Var); 4] {
        [
            ("sleep.awake".into(), &self.awake),
            ("sleep.open".into(), &self.open),
            ("sleep.features".into(), &self.features),
            ("sleep.masks".into(), &self.masks),
        ]
    }

    /// Finds the rows that are awake, after [`tensors`](Self::tensors) were set.
    pub fn find_rows(&mut self, heads: &Heads) -> Result<()> {
        let awake = self.awake.to_vec2::<f32>()?;
        let of = |row: Vec<f32>| (0..row.len()).filter(|&c| row[c] != 0.).collect();
        let awake = Rows::new(heads.rows.channels(), awake.into_iter().map(of).collect())?;
        self.rows = heads.rows.and(&awake)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::config::NetworkConfig;
    use crate::network::Network;

    /// Rows are open by their biases alone: 5, -5 or NaN.
    #[test]
    fn both_ways_of_looking_see_the_same() {
        let config = NetworkConfig { attributes: 2, channels: 3, ..Default::default() };
        let network = Network::new(config, 7, &Device::Cpu).unwrap();
        let heads = network.heads();
        heads.mask_weight.set(&heads.mask_weight.zeros_like().unwrap()).unwrap();
        let bias = [5., -5., f32::NAN, -5., -5., 5.];
        heads.mask_bias.set(&Tensor::new(&bias, &Device::Cpu).unwrap()).unwrap();
        let z = Tensor::ones((2, 3, 4, 5), DType::F32, &Device::Cpu).unwrap();
        // One pixel of the second image is damaged.
        let mut values = z.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values[3 * 20 + 7] = f32::NAN;
        let damaged = Tensor::from_vec(values, z.shape(), &Device::Cpu).unwrap();
        // sigmoid(5) is 0.993, sigmoid(-5) is 0.007.
        for (z, limit, expected) in [
            (&z, 0.01, [[1f32, 0., 1.], [0., 0., 1.]]),
            (&z, 0.001, [[1.; 3]; 2]),
            (&z, 1., [[0., 0., 1.], [0.; 3]]),
            (&damaged, 0.01, [[1.; 3]; 2]),
        ] {
            let sleep = Sleep::new(heads, limit).unwrap();
            let (_, under_a_curve) = sleep.seen_under_a_curve(heads, z).unwrap();
            let one_by_one = sleep.seen_one_by_one(heads, z).unwrap();
            for seen in [under_a_curve, one_by_one] {
                assert_eq!(seen.to_vec2::<f32>().unwrap(), expected, "a limit of {limit}");
            }
        }
    }
}
