//! Maps beside the regions that they should be in.

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::tensors::to_f64;

/// The values of maps and regions, both [B, H, W], and the height and width of each.
pub(super) fn maps_and_regions(
    maps: &Tensor,
    regions: &Tensor,
) -> Result<(Vec<f64>, Vec<f64>, [usize; 2])> {
    let &[_, h, w] = maps.dims() else {
        return Err(Error::shape("the maps", maps.dims(), "[B, H, W]"));
    };
    if regions.dims() != maps.dims() {
        let expected = format!("{:?}, as the maps have,", maps.dims());
        return Err(Error::shape("the regions", regions.dims(), expected));
    }
    check(h * w > 0, "pixels", h * w, "a number from 1")?;
    let (maps, regions) = (to_f64(maps)?, to_f64(regions)?);
    check(
        maps.iter().all(|v| v.is_finite()),
        "maps",
        "a value that is not finite",
        "finite values",
    )?;
    Ok((maps, regions, [h, w]))
}
