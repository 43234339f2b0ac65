//! What is known of the shapes of layers' outputs before anything runs, so that layers that do not
//! fit each other are told while they are built.

use super::Layers;
use super::layer::{Layer, NamedLayer};
use crate::error::{Error, Result};

/// One dimension of a layer's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Any,
    Is(usize),
    MultipleOf(usize),
}

/// Without the batch; none if not even the number of dimensions is known.
type Shape = Option<Vec<Size>>;

/// A layer's output and what gives it.
#[derive(Debug, Clone)]
struct Flow {
    shape: Shape,
    from: String,
}

impl Layers {
    /// Whether inputs [B, ...] of this `shape`, without its B, go through all layers; nothing is
    /// computed. While layers are built only their channels and features are compared, since the
    /// size of the images is not known: here it is. What follows an [`other`](Self::other) is not
    /// seen.
    ///
    /// # Errors
    /// Where the output of a layer does not fit the next: names both and their shapes.
    pub fn check_input_shape(&self, shape: &[usize]) -> Result<()> {
        let shape = Some(shape.iter().map(|&n| Size::Is(n)).collect());
        through(&self.sequence, Flow { shape, from: "the input".into() }).map(drop)
    }
}

/// Whether layers fit each other, whatever their input.
pub(crate) fn check_layers(layers: &[NamedLayer]) -> Result<()> {
    through(layers, Flow { shape: None, from: "the input".into() }).map(drop)
}

fn through(layers: &[NamedLayer], input: Flow) -> Result<Flow> {
    layers.iter().try_fold(input, |flow, named| {
        let shape = match &named.layer {
            Layer::Residual(branch) => residual_sum(&named.name, branch, &flow)?,
            layer => output(layer, flow.shape.as_deref())
                .map_err(|needs| apart(&named.name, needs, &flow))?,
        };
        // A ReLU passes on what the layer before it gave.
        let from = match named.layer {
            Layer::LeakyRelu { .. } => flow.from,
            _ => format!("layer {:?}", named.name),
        };
        Ok(Flow { shape, from })
    })
}

fn apart(layer: &str, needs: String, flow: &Flow) -> Error {
    let gives = flow.shape.as_deref().map_or_else(|| "[B, ...]".into(), text);
    Error::LayersApart { layer: layer.into(), needs, before: flow.from.clone(), gives }
}

/// x + branch(x), where x is what flows in, or what the branch's first layer needs.
fn residual_sum(name: &str, branch: &[NamedLayer], input: &Flow) -> Result<Shape> {
    let needed = || branch.first().and_then(|first| needed(&first.layer));
    let input = Flow { shape: input.shape.clone().or_else(needed), from: input.from.clone() };
    let end = through(branch, input.clone())?;
    let (Some(x), Some(y)) = (&input.shape, &end.shape) else {
        return Ok(input.shape.or(end.shape));
    };
    if x.len() != y.len() || !x.iter().zip(y).all(|(a, b)| a.may_be(*b)) {
        let needs = format!("{} at the end of its branch, as at its start", text(x));
        return Err(apart(name, needs, &end));
    }
    Ok(Some(x.iter().zip(y).map(|(a, b)| if matches!(a, Size::Is(_)) { *a } else { *b }).collect()))
}

/// What a layer needs, as far as its weights tell.
fn needed(layer: &Layer) -> Shape {
    match layer {
        Layer::Conv2d { weight, .. } | Layer::Gate { weight, .. } => {
            Some(vec![Size::Is(weight.dims()[1]), Size::Any, Size::Any])
        }
        Layer::Linear { weight, .. } => Some(vec![Size::Is(weight.dims()[1])]),
        _ => None,
    }
}

