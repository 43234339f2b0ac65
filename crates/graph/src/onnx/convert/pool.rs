//! Pools.

use super::super::attributes::{Convert, Fault, unsupported};
use super::super::call::Call;
use super::convolution::{spatial, window};
use crate::op::{Op, Pool, PoolKind};

pub(super) fn pool(call: &mut Call, kind: PoolKind) -> Convert<()> {
    let attributes = &call.attributes;
    let kernel = attributes.sizes("kernel_shape", 1)?;
    let kernel = kernel.ok_or_else(|| Fault::Invalid("it has no kernel_shape".into()))?;
    let average = kind == PoolKind::Average;
    if !average {
        // The order of the indices, which are not supported.
        attributes.skip(&["storage_order"]);
    }
    let window = window(call, spatial(kernel.len())?)?;
    if window.groups != 1 {
        return unsupported("the attribute `group`");
    }
    let pool = Pool {
        kind,
        window,
        kernel,
        ceil: attributes.flag("ceil_mode", false)?,
        count_include_pad: average && attributes.flag("count_include_pad", false)?,
    };
    call.emit(Op::Pool(pool))
}
