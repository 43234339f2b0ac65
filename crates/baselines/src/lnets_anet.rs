//! LNets+ANet (Liu, Luo, Wang & Tang, 2015, "Deep learning face attributes in the wild").
//!
//! What the paper did: two localisation networks, of AlexNet's form, find the face. They are
//! trained by the attributes of whole images alone: LNet_o's averaged response map of its last
//! convolutions is high on head and shoulders, and LNet_s, which sees that window, does the same
//! for the face. ANet sees the face window: four convolutions, of which the third and the fourth
//! have filters of their own in each region of the map ("locally shared"), and a fully connected
//! layer, on whose features linear support vector machines answer. ANet is trained on several views
//! of the face window. Where it answers, overlapping patches of that window give a vector of
//! features each, the machines answer from each, and the mean of their decisions is the answer.
//! LNets are pretrained on ImageNet, ANet on identities of faces.
//!
//! What we do: one network of the three. LNet_o and LNet_s are three convolutions, each with a
//! batch norm and a ReLU, whose last map's means over pixels answer through a linear layer of their
//! own. With r the mean over the channels of that map, the centre of the next window is the mean
//! position under the weights max(r - ½·max r, 0). The window's size is a fixed share of what it is
//! cut from: [`HEAD`] and [`FACE`]. It is cut by bilinear interpolation, R_y·X·R_xᵀ with
//! R\[o, i\] = max(1 - |y(o) - i|, 0), where y(o) is the place of its pixel o, so that the cut is
//! made of standard operations. The map of ANet's third and fourth convolution is cut into 2×2
//! regions, which see one pixel beyond their borders. ANet sees the face window, or five patches of
//! it ([`LnetsAnetConfig::windows`]): its middle and its corners, each 7/8 as high and wide and cut
//! from the image itself. Each patch is an image to ANet and has answers of its own in training;
//! the machines answer from the mean of the five vectors of features, which for one linear machine
//! is the mean of its decisions on each. All three networks are trained at once by the sum of their
//! binary cross entropies; no gradient flows through a window's place. The support
//! vector machines are trained when the networks are
//! ([`Baseline::fit_machines`](crate::Baseline::fit_machines)).
//!
//! ANet can first learn to tell people ([`AnetConfig`](crate::AnetConfig)), and one that was
//! trained elsewhere can be given
//! ([`Baseline::load_torchvision`](crate::Baseline::load_torchvision)).
//!
//! Where they differ: the LNets are not pretrained, and ANet only where that is asked for. The
//! paper's images are those of the wild, ours CelebA's aligned ones, where there is little to find.
//! The paper searches for windows; here their size is fixed, and by default ANet sees one. How many
//! patches the paper cuts, and where, we do not know: ours are AlexNet's without the mirrored ones,
//! which the loader makes. The machines learn from the mean of the patches' features and not from
//! each. Widths and sizes are settings, for small images; batch norms stand in the place of
//! pretraining.

use candle_core::Device;
use foresee_graph::{Binary, Graph, Op, PadMode, Reduce, Reduction, Unary, ValueId};
use serde::{Deserialize, Serialize};

use crate::draw::Initial;
use crate::error::{Result, check};
use crate::layers::{Built, Conv, Layers};
use crate::resnet::{ATTRIBUTES, WIDTHS};

/// The graph's value that is the head-shoulder window, [B, 3, face_size, face_size].
pub const HEAD_WINDOW: &str = "lnet_s.window";
/// The graph's value that is the face window, of the same shape; of several windows, those of the
/// first image come first: [B·windows, 3, face_size, face_size].
pub const FACE_WINDOW: &str = "anet.window";

/// Share of the image's sides that the head-shoulder window has.
const HEAD: f32 = 0.9;
/// Share of the head-shoulder window's sides that the face window has.
const FACE: f32 = 0.85;
/// Share of the face window's sides that each of several windows in it has.
const PATCH: f32 = 0.875;
/// Where several windows lie in the face window (y, x), as shares of the room that they have.
const PATCHES: [[f32; 2]; 5] = [[0.5, 0.5], [0., 0.], [0., 1.], [1., 0.], [1., 1.]];
/// Share of the greatest response that counts as none.
const THRESHOLD: f32 = 0.5;
/// Weight of the middle among the responses: a map of zeros gives the middle.
const SMALL: f32 = 1e-6;
/// How many times ANet's pools halve height and width before its last map, times two regions.
const FACE_MULTIPLE: usize = 16;

