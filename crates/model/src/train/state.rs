//! What a training keeps of the paper's network besides its tensors.

use candle_core::{Tensor, Var};

use super::perturb::{Key, SemanticOrder, Source};
use super::sleep::Sleep;
use crate::config::TrainConfig;
use crate::error::Result;
use crate::network::Network;

/// The state of a training.
pub struct State {
    /// Rows that sleep, if any may.
    pub(super) sleep: Option<Sleep>,
    /// The order of semantic pruning, if channels are left out in it.
    order: Option<SemanticOrder>,
    /// What the draws of the steps depend on, if there are any.
    key: Option<Key>,
}

impl State {
    pub(super) fn new(network: &Network, config: &TrainConfig) -> Result<Self> {
        config.check_for(network.config())?;
        let heads = network.heads();
        let sleeps = config.may_sleep(network.config());
        let orders = config.drop_correlated > 0.;
        let drawn = [config.drop, config.noise, config.curve, config.variation];
        let draws = orders || drawn.iter().any(|&option| option > 0.);
        let first = &network.tensors()[0].1;
        let (channels, device) = (network.config().channels, heads.mask_weight.device());
        Ok(Self {
            sleep: sleeps.then(|| Sleep::new(heads, config.sleep)).transpose()?,
            order: orders.then(|| SemanticOrder::new(channels, device)).transpose()?,
            key: draws.then(|| Key::new(first)).transpose()?,
        })
    }

    pub(super) fn tensors(&self) -> Vec<(String, &Var)> {
        let sleep = self.sleep.iter().flat_map(Sleep::tensors);
        let order = self.order.iter().flat_map(SemanticOrder::tensors);
        sleep.chain(order).chain(self.key.iter().flat_map(Key::tensors)).collect()
    }

    pub(super) fn restore(&mut self, network: &Network) -> Result<()> {
        self.sleep.iter_mut().try_for_each(|sleep| sleep.find_rows(network.heads()))?;
        self.order.iter_mut().try_for_each(SemanticOrder::restore)?;
        self.key.iter_mut().try_for_each(Key::restore)
    }

    /// Looks at all of a batch's features where a step does so: each part [B, H, W, C] by itself,
    /// with all channels, and `sum` adds up what the parts saw, tensors of a shape. The number of
    /// rows that are awake then.
    pub(super) fn look(
        &mut self,
        network: &Network,
        parts: &[&Tensor],
        step: usize,
        images: usize,
        sum: impl Fn(&[usize], Vec<Tensor>) -> Result<Tensor>,
    ) -> Result<Option<usize>> {
        if !step.is_multiple_of(TrainConfig::LOOK_EVERY) {
            return Ok(None);
        }
        if let Some(order) = &mut self.order {
            let seen = parts.iter().map(|z| SemanticOrder::seen(z));
            let seen = seen.collect::<Result<_>>()?;
            let seen = sum(order.shape().dims(), seen)?;
            order.settle(&seen, &network.extractor().filter_norms()?)?;
        }
        let Some(sleep) = &mut self.sleep else { return Ok(None) };
        let heads = network.heads();
        let see = |z: &&Tensor| sleep.look(heads, &z.detach().permute((0, 3, 1, 2))?);
        let seen = parts.iter().map(see).collect::<Result<_>>()?;
        let (k, c) = heads.readout_weight.dims2()?;
        sleep.settle(heads, &sum(&[3, k, c], seen)?, images)?;
        Ok(Some(sleep.rows().count()))
    }

    /// What the draws of the steps depend on.
    pub(super) fn source(&self) -> Source<'_> {
        Source {
            key: self.key.as_ref().map_or(0, Key::value),
            order: self.order.as_ref().map(SemanticOrder::channels),
        }
    }
}