/// The output's shape, or what the layer needs in place of this input.
fn output(layer: &Layer, input: Option<&[Size]>) -> std::result::Result<Shape, String> {
    let weighted = |shape: &str, weight: &[usize]| format!("{shape} (its weight is {weight:?})");
    Ok(match layer {
        Layer::Conv2d { weight, options, .. } => {
            let dims = weight.dims();
            let (i, [c, h, w]) = (dims[1], image(input, dims[1])?);
            if !c.may_be(Size::Is(i)) {
                let groups = match c {
                    Size::Is(c) if i > 0 && c % i == 0 => {
                        "; a convolution with groups goes in by `other`"
                    }
                    _ => "",
                };
                return Err(weighted(&format!("[B, {i}, H, W]"), dims) + groups);
            }
            let steps = |size: Size, n: usize| {
                let window = options.dilation * n.saturating_sub(1) + 1;
                size.windows(window, options.stride, options.padding)
            };
            Some(vec![Size::Is(dims[0]), steps(h, dims[2])?, steps(w, dims[3])?])
        }
        Layer::Linear { weight, .. } => match (weight.dims(), input) {
            (&[o, i], Some(&[features])) if features.may_be(Size::Is(i)) => Some(vec![Size::Is(o)]),
            (&[o, _], None) => Some(vec![Size::Is(o)]),
            (dims, _) => return Err(weighted(&format!("[B, {}]", dims[1]), dims)),
        },
        Layer::Readout { weight, .. } => {
            let dims = weight.dims();
            let fits = |k: Size, c: Size| {
                (k.may_be(Size::Is(dims[0])) || k == Size::Is(1)) && c.may_be(Size::Is(dims[1]))
            };
            match input {
                Some(&[k, c]) if !fits(k, c) => {
                    return Err(weighted(&format!("[B, {}, {}]", dims[0], dims[1]), dims));
                }
                None | Some(&[_, _]) => Some(vec![Size::Is(dims[0])]),
                Some(_) => return Err(weighted("[B, K, C]", dims)),
            }
        }
        Layer::Gate { weight, .. } => {
            let dims = weight.dims();
            let [c, h, w] = image(input, dims[1])?;
            if !c.may_be(Size::Is(dims[1])) {
                return Err(weighted(&format!("[B, {}, H, W]", dims[1]), dims));
            }
            Some(vec![Size::Is(dims[0] / dims[1].max(1)), Size::Is(dims[1]), h, w])
        }
        Layer::AveragePool { size } | Layer::MaxPool { size } => {
            let [c, h, w] = image(input, "C")?;
            Some(vec![c, h.windows(*size, *size, 0)?, w.windows(*size, *size, 0)?])
        }
        Layer::GlobalAveragePool => match input {
            None => None,
            Some([before @ .., _, _]) => Some(before.to_vec()),
            Some(_) => return Err("[B, ..., H, W]".into()),
        },
        Layer::Flatten => match input {
            None => Some(vec![Size::Any]),
            Some([]) => return Err("[B, ...]".into()),
            Some(sizes) => Some(vec![product(sizes)]),
        },
        Layer::LeakyRelu { .. } => input.map(<[Size]>::to_vec),
        Layer::Residual(_) | Layer::Other { .. } => None,
    })
}

/// Channels, height and width.
fn image(
    input: Option<&[Size]>,
    channels: impl std::fmt::Display,
) -> std::result::Result<[Size; 3], String> {
    match input {
        None => Ok([Size::Any; 3]),
        Some(&[c, h, w]) => Ok([c, h, w]),
        Some(_) => Err(format!("images [B, {channels}, H, W]")),
    }
}

impl Size {
    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Is(n), Self::Is(m)) => n == m,
            (Self::Is(n), Self::MultipleOf(m)) | (Self::MultipleOf(m), Self::Is(n)) => {
                m > 0 && n % m == 0
            }
            _ => true,
        }
    }

    /// How many windows there are, or that not one is.
    fn windows(
        self,
        window: usize,
        stride: usize,
        padding: usize,
    ) -> std::result::Result<Self, String> {
        let Self::Is(n) = self else { return Ok(Self::Any) };
        match (n + 2 * padding).checked_sub(window) {
            Some(rest) => Ok(Self::Is(rest / stride + 1)),
            None => Err(format!("images of at least {window} pixels a side, with their padding,")),
        }
    }
}

fn product(sizes: &[Size]) -> Size {
    let known = sizes.iter().fold(1, |known, size| match *size {
        Size::Any => known,
        Size::Is(n) | Size::MultipleOf(n) => known * n,
    });
    match sizes.iter().all(|size| matches!(size, Size::Is(_))) {
        true => Size::Is(known),
        false => Size::MultipleOf(known),
    }
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