/// The networks that find the face, the one that sees it, and the machines that answer.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::{FACE_WINDOW, LnetsAnetConfig};
///
/// let config = LnetsAnetConfig { image_size: 32, face_size: 32, width: 4, ..Default::default() };
/// let graph = config.graph(7, &Device::Cpu)?;
/// let images = graph.given(&[Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu)?])?;
/// // The answers, those of the three networks by themselves, and what ANet sees.
/// let answers = graph.evaluate(&images, graph.outputs())?;
/// assert!(answers.len() == 4 && answers.iter().all(|answers| answers.dims() == [1, 40]));
/// let window = graph.evaluate(&images, &[graph.find(FACE_WINDOW)?])?.remove(0);
/// assert_eq!(window.dims(), [1, 3, 32, 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LnetsAnetConfig {
    /// K, the number of answers, 1 to 4096. Default 40.
    pub attributes: usize,
    /// Height and width of the images, 16 to 1024. Default 64.
    pub image_size: usize,
    /// Height and width that both windows are resized to, a multiple of 16 up to 512. Default 48.
    pub face_size: usize,
    /// Channels of the second convolutions, 2 to 1024; the first ones have half as many, and ANet's
    /// third and fourth twice as many. Default 64.
    pub width: usize,
    /// Features that the machines answer from, 1 to 16384. Default 256.
    pub hidden: usize,
    /// Windows that ANet sees of a face: 1, the face window, or 5 patches of it, which cost ANet
    /// five times as much. Default 1.
    pub windows: usize,
}

impl Default for LnetsAnetConfig {
    fn default() -> Self {
        Self { attributes: 40, image_size: 64, face_size: 48, width: 64, hidden: 256, windows: 1 }
    }
}

