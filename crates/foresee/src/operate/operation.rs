//! What is done to a network and its image.

use foresee_perturb::{PowerCurve, PruneRule, Takeover};

use crate::error::{Result, input};

/// n and β of the tone curve (Eq. 11 and 12).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tone {
    pub n: f64,
    pub beta: f64,
}

impl Tone {
    pub fn curve(self) -> Result<PowerCurve> {
        PowerCurve::new(self.n, self.beta).map_err(|e| input(e.to_string()))
    }
}

/// Which channels go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Pruning {
    /// The first of an order.
    Order { rule: PruneRule, seed: u64, count: usize },
    /// These, in this order.
    Channels(Vec<usize>),
}

/// What is done to the network and its image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    pub tone: Option<Tone>,
    /// σ of the noise, and the seed of its draw.
    pub sigma: f64,
    pub noise_seed: u64,
    pub pruning: Pruning,
    pub takeover: Takeover,
}

impl Default for Operation {
    fn default() -> Self {
        Self {
            tone: None,
            sigma: 0.,
            noise_seed: 0,
            pruning: Pruning::Channels(vec![]),
            takeover: Takeover::Nothing,
        }
    }
}

impl Operation {
    /// In words.
    pub fn title(&self) -> String {
        let mut parts = vec![];
        if let Some(Tone { n, beta }) = self.tone {
            parts.push(format!("tone curve n = {n}, β = {beta}"));
        }
        if self.sigma > 0. {
            parts.push(format!("noise σ = {} (seed {})", self.sigma, self.noise_seed));
        }
        let takeover = self.takeover.title();
        match &self.pruning {
            Pruning::Order { rule, seed, count } if *count > 0 => {
                let seed = match rule {
                    PruneRule::Random => format!(", seed {seed}"),
                    _ => String::new(),
                };
                let order = format!("{}{seed}", rule.title());
                parts.push(format!("{count} channels pruned ({order}), {takeover}"));
            }
            Pruning::Channels(channels) if !channels.is_empty() => {
                let named: Vec<String> = channels.iter().map(usize::to_string).collect();
                parts.push(format!("channels {} pruned, {takeover}", named.join(", ")));
            }
            _ => {}
        }
        match parts.is_empty() {
            true => "nothing is changed".into(),
            false => parts.join("; "),
        }
    }
}
