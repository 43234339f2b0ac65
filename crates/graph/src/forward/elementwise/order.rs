//! Functions of elements in the order in which a tensor lies in memory. Feature maps of the kernels
//! have all channels of a pixel side by side: [B, C, H, W] in the order [B, H, W, C]. A function of
//! each element gives its result in the same order, and reads and writes memory without gaps.

use candle_core::Tensor;

use crate::dims::inverse;
use crate::forward::Forward;

/// f(x) for a function of elements: x's dimensions are in the order in which they lie in memory
/// when `f` sees it.
pub(super) fn in_memory_order(
    x: &Tensor,
    f: impl FnOnce(&Tensor) -> Forward<Tensor>,
) -> Forward<Tensor> {
    match memory_order(x) {
        Some(order) => Ok(f(&x.permute(&order[..])?)?.permute(inverse(&order))?),
        None => f(x),
    }
}

/// The dimensions from the outermost to the innermost in memory, if they lie densely and in another
/// order than their own.
pub(in crate::forward) fn memory_order(x: &Tensor) -> Option<Vec<usize>> {
    if x.is_contiguous() {
        return None;
    }
    let (sizes, strides) = (x.dims(), x.stride());
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse((strides[i], sizes[i])));
    let mut expected = 1;
    for &i in order.iter().rev().filter(|&&i| sizes[i] > 1) {
        if strides[i] != expected {
            return None;
        }
        expected *= sizes[i];
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_order_of_dense_tensors_is_found() -> candle_core::Result<()> {
        let x = Tensor::arange(0f32, 48., &Device::Cpu)?.reshape((2, 4, 2, 3))?;
        assert_eq!(memory_order(&x), None);
        let pixels_first = x.permute((0, 3, 1, 2))?;
        let order = memory_order(&pixels_first).unwrap();
        assert!(pixels_first.permute(&order[..])?.is_contiguous());
        assert_eq!(memory_order(&x.narrow(2, 0, 1)?), None);
        assert_eq!(memory_order(&x.narrow(0, 0, 1)?.broadcast_as((5, 4, 2, 3))?), None);
        Ok(())
    }
}
