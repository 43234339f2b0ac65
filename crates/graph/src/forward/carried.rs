//! Values whose gradients go past candle.
//!
//! candle adds every gradient to zeros of its size: three passes over a map of features where none
//! is needed. So nodes of a training pass compute from tensors that candle does not follow. It
//! follows *tokens* in their place, a number for each value. What a node's gradient is, its readers
//! have put into the value's slot when candle's backward pass comes to its token.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, DType, Device, InplaceOp1, Layout, Result, Shape, Storage,
    Tensor, bail,
};

/// The sum of the gradients that are known so far.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Tensor>>>);

impl Slot {
    fn add(&self, gradient: Tensor) -> Result<()> {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = Some(match sum.take() {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        });
        Ok(())
    }

    fn take(&self) -> Result<Tensor> {
        let sum = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sum.ok_or_else(|| candle_core::Error::msg("nothing reads the value"))
    }
}

/// A value that candle does not follow, with the token that it follows instead.
#[derive(Clone)]
pub(crate) struct Carried {
    data: Tensor,
    token: Tensor,
    gradient: Slot,
}

/// The gradients of a node's three inputs that are wanted, from its result and that one's gradient.
pub(super) type Gradients =
    dyn Fn(&Tensor, &Tensor, [bool; 3]) -> Result<[Option<Tensor>; 3]> + Send + Sync;

/// What a node reads.
#[derive(Clone, Copy)]
pub(super) enum Read<'a> {
    Value(&'a Carried),
    /// A tensor that candle follows.
    Weight(&'a Tensor),
    Nothing,
}

impl Carried {
    /// A value that candle follows, `f32` on the CPU.
    pub fn enter(value: &Tensor) -> Result<Self> {
        let gradient = Slot::default();
        let token = match value.track_op() {
            true => value.apply_op1(Enter(gradient.clone()))?,
            false => number()?,
        };
        Ok(Self { data: value.detach().contiguous()?, token, gradient })
    }

    /// The value as one that candle follows.
    pub fn leave(&self) -> Result<Tensor> {
        if !self.token.track_op() {
            return Ok(self.data.clone());
        }
        let leave = Leave { data: self.data.clone(), gradient: self.gradient.clone() };
        self.token.apply_op1(leave)
    }

    /// What a node has computed from what it read.
    pub(super) fn computed(
        data: Tensor,
        read: [Read; 3],
        gradients: Box<Gradients>,
    ) -> Result<Self> {
        let gradient = Slot::default();
        let result = Computed::Carried { data: data.clone(), gradient: gradient.clone() };
        Ok(Self { data, token: step(result, read, gradients)?, gradient })
    }

    /// Its numbers, without a gradient.
    pub fn data(&self) -> &Tensor {
        &self.data
    }
}

/// What a node has computed from carried values, as a tensor that candle follows. Its memory is
/// taken from `data`, of which there must be no other view.
pub(super) fn followed(data: Tensor, read: [Read; 3], gradients: Box<Gradients>) -> Result<Tensor> {
    let shape = data.shape().clone();
    let values = Take::default();
    data.inplace_op1(&values)?;
    step(Computed::Followed { values, shape }, read, gradients)
}

fn step(result: Computed, read: [Read; 3], gradients: Box<Gradients>) -> Result<Tensor> {
    let nothing = number()?;
    let inputs = read.map(|read| match read {
        Read::Value(value) => &value.token,
        Read::Weight(weight) => weight,
        Read::Nothing => &nothing,
    });
    let slots = read.map(|read| match read {
        Read::Value(value) => Some(value.gradient.clone()),
        Read::Weight(_) | Read::Nothing => None,
    });
    inputs[0].apply_op3(inputs[1], inputs[2], Step { result, slots, gradients })
}

/// Whether a tensor can be carried.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0
}

/// A token's number, which nobody reads.
fn number() -> Result<Tensor> {
    Tensor::zeros((), DType::F32, &Device::Cpu)
}

fn token() -> (CpuStorage, Shape) {
    (CpuStorage::F32(vec![0.]), ().into())
}

/// A value that candle follows → its token.
struct Enter(Slot);

impl CustomOp1 for Enter {
    fn name(&self) -> &'static str {
        "enter"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(token())
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        self.0.take().map(Some)
    }
}

/// A token → its value, which candle follows.
struct Leave {
    data: Tensor,
    gradient: Slot,
}

impl CustomOp1 for Leave {
    fn name(&self) -> &'static str {
        "leave"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let (storage, layout) = self.data.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
                Ok((CpuStorage::F32(values[start..end].to_vec()), layout.shape().clone()))
            }
            _ => bail!("contiguous f32 on the CPU is needed"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.gradient.add(gradient.clone())?;
        number().map(Some)
    }
}

/// The values of a tensor that has no further use for them.
#[derive(Default)]
struct Take(Mutex<Vec<f32>>);

impl Take {
    fn values(&self) -> MutexGuard<'_, Vec<f32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InplaceOp1 for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((0, end))) if end == values.len() => {
                *self.values() = std::mem::take(values);
                Ok(())
            }
            _ => bail!("all of a tensor of f32 is needed"),
        }
    }
}

/// What becomes of a node's result.
enum Computed {
    Carried { data: Tensor, gradient: Slot },
    Followed { values: Take, shape: Shape },
}

/// Tokens and weights → a node's result, or the token of it.
struct Step {
    result: Computed,
    slots: [Option<Slot>; 3],
    gradients: Box<Gradients>,
}

impl CustomOp3 for Step {
    fn name(&self) -> &'static str {
        "step"
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
        Ok(match &self.result {
            Computed::Carried { .. } => token(),
            Computed::Followed { values, shape } => {
                (CpuStorage::F32(std::mem::take(&mut *values.values())), shape.clone())
            }
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        out: &Tensor,
        of_out: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [a, b, c].map(Tensor::track_op);
        let mut gradients = match &self.result {
            Computed::Carried { data, gradient } => {
                (self.gradients)(data, &gradient.take()?, wanted)?
            }
            Computed::Followed { .. } => (self.gradients)(&out.detach(), of_out, wanted)?,
        };
        for (gradient, slot) in gradients.iter_mut().zip(&self.slots) {
            if let (Some(slot), Some(of_value)) = (slot, gradient.take_if(|_| slot.is_some())) {
                slot.add(of_value)?;
                *gradient = Some(number()?);
            }
        }
        let [a, b, c] = gradients;
        Ok((a, b, c))
    }
}
