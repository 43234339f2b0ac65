//! The attention heads on a CUDA device: inputs u [B, H, W, D], weights [K·C, D], biases `[K·C]`.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{first, run, run_on, view};
use crate::cuda::heads::{Counts, backward, forward, input_gradient, under};
use crate::curve::{ClosedForm, ToneCurve};
use crate::factor::Precision;

/// Means [B, K, 2, C]: of mask ⊗ feature, then of the mask.
pub(crate) struct Heads {
    pub counts: Counts,
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
            &forward(&self.counts, self.precision),
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
        let (n, inputs) = (&self.counts, [u, w, b, g]);
        if !w.track_op() && !b.track_op() {
            let [du] = run_on(&input_gradient(n, self.precision), &inputs, [u.shape().clone()])?;
            return Ok((Some(du), None, None));
        }
        let shapes = [u.shape().clone(), w.shape().clone(), b.shape().clone()];
        let [du, dw, db] = run_on(&backward(n, self.precision), &inputs, shapes)?;
        Ok((Some(du), Some(dw), Some(db)))
    }
}

/// Means [B, K, curves, 2, C] under curves, or `None` where one of them is of no closed form.
pub(crate) fn forward_under(
    u: &Tensor,
    w: &Tensor,
    bias: &Tensor,
    counts: &Counts,
    precision: Precision,
    curves: &[&dyn ToneCurve],
) -> Result<Option<Tensor>> {
    let Some(forms) =
        curves.iter().map(|curve| closed_forms(*curve, counts)).collect::<Option<Vec<_>>>()
    else {
        return Ok(None);
    };
    let parts = forms.chunks(counts.curves_at_once()).map(|forms| {
        let shape = (counts.images, counts.attributes, forms.len(), 2, counts.channels);
        let table = Tensor::from_vec(
            forms.concat(),
            forms.len() * counts.attributes * counts.channels * 2,
            u.device(),
        )?;
        let [out] =
            run_on(&under(counts, precision, forms.len()), &[u, w, bias, &table], [shape.into()])?;
        Ok(out)
    });
    Ok(Some(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)?))
}

/// n and β of every mask, [K, C, 2].
fn closed_forms(curve: &dyn ToneCurve, counts: &Counts) -> Option<Vec<f32>> {
    let masks = (0..counts.attributes)
        .flat_map(|attribute| (0..counts.channels).map(move |channel| (attribute, channel)));
    let forms = masks.map(|(attribute, channel)| {
        curve.closed_form(attribute, channel).map(|ClosedForm { n, beta }| [n, beta])
    });
    Some(forms.collect::<Option<Vec<_>>>()?.concat())
}