impl LnetsAnetConfig {
    /// The network with initial weights: images [B, 3, H, W] → answers [B, K], and those of LNet_o,
    /// LNet_s and ANet by themselves, [B, K] each; ANet's of several windows are [B, windows·K].
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let Self { attributes, image_size, face_size, width, hidden, windows } = *self;
        let is_possible = ATTRIBUTES.contains(&attributes);
        check("attributes", attributes, is_possible, "a number from 1 to 4096")?;
        let is_possible = (16..=1024).contains(&image_size);
        check("image_size", image_size, is_possible, "a number from 16 to 1024")?;
        let is_possible =
            (FACE_MULTIPLE..=512).contains(&face_size) && face_size % FACE_MULTIPLE == 0;
        check("face_size", face_size, is_possible, "a multiple of 16 up to 512")?;
        let is_possible = width > 1 && WIDTHS.contains(&width);
        check("width", width, is_possible, "a number from 2 to 1024")?;
        let is_possible = (1..=16_384).contains(&hidden);
        check("hidden", hidden, is_possible, "a number from 1 to 16384")?;
        check("windows", windows, windows == 1 || windows == PATCHES.len(), "1 or 5")
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let mut layers = Layers::new(seed, device);
        let images = layers.images([Some(self.image_size); 2])?;
        let whole = Place { share: 1., starts: None };
        let (o, head) = self.lnet(&mut layers, "lnet_o", images, (whole, HEAD))?;
        let head_window = self.cut(&mut layers, HEAD_WINDOW, images, &head)?;
        let (s, face) = self.lnet(&mut layers, "lnet_s", head_window, (head, FACE))?;
        let windows = self.windows(&mut layers, images, face)?;
        let features = self.anet(&mut layers, windows)?;
        let initial = [Initial::linear(self.hidden); 2];
        let shape = [self.attributes, self.hidden];
        let a = layers.linear("anet.head", features, shape, initial)?;
        let (features, a) = self.of_images(&mut layers, features, a)?;
        let answers = layers.machines(features, shape)?;
        layers.finish(vec![answers, o, s, a])
    }

    /// A localisation network: its answers, and the window that it finds in what it sees, which is
    /// at a place of the image.
    fn lnet(
        &self,
        layers: &mut Layers,
        name: &str,
        x: ValueId,
        (seen, share): (Place, f32),
    ) -> Result<(ValueId, Place)> {
        let (width, of) = (self.width, |part: &str| format!("{name}.{part}"));
        let x = layers.conv_norm(&of("c1"), x, Conv::new(3, width / 2, 5))?;
        let x = layers.max_pool(&of("p1"), x, 2, 2)?;
        let x = layers.conv_norm(&of("c2"), x, Conv::new(width / 2, width, 3))?;
        let x = layers.max_pool(&of("p2"), x, 2, 2)?;
        let map = layers.conv_norm(&of("c3"), x, Conv::new(width, width, 3))?;
        let means = layers.mean_pixels(&of("pool"), map)?;
        let initial = [Initial::linear(width); 2];
        let answers = layers.linear(&of("head"), means, [self.attributes, width], initial)?;
        let pixels = match seen.starts {
            None => self.image_size,
            Some(_) => self.face_size,
        } / 4;
        let weights = responses(layers, name, map)?;
        let share = share * seen.share;
        let mut starts = vec![];
        for (axis, of) in [(2, "y"), (3, "x")] {
            let centre = centre(layers, &format!("{name}.{of}"), weights, (axis, pixels))?;
            let start =
                start(layers, &format!("{name}.{of}"), centre, (pixels, seen.share, share))?;
            let start = match seen.starts {
                None => start,
                Some(outer) => layers.sum(&format!("{name}.{of}.inner"), start, outer[axis - 2])?,
            };
            starts.push(layers.stop(&format!("{name}.{of}.start"), start)?);
        }
        Ok((answers, Place { share, starts: Some([starts[0], starts[1]]) }))
    }

    /// What the image shows at a place, resized: [B, 3, face_size, face_size].
    fn cut(&self, layers: &mut Layers, name: &str, x: ValueId, place: &Place) -> Result<ValueId> {
        let Some([y, x_start]) = place.starts else { return Ok(x) };
        let rows = self.weights(layers, &format!("{name}.rows"), y, (place.share, 2))?;
        let columns =
            self.weights(layers, &format!("{name}.columns"), x_start, (place.share, 3))?;
        let x = layers.add(&format!("{name}.cut"), Op::MatMul, &[rows, x])?;
        layers.add(name, Op::MatMul, &[x, columns])
    }

    /// How much pixel i of the image weighs in pixel o of the window, max(1 - |y(o) - i|, 0), where
    /// y(o) = H·start + (o + ½)·H·share/N - ½ and no less than 0 and no more than H - 1. The
    /// window's pixels lie on this axis, [B, 1, N, H] or [B, 1, H, N].
    fn weights(
        &self,
        layers: &mut Layers,
        name: &str,
        start: ValueId,
        (share, axis): (f32, usize),
    ) -> Result<ValueId> {
        let (image, window) = (self.image_size, self.face_size);
        let of = |part: &str| format!("{name}.{part}");
        let step = image as f32 * share / window as f32;
        let o = layers.numbers(&of("window"), window, axis)?;
        let o = scaled(layers, &of("steps"), o, [step, 0.5 * step - 0.5])?;
        let start = scaled(layers, &of("first"), start, [image as f32, 0.])?;
        let y = layers.sum(&of("places"), start, o)?;
        let y = clipped(layers, &of("inside"), y, image as f32 - 1.)?;
        let i = layers.numbers(&of("image"), image, 5 - axis)?;
        let apart = layers.add(&of("apart"), Op::Binary(Binary::Sub), &[y, i])?;
        let apart = layers.add(&of("distance"), Op::Unary(Unary::Abs), &[apart])?;
        let weight = scaled(layers, &of("weight"), apart, [-1., 1.])?;
        layers.relu(name, weight)
    }

    /// What ANet sees of the images, which is in the face window: [`FACE_WINDOW`].
    fn windows(&self, layers: &mut Layers, images: ValueId, face: Place) -> Result<ValueId> {
        let Some([y, x]) = face.starts.filter(|_| self.windows > 1) else {
            return self.cut(layers, FACE_WINDOW, images, &face);
        };
        let share = PATCH * face.share;
        let room = face.share - share;
        let mut windows = vec![];
        for (i, [down, right]) in PATCHES.into_iter().enumerate() {
            let of = |part: &str| format!("{FACE_WINDOW}.{i}{part}");
            let y = scaled(layers, &of(".y"), y, [1., down * room])?;
            let x = scaled(layers, &of(".x"), x, [1., right * room])?;
            windows.push(self.cut(
                layers,
                &of(""),
                images,
                &Place { share, starts: Some([y, x]) },
            )?);
        }
        let size = self.face_size as i64;
        let shape = layers.integers("anet.windows.shape", &[-1, 3, size, size])?;
        let all = layers.add("anet.windows", Op::Concat { axis: 1 }, &windows)?;
        layers.add(FACE_WINDOW, Op::Reshape { allow_zero: false }, &[all, shape])
    }

    /// From the features [B·windows, hidden] and answers [B·windows, K] of windows, those of the
    /// images: mean features [B, hidden], and all answers, [B, windows·K].
    fn of_images(
        &self,
        layers: &mut Layers,
        features: ValueId,
        answers: ValueId,
    ) -> Result<(ValueId, ValueId)> {
        if self.windows == 1 {
            return Ok((features, answers));
        }
        let reshape = Op::Reshape { allow_zero: false };
        let [windows, hidden, k] = [self.windows, self.hidden, self.attributes].map(|n| n as i64);
        let shape = layers.integers("anet.head.shape", &[-1, windows * k])?;
        let answers = layers.add("anet.head.all", reshape.clone(), &[answers, shape])?;
        let shape = layers.integers("anet.features.shape", &[-1, windows, hidden])?;
        let each = layers.add("anet.features.each", reshape, &[features, shape])?;
        let mean = Reduce { keep_dims: false, ..reduced(Reduction::Mean, &[1]) };
        Ok((layers.add("anet.features.mean", Op::Reduce(mean), &[each])?, answers))
    }

    /// What the images show where ANet's first window lies if all windows are in the middle:
    /// [B, 3, face_size, face_size].
    pub(crate) fn middle(&self, layers: &mut Layers, images: ValueId) -> Result<ValueId> {
        let share = if self.windows == 1 { HEAD * FACE } else { HEAD * FACE * PATCH };
        let start = layers.constant("anet.window.start", 0.5 * (1. - share))?;
        self.cut(layers, FACE_WINDOW, images, &Place { share, starts: Some([start; 2]) })
    }

    /// The features [B, hidden] of a face window.
    pub(crate) fn anet(&self, layers: &mut Layers, x: ValueId) -> Result<ValueId> {
        let width = self.width;
        let x = layers.conv_norm("anet.c1", x, Conv::new(3, width / 2, 5))?;
        let x = layers.max_pool("anet.p1", x, 2, 2)?;
        let x = layers.conv_norm("anet.c2", x, Conv::new(width / 2, width, 3))?;
        let x = layers.max_pool("anet.p2", x, 2, 2)?;
        let size = self.face_size / 4;
        let x = locally_shared(layers, "anet.c3", x, (width, 2 * width, size))?;
        let x = layers.max_pool("anet.p3", x, 2, 2)?;
        let x = locally_shared(layers, "anet.c4", x, (2 * width, 2 * width, size / 2))?;
        // A fully connected layer: it sees the complete map at once.
        let conv = Conv { padded: false, ..Conv::new(2 * width, self.hidden, size / 2) };
        let x = layers.conv_norm("anet.fc", x, conv)?;
        layers.add("anet.features", Op::Flatten { axis: 1 }, &[x])
    }
}

