//! Where relevance goes at a node.

use candle_core::Tensor;

use crate::error::Result;

/// Where the relevance of a node's outputs goes.
#[derive(Default)]
pub(super) struct Shares {
    /// To the inputs at these places.
    pub to: Vec<(usize, Tensor)>,
    /// To constants, for each input of the graph; none is 0.
    pub bias: Vec<f64>,
    /// To stabilisers, and what cannot be distributed.
    pub stabilizer: Vec<f64>,
}

impl Shares {
    /// All to one input.
    pub fn one(place: usize, relevance: Tensor) -> Self {
        Self { to: vec![(place, relevance)], ..Self::default() }
    }
}

/// The sum over the dimensions along which a tensor of the shape of `like` was broadcast.
pub(in crate::graph) fn unbroadcast(t: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut t = t.clone();
    while t.rank() > like.rank() {
        t = t.sum(0)?;
    }
    for (dim, &size) in like.dims().iter().enumerate() {
        if size == 1 && t.dims()[dim] != 1 {
            t = t.sum_keepdim(dim)?;
        }
    }
    Ok(t)
}
