use serde::{Deserialize, Serialize};

/// The order of the colours in an image's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    #[serde(rename = "RGB")]
    Rgb,
}

/// How the crop of an image is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ResizeFilter {
    /// Each row of the result is the mean of the rows around its centre under a triangle whose
    /// half-width is max(scale, 1) of them, scale = crop / size; then the same for columns. This is
    /// PyTorch's `bilinear` with `antialias=True`, and Pillow's `BILINEAR`. Weights are rounded to
    /// integers of 16 bits, and after rows and after columns the result is rounded to bytes.
    #[default]
    #[serde(rename = "bilinear_antialias")]
    BilinearAntialias,
}

/// What is the same for every model so far. A model's card states it, so that another program need
/// not guess. The cards of older files leave it out and mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Conventions {
    /// The order of the channels of an image, of the card's mean, and of its deviation.
    pub channel_order: ChannelOrder,
    /// What the darkest and the brightest byte (0 and 255) become, before the mean is subtracted.
    pub value_range: [f32; 2],
    /// How the crop is resized.
    pub filter: ResizeFilter,
    /// An attribute is present if its probability, the sigmoid of its logit, is above this.
    pub threshold: f32,
}

impl Default for Conventions {
    /// RGB in [0, 1], antialiased bilinear resizing, threshold 0.5.
    fn default() -> Self {
        Self {
            channel_order: ChannelOrder::default(),
            value_range: [0., 1.],
            filter: ResizeFilter::default(),
            threshold: 0.5,
        }
    }
}