/// Where a window is in the image.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Of the image's sides.
    share: f32,
    /// Where its rows and columns begin, [B, 1, 1, 1] each or a number, in shares of the image's
    /// sides; none if it is the image.
    starts: Option<[ValueId; 2]>,
}

/// max(r - τ·max r, 0), where r is the mean over the channels of a map:
/// [B, C, h, w] → [B, 1, h, w].
fn responses(layers: &mut Layers, name: &str, map: ValueId) -> Result<ValueId> {
    let of = |part: &str| format!("{name}.{part}");
    let r = layers.add(&of("responses"), reduce(Reduction::Mean, &[1]), &[map])?;
    let most = layers.add(&of("most"), reduce(Reduction::Max, &[2, 3]), &[r])?;
    let least = scaled(layers, &of("threshold"), most, [THRESHOLD, 0.])?;
    let above = layers.add(&of("above"), Op::Binary(Binary::Sub), &[r, least])?;
    layers.relu(&of("weights"), above)
}

/// The mean pixel along an axis under weights [B, 1, h, w]: [B, 1, 1, 1].
fn centre(
    layers: &mut Layers,
    name: &str,
    weights: ValueId,
    (axis, pixels): (usize, usize),
) -> Result<ValueId> {
    let of = |part: &str| format!("{name}.{part}");
    let pixel = layers.numbers(&of("pixels"), pixels, axis)?;
    let weighted = layers.product(&of("weighted"), weights, pixel)?;
    let sum = layers.add(&of("sum"), reduce(Reduction::Sum, &[2, 3]), &[weighted])?;
    let all = layers.add(&of("all"), reduce(Reduction::Sum, &[2, 3]), &[weights])?;
    let middle = (pixels as f32 - 1.) / 2.;
    let sum = scaled(layers, &of("sum.middle"), sum, [1., SMALL * middle])?;
    let all = scaled(layers, &of("all.middle"), all, [1., SMALL])?;
    layers.add(&of("centre"), Op::Binary(Binary::Div), &[sum, all])
}

