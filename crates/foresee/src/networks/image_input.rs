//! The input of a network that takes images: where their channels are, and how large they are.

use foresee_graph::{Graph, Kind, Op, Origin, ValueId};
use serde::Serialize;

/// Where the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// [B, C, H, W], as in PyTorch.
    Nchw,
    /// [B, H, W, C], as in TensorFlow.
    Nhwc,
}

/// The input for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageInput {
    pub value: ValueId,
    pub layout: Layout,
    /// 1 or 3.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Images at once, if the file allows no other number.
    pub batch: Option<usize>,
    /// Whether it takes the pixels' bytes, 0 to 255.
    pub takes_bytes: bool,
}

impl ImageInput {
    /// The one input of a graph, with a layout and a size that are asked for where it leaves them
    /// open.
    ///
    /// # Errors
    /// If it is not for images, or is of another size.
    pub fn of(
        graph: &Graph,
        asked_layout: Option<Layout>,
        asked_size: Option<(usize, usize)>,
    ) -> std::result::Result<Self, String> {
        let names = || -> Vec<&str> {
            graph.inputs().iter().map(|id| graph.value(*id).name.as_str()).collect()
        };
        let &[value] = graph.inputs() else {
            let (count, names) = (names().len(), names().join(", "));
            return Err(format!(
                "has {count} inputs ({names}); networks with one input, for images"
            ));
        };
        let name = &graph.value(value).name;
        let sizes = match &graph.value(value).origin {
            Origin::Input { sizes, .. } => sizes.as_slice(),
            _ => &[],
        };
        let [batch, second, third, fourth] = sizes[..] else {
            return Err(format!(
                "its input `{name}` has {} dimensions, but images have 4: [B, C, H, W]",
                sizes.len()
            ));
        };
        if batch.is_some_and(|batch| batch != 1) {
            let batch = batch.unwrap_or_default();
            return Err(format!(
                "its input `{name}` takes {batch} images at once and no other number: export it \
                 with a dynamic batch, or a batch of 1"
            ));
        }
        let layout = asked_layout.unwrap_or(match (second, fourth) {
            (Some(1 | 3), _) => Layout::Nchw,
            (_, Some(1 | 3)) => Layout::Nhwc,
            _ => Layout::Nchw,
        });
        let (channels, own) = match layout {
            Layout::Nchw => (second, (third, fourth)),
            Layout::Nhwc => (fourth, (second, third)),
        };
        let channels = channels.unwrap_or(3);
        if channels != 1 && channels != 3 {
            return Err(format!(
                "its input `{name}` has {channels} channels, but images have 1 or 3{}",
                if asked_layout.is_some() { " (--layout)" } else { "" }
            ));
        }
        let (height, width) = size(name, own, asked_size)?;
        let takes_bytes = takes_bytes(graph, value)?;
        Ok(Self { value, layout, channels, height, width, batch, takes_bytes })
    }

    /// The sizes of the input, of which the batch's may be open.
    pub fn sizes(&self) -> Vec<Option<usize>> {
        let (channels, height, width) = (Some(self.channels), Some(self.height), Some(self.width));
        match self.layout {
            Layout::Nchw => vec![self.batch, channels, height, width],
            Layout::Nhwc => vec![self.batch, height, width, channels],
        }
    }
}

/// Whether an input is declared as integers. The graph must make numbers with a fraction of them
/// before anything else.
fn takes_bytes(graph: &Graph, input: ValueId) -> std::result::Result<bool, String> {
    let Origin::Input { kind: Kind::Int, .. } = graph.value(input).origin else {
        return Ok(false);
    };
    let mut values = vec![input];
    while let Some(value) = values.pop() {
        for (id, _) in graph.readers(value) {
            let node = graph.node(id);
            match node.op {
                Op::Cast(Kind::Float) => {}
                Op::Identity | Op::Transpose { .. } => values.extend(&node.outputs),
                _ => {
                    return Err(format!(
                        "its input `{}` is of integers, which node `{}` computes with: export a \
                         network that takes numbers with a fraction",
                        graph.value(input).name,
                        node.name
                    ));
                }
            }
        }
    }
    Ok(true)
}

/// Height and width that are asked for and that the input has.
fn size(
    name: &str,
    own: (Option<usize>, Option<usize>),
    asked: Option<(usize, usize)>,
) -> std::result::Result<(usize, usize), String> {
    match (own, asked) {
        ((Some(height), Some(width)), None) => Ok((height, width)),
        (_, None) => {
            Err(format!("its input `{name}` takes images of any size: give one with --size"))
        }
        ((height, width), Some(asked)) => {
            let fits = height.is_none_or(|h| h == asked.0) && width.is_none_or(|w| w == asked.1);
            let side = |size: Option<usize>| size.map_or("any".into(), |size| size.to_string());
            match fits {
                true => Ok(asked),
                false => Err(format!(
                    "its input `{name}` is {}x{} (height x width), not {}x{} (--size)",
                    side(height),
                    side(width),
                    asked.0,
                    asked.1
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use foresee_graph::{Builder, PoolKind};

    use super::*;

    type Found<T> = std::result::Result<T, String>;

    type Asked = (Option<Layout>, Option<(usize, usize)>);

    fn of(sizes: [Option<usize>; 4], (layout, size): Asked) -> Found<ImageInput> {
        let graph = || -> foresee_graph::Result<Graph> {
            let mut builder = Builder::new();
            let x = builder.input("x", sizes.to_vec())?;
            let y = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[x])?;
            builder.finish(vec![y])
        };
        ImageInput::of(&graph().map_err(|e| e.to_string())?, layout, size)
    }

    #[test]
    fn the_input_says_how_images_lie_or_the_user_does() -> Found<()> {
        let (none, size) = ((None, None), (None, Some((8, 6))));
        let form = |found: ImageInput| (found.layout, found.channels, found.height, found.width);
        let first = form(of([None, Some(3), Some(4), Some(5)], none)?);
        assert_eq!(first, (Layout::Nchw, 3, 4, 5));
        let last = form(of([Some(1), Some(4), Some(5), Some(1)], none)?);
        assert_eq!(last, (Layout::Nhwc, 1, 4, 5));
        assert_eq!(form(of([None; 4], size)?), (Layout::Nchw, 3, 8, 6));
        let nhwc = (Some(Layout::Nhwc), size.1);
        assert_eq!(form(of([None; 4], nhwc)?), (Layout::Nhwc, 3, 8, 6));

        for (sizes, options, reason) in [
            ([None; 4], none, "images of any size: give one with --size"),
            ([None, Some(3), Some(4), Some(5)], size, "is 4x5 (height x width), not 8x6 (--size)"),
            ([None, Some(4), Some(8), Some(6)], none, "has 4 channels, but images have 1 or 3"),
            ([Some(2), Some(3), Some(8), Some(6)], none, "takes 2 images at once"),
        ] {
            let error = of(sizes, options).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        Ok(())
    }
}
