//! The attention heads on a CUDA device: inputs u [B, H, W, D], weights [K·C, D], biases `[K·C]`.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view};
use crate::cuda::heads::{self, Counts, backward, forward, input_gradient};
use crate::curve::{ClosedForm, ToneCurve};
use crate::factor::Precision;
use crate::rows::Rows;

/// Means [B, K, 2, C]: of mask ⊗ feature, then of the mask. 0 for rows that are left out.
pub(crate) struct Heads {
    pub counts: Counts,
    pub rows: Rows,
    pub precision: Precision,
}

impl CustomOp3 for Heads {
    fn name(&self) -> &'static str {
        "attention-heads-cuda"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("{}: tensors on a CUDA device are needed", self.name())
    }

    fn cuda_fwd(
        &self,
        u: &CudaStorage,
        ul: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let made = run(
            &forward(&self.counts, &self.rows, self.precision),
            &u.device,
            &[view(u, ul)?, view(w, wl)?, view(b, bl)?],
        )?;
        Ok((
            first(made, &u.device),
            (self.counts.images, self.counts.attributes, 2, self.counts.channels).into(),
        ))
    }

    fn bwd(
        &self,
        u: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let n = &self.counts;
        let inputs = [u, w, b, g];
        if !w.track_op() && !b.track_op() {
            let plan = input_gradient(n, &self.rows, self.precision);
            let [du] = run_on(&plan, &inputs, [u.shape().clone()])?;
            return Ok((Some(du), None, None));
        }
        let shapes = [u.shape().clone(), w.shape().clone(), b.shape().clone()];
        let [du, dw, db] = run_on(&backward(n, &self.rows, self.precision), &inputs, shapes)?;
        Ok((Some(du), Some(dw), Some(db)))
    }
}

/// Means [B, K, curves, 2, C] under curves, or `None` if one of them has no closed form.
pub(crate) fn forward_with_curves(
    u: &Tensor,
    w: &Tensor,
    bias: &Tensor,
    (counts, rows): (&Counts, &Rows),
    precision: Precision,
    curves: &[&dyn ToneCurve],
) -> Result<Option<Tensor>> {
    let forms = curves.iter().map(|curve| closed_forms(*curve, counts));
    let Some(forms) = forms.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let parts = forms.chunks(counts.curves_at_once()).map(|forms| {
        let Counts { images, attributes, channels, .. } = *counts;
        let values = forms.len() * attributes * channels * 3;
        let table = Tensor::from_vec(forms.concat(), values, u.device())?;
        let plan = heads::forward_with_curves(counts, rows, precision, forms.len());
        let shape = (images, attributes, forms.len(), 2, channels);
        let [means] = run_on(&plan, &[u, w, bias, &table], [shape.into()])?;
        Ok(means)
    });
    Ok(Some(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)?))
}

/// n, β and the floor of every mask, [K, C, 3].
fn closed_forms(curve: &dyn ToneCurve, counts: &Counts) -> Option<Vec<f32>> {
    let masks = (0..counts.attributes)
        .flat_map(|attribute| (0..counts.channels).map(move |channel| (attribute, channel)));
    let forms = masks.map(|(attribute, channel)| {
        let form = curve.closed_form(attribute, channel);
        form.map(|ClosedForm { n, beta, floor }| [n, beta, floor])
    });
    Some(forms.collect::<Option<Vec<_>>>()?.concat())
}