/// Where a window of this share of the image begins whose centre is at a pixel of a map, as far as
/// it stays in what the map shows: counted from there, in shares of the image.
fn start(
    layers: &mut Layers,
    name: &str,
    centre: ValueId,
    (pixels, seen, share): (usize, f32, f32),
) -> Result<ValueId> {
    let pixel = seen / pixels as f32;
    let scale = [pixel, 0.5 * pixel - 0.5 * share];
    let start = scaled(layers, &format!("{name}.from"), centre, scale)?;
    clipped(layers, &format!("{name}.inside"), start, seen - share)
}

/// A convolution with a batch norm and a ReLU whose map is cut into 2×2 regions with filters of
/// their own: x [B, C, size, size].
fn locally_shared(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    (inputs, outputs, size): (usize, usize, usize),
) -> Result<ValueId> {
    let of = |part: &str| format!("{name}.{part}");
    let pads = layers.integers(&of("pads"), &[0, 0, 1, 1, 0, 0, 1, 1])?;
    let x = layers.add(&of("padded"), Op::Pad(PadMode::Constant), &[x, pads])?;
    let axes = layers.integers(&of("axes"), &[2, 3])?;
    let half = (size / 2) as i64;
    let conv = Conv { padded: false, ..Conv::new(inputs, outputs, 3) };
    let mut rows = vec![];
    for row in 0..2 {
        let mut columns = vec![];
        for column in 0..2 {
            let region = format!("{name}.{}", 2 * row + column);
            let starts = [row * half, column * half];
            let ends = starts.map(|start| start + half + 2);
            let starts = layers.integers(&format!("{region}.starts"), &starts)?;
            let ends = layers.integers(&format!("{region}.ends"), &ends)?;
            let region_of = format!("{region}.region");
            let seen = layers.add(&region_of, Op::Slice, &[x, starts, ends, axes])?;
            columns.push(layers.conv(&region, seen, conv)?);
        }
        rows.push(layers.add(&of(&format!("row{row}")), Op::Concat { axis: 3 }, &columns)?);
    }
    let x = layers.add(&of("regions"), Op::Concat { axis: 2 }, &rows)?;
    let x = layers.batch_norm(&of("bn"), x, outputs)?;
    layers.relu(name, x)
}

/// a·x + b.
fn scaled(layers: &mut Layers, name: &str, x: ValueId, [a, b]: [f32; 2]) -> Result<ValueId> {
    let mut x = x;
    if a != 1. {
        let a = layers.constant(&format!("{name}.factor"), a)?;
        let name = if b == 0. { name.to_owned() } else { format!("{name}.times") };
        x = layers.product(&name, x, a)?;
    }
    if b != 0. {
        let b = layers.constant(&format!("{name}.plus"), b)?;
        x = layers.sum(name, x, b)?;
    }
    Ok(x)
}

/// max(0, min(x, high)).
fn clipped(layers: &mut Layers, name: &str, x: ValueId, high: f32) -> Result<ValueId> {
    let low = layers.constant(&format!("{name}.low"), 0.)?;
    let high = layers.constant(&format!("{name}.high"), high)?;
    layers.add(name, Op::Clip, &[x, low, high])
}

fn reduce(kind: Reduction, axes: &[isize]) -> Op {
    Op::Reduce(reduced(kind, axes))
}

fn reduced(kind: Reduction, axes: &[isize]) -> Reduce {
    Reduce { kind, axes: Some(axes.to_vec()), keep_dims: true, empty_is_nothing: false }
}
