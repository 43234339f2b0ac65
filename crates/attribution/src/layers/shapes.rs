//! What is known of the shape between two layers, so that layers that do not fit each other are
//! refused while they are listed. The size of images is not known.

use crate::error::{Error, Result};

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Any,
    Is(usize),
    MultipleOf(usize),
}

/// What flows from a layer to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Flow {
    /// Without the batch; none before the first layer.
    shape: Option<Vec<Size>>,
    /// The layer that gives it.
    from: String,
}

impl Flow {
    /// Behind another layer. What a ReLU or a norm passes on is from the layer before it.
    pub fn then(&self, layer: &str, shape: Vec<Size>, passes_on: bool) -> Self {
        let from = if passes_on { self.from.clone() } else { format!("layer {layer:?}") };
        Self { shape: Some(shape), from }
    }

    fn apart(&self, layer: &str, needs: String) -> Error {
        let gives = self.shape.as_deref().map_or_else(|| "[B, ...]".into(), text);
        Error::LayersApart { layer: layer.into(), needs, before: self.from.clone(), gives }
    }

    /// The number of channels, if it is known, of images that a layer needs, with so many channels
    /// if it has weights of this shape.
    pub fn images(
        &self,
        layer: &str,
        channels: Option<usize>,
        weight: &[usize],
    ) -> Result<Option<usize>> {
        let needs = channels.map_or("C".into(), |channels| channels.to_string());
        let needs = || of_weight(format!("images [B, {needs}, H, W]"), weight);
        match (self.shape.as_deref(), channels) {
            (None, _) => Ok(channels),
            (Some(&[c, _, _]), None) => Ok(c.known()),
            (Some(&[c, _, _]), Some(channels)) if c.may_be(Size::Is(channels)) => {
                Ok(Some(channels))
            }
            (Some(&[Size::Is(c), _, _]), Some(channels)) if channels > 0 && c % channels == 0 => {
                let groups = "; a convolution with groups is a node of `foresee_graph::Builder`";
                Err(self.apart(layer, needs() + groups))
            }
            _ => Err(self.apart(layer, needs())),
        }
    }

    /// Features, of which a layer needs so many.
    pub fn features(&self, layer: &str, count: usize, weight: &[usize]) -> Result<()> {
        match self.shape.as_deref() {
            None => Ok(()),
            Some([features]) if features.may_be(Size::Is(count)) => Ok(()),
            Some(_) => Err(self.apart(layer, of_weight(format!("[B, {count}]"), weight))),
        }
    }

    /// [B, K, C].
    pub fn attributes(&self, layer: &str, [k, c]: [usize; 2]) -> Result<()> {
        match self.shape.as_deref() {
            None => Ok(()),
            Some([first, second]) if first.may_be(Size::Is(k)) && second.may_be(Size::Is(c)) => {
                Ok(())
            }
            Some(_) => Err(self.apart(layer, of_weight(format!("[B, {k}, {c}]"), &[k, c]))),
        }
    }

    /// The shape, whose first dimension a norm needs to have so many.
    pub fn channels(&self, layer: &str, count: usize) -> Result<Vec<Size>> {
        match self.shape.as_deref() {
            Some([channels, rest @ ..]) if channels.may_be(Size::Is(count)) => {
                Ok([&[Size::Is(count)], rest].concat())
            }
            None => Err(self.first(layer)),
            Some(_) => Err(self.apart(layer, format!("[B, {count}, ...]"))),
        }
    }

    /// The shape, of what is not the first layer.
    pub fn known(&self, layer: &str) -> Result<Vec<Size>> {
        self.shape.clone().ok_or_else(|| self.first(layer))
    }

    fn first(&self, layer: &str) -> Error {
        Error::Layer {
            method: "a list of layers",
            layer: layer.into(),
            reason: "it cannot be the first: the shape of its input would not be known".into(),
        }
    }

    /// The shape, and the shape without its last two dimensions.
    pub fn without_pixels(&self, layer: &str) -> Result<(Vec<Size>, Vec<Size>)> {
        let shape = self.shape.clone().unwrap_or_else(|| Size::image(None));
        match &shape[..] {
            [before @ .., _, _] if !before.is_empty() => Ok((shape.clone(), before.to_vec())),
            _ => Err(self.apart(layer, "[B, ..., H, W]".into())),
        }
    }

    /// The shape of the sum with the end of a branch that begins here.
    pub fn sum(&self, layer: &str, end: &Self) -> Result<Vec<Size>> {
        let shape = end.shape.clone().unwrap_or_default();
        let Some(start) = &self.shape else { return Ok(shape) };
        let fits = |(a, b): (&Size, &Size)| a.may_be(*b);
        match start.len() == shape.len() && start.iter().zip(&shape).all(fits) {
            true => Ok(shape),
            false => {
                let needs = format!("{} at the end of its branch, as at its start", text(start));
                Err(end.apart(layer, needs))
            }
        }
    }
}

impl Size {
    /// [C, H, W].
    pub fn image(channels: Option<usize>) -> Vec<Self> {
        vec![channels.map_or(Self::Any, Self::Is), Self::Any, Self::Any]
    }

    pub fn known(self) -> Option<usize> {
        match self {
            Self::Is(size) => Some(size),
            _ => None,
        }
    }

    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Is(n), Self::Is(m)) => n == m,
            (Self::Is(n), Self::MultipleOf(m)) | (Self::MultipleOf(m), Self::Is(n)) => {
                m > 0 && n % m == 0
            }
            _ => true,
        }
    }

    pub fn product(sizes: &[Self]) -> Self {
        let known = sizes.iter().fold(1, |known, size| match *size {
            Self::Any => known,
            Self::Is(n) | Self::MultipleOf(n) => known * n,
        });
        match sizes.iter().all(|size| matches!(size, Self::Is(_))) {
            true => Self::Is(known),
            false => Self::MultipleOf(known),
        }
    }
}

fn of_weight(shape: String, weight: &[usize]) -> String {
    if weight.is_empty() { shape } else { format!("{shape} (its weight is {weight:?})") }
}

/// As the batch's shape is written.
fn text(sizes: &[Size]) -> String {
    let sizes = sizes.iter().map(|size| match size {
        Size::Any => ", ?".to_owned(),
        Size::Is(n) => format!(", {n}"),
        Size::MultipleOf(n) => format!(", {n}·?"),
    });
    format!("[B{}]", sizes.collect::<String>())
}
