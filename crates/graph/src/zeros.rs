//! A pass on zeros, which tells the shape of every value.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::forward::check_size;
use crate::graph::{Graph, Origin, ValueId};
use crate::op::Kind;

impl Graph {
    /// The inputs as zeros: of this batch, where its size is not fixed; other sizes that are not
    /// fixed are `sizes`, in the order of the inputs and their dimensions.
    pub(crate) fn zeros(&self, batch: usize, sizes: &[usize]) -> Result<Vec<(ValueId, Tensor)>> {
        let (mut left, mut needed) = (sizes.iter(), 0);
        let mut size = |(place, fixed): (usize, &Option<usize>)| match (fixed, place) {
            (Some(size), _) => *size,
            (None, 0) => batch,
            (None, _) => {
                needed += 1;
                left.next().copied().unwrap_or(1)
            }
        };
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for &id in &self.inputs {
            if let Origin::Input { kind, sizes } = &self.value(id).origin {
                let sizes: Vec<usize> = sizes.iter().enumerate().map(&mut size).collect();
                inputs.push((id, *kind, sizes));
            }
        }
        if needed != sizes.len() {
            return Err(Error::Sizes { needed, given: sizes.len() });
        }
        inputs.into_iter().map(|(id, kind, sizes)| Ok((id, self.zero(id, kind, &sizes)?))).collect()
    }

    fn zero(&self, id: ValueId, kind: Kind, sizes: &[usize]) -> Result<Tensor> {
        let input = || self.value(id).name.clone();
        check_size(sizes).map_err(|source| Error::Input { name: input(), source })?;
        let (float, device) = self.float_type();
        let dtype = match kind {
            Kind::Float => float,
            Kind::Int => DType::I64,
            Kind::Bool => DType::U8,
        };
        Ok(Tensor::zeros(sizes, dtype, &device)?)
    }

    /// The type of the numbers with a fraction, and where they are: those of the first weight that
    /// has such.
    pub(crate) fn float_type(&self) -> (DType, Device) {
        let weights = self.values.iter().filter_map(|value| match &value.origin {
            Origin::Weight(tensor) => Some(tensor),
            _ => None,
        });
        let mut floats = weights.filter(|tensor| tensor.dtype().is_float());
        floats.next().map_or((DType::F32, Device::Cpu), |t| (t.dtype(), t.device().clone()))
    }
}
