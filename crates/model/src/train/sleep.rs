//! Rows of the heads that sleep: masks that stay shut cost nothing until they are looked at again.

use candle_core::{D, Tensor, Var};
use foresee_kernels::{Identity, Pooled, Rows, ToneCurve, attention_heads_with_curves};

use crate::error::Result;
use crate::heads::Heads;

/// Steps from one look at all rows to the next.
const LOOK_EVERY: usize = 32;

/// Which rows (attribute, channel) of the heads sleep.
///
/// At every 32nd step the masks of all rows are computed for the batch. A row falls asleep if no
/// mask of it was above the limit on any pixel of this look's batch and of the last one's, and
/// wakes if one is. Until the next look a sleeping row is not computed and not trained: in place of
/// its means stand those of the look.
pub(super) struct Sleep {
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

    /// Whether a step looks at all rows.
    pub fn looks(step: usize) -> bool {
        step.is_multiple_of(LOOK_EVERY)
    }

    /// Looks at all rows on features z [B, C, H, W].
    pub fn look(&mut self, heads: &Heads, z: &Tensor) -> Result<()> {
        let (means, open) = match z.device().is_cpu() {
            true => self.seen_under_a_curve(heads, z)?,
            false => (heads.pool(z)?, self.seen_one_by_one(heads, z)?),
        };
        let awake = open.maximum(self.open.as_tensor())?;
        let asleep = (1. - &awake)?;
        self.features.set(&(means.features.mean(0)? * &asleep)?)?;
        self.masks.set(&(means.masks.mean(0)? * &asleep)?)?;
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

    /// The same of a GPU, whose kernels know no curve but Eq. 11: attribute by attribute, so that
    /// only one's masks are in memory.
    fn seen_one_by_one(&self, heads: &Heads, z: &Tensor) -> Result<Tensor> {
        let open = |k: usize| -> Result<Tensor> {
            let masks = heads.masks(z, &[k])?.flatten_from(3)?.max(D::Minus1)?;
            Ok(masks.max(0)?.squeeze(0)?.gt(f64::from(self.limit))?.to_dtype(z.dtype())?)
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
