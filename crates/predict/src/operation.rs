/// A kind of operation on a network whose predictability is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkOperation {
    /// Each channel alone is pruned.
    PruneOne,
    /// Each channel alone is pruned, and the channel that is most correlated with it takes over.
    PruneOneWithPartner,
    /// Many channels are pruned; the change of the logits.
    PruneMany,
    /// Many channels are pruned; the predictions that flip.
    PruneManyDecisions,
    /// The masks of each channel alone are transformed (Eq. 11 and 12) with
    /// n = [`TRANSFORM_N`](Self::TRANSFORM_N) and β = 0.
    TransformOne,
    /// Gaussian noise is added to the images.
    Noise,
    /// A share of the channels of a layer of a graph is pruned, layer by layer.
    PruneLayer,
    /// The same, and kept channels take over.
    PruneLayerWithTakeover,
}

impl NetworkOperation {
    /// Those of a network with attention masks (`NetworkStudy`), in the order in which they are
    /// measured.
    pub const OF_MASKED_NETWORK: [Self; 6] = [
        Self::PruneOne,
        Self::PruneOneWithPartner,
        Self::PruneMany,
        Self::PruneManyDecisions,
        Self::TransformOne,
        Self::Noise,
    ];

    /// All operations: those of a network with attention masks, and then those of any network that
    /// is a graph (`LayerStudy`).
    pub const ALL: [Self; 8] = [
        Self::PruneOne,
        Self::PruneOneWithPartner,
        Self::PruneMany,
        Self::PruneManyDecisions,
        Self::TransformOne,
        Self::Noise,
        Self::PruneLayer,
        Self::PruneLayerWithTakeover,
    ];

    /// n of the tone curve of [`TransformOne`](Self::TransformOne).
    pub const TRANSFORM_N: f64 = 2.;

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::PruneOne => "prune_one",
            Self::PruneOneWithPartner => "prune_one_with_partner",
            Self::PruneMany => "prune_many",
            Self::PruneManyDecisions => "prune_many_decisions",
            Self::TransformOne => "transform_one",
            Self::Noise => "noise",
            Self::PruneLayer => "prune_layer",
            Self::PruneLayerWithTakeover => "prune_layer_with_takeover",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> String {
        match self {
            Self::PruneOne => "prune one channel".into(),
            Self::PruneOneWithPartner => "prune one channel, its partner takes over".into(),
            Self::PruneMany => "prune many channels".into(),
            Self::PruneManyDecisions => "prune many channels: answers that flip".into(),
            Self::TransformOne => {
                format!("transform one channel's masks (n = {})", Self::TRANSFORM_N)
            }
            Self::Noise => "noise on the image".into(),
            Self::PruneLayer => "prune a share of a layer's channels".into(),
            Self::PruneLayerWithTakeover => "prune a share of a layer, with takeover".into(),
        }
    }

    /// The operation with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.id() == id)
    }
}
