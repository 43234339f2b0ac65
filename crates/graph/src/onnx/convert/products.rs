//! Sums of products by a formula, and attention, as matrix products.

use super::super::attributes::{Convert, invalid, unsupported};
use super::super::call::Call;
use crate::graph::ValueId;
use crate::op::{Binary, Kind, Op, Reduce, Reduction, Softmax, Unary};

/// A formula such as `bhid,bhjd->bhij`: of one operand a sum and a transposition, of two a matrix
/// product, if each of them has at most one dimension that only it has.
pub(super) fn einsum(call: &mut Call) -> Convert<()> {
    let formula: String = call.attributes.text("equation", "")?.split_whitespace().collect();
    let refused = || format!("equation = {formula}");
    let Some((operands, result)) = formula.split_once("->") else { return unsupported(refused()) };
    let operands: Vec<Vec<char>> = operands.split(',').map(|of| of.chars().collect()).collect();
    let result: Vec<char> = result.chars().collect();
    let is_plain = |of: &Vec<char>| {
        of.iter().all(char::is_ascii_alphabetic)
            && of.iter().enumerate().all(|(i, label)| !of[..i].contains(label))
    };
    let is_known = result.iter().all(|label| operands.iter().any(|of| of.contains(label)));
    if !operands.iter().all(is_plain) || !is_plain(&result) || !is_known {
        return unsupported(refused());
    }
    if operands.len() != call.inputs.len() {
        return invalid(format!("{formula} has not as many operands as it has inputs"));
    }
    match &operands[..] {
        [x] => {
            let kept = call.need(0)?;
            let kept = summed(call, kept, x, |label| result.contains(&label))?;
            let left: Vec<char> = x.iter().copied().filter(|l| result.contains(l)).collect();
            let order = Some(places(&result, &left));
            call.emit_with(Op::Transpose { order }, vec![Some(kept)])
        }
        [a, b] => {
            let product = Product::new(a, b, &result);
            if product.rows.len() > 1 || product.columns.len() > 1 || product.inner.len() > 1 {
                return unsupported(refused());
            }
            multiply(call, (a, b), &product, &result)
        }
        _ => unsupported(refused()),
    }
}

/// The labels of a product of a and b.
struct Product {
    /// In both operands and in the result.
    batch: Vec<char>,
    /// Those of a alone, of b alone, and those that are summed over.
    rows: Vec<char>,
    columns: Vec<char>,
    inner: Vec<char>,
}

impl Product {
    fn new(a: &[char], b: &[char], result: &[char]) -> Self {
        let of = |labels: &[char], is_it: &dyn Fn(&char) -> bool| {
            labels.iter().copied().filter(|label| is_it(label)).collect::<Vec<char>>()
        };
        let kept = |label: &char| result.contains(label);
        Self {
            batch: of(a, &|label| b.contains(label) && kept(label)),
            rows: of(a, &|label| !b.contains(label) && kept(label)),
            columns: of(b, &|label| !a.contains(label) && kept(label)),
            inner: of(a, &|label| b.contains(label) && !kept(label)),
        }
    }
}

fn multiply(
    call: &mut Call,
    (a, b): (&[char], &[char]),
    product: &Product,
    result: &[char],
) -> Convert<()> {
    let Product { batch, rows, columns, inner } = product;
    let left = operand(call, 0, a, [batch, rows, inner])?;
    let right = operand(call, 1, b, [batch, inner, columns])?;
    let all = call.extra("product", Op::MatMul, vec![Some(left), Some(right)])?;
    // Dimensions of 1 stand for labels that are not there.
    let gone: Vec<i64> = [(rows.is_empty(), -2), (columns.is_empty(), -1)]
        .into_iter()
        .filter_map(|(is_gone, axis)| is_gone.then_some(axis))
        .collect();
    let all = match gone.is_empty() {
        true => all,
        false => {
            let axes = call.integers("ones", &gone)?;
            call.extra("squeezed", Op::Squeeze, vec![Some(all), Some(axes)])?
        }
    };
    let labels = [&batch[..], rows, columns].concat();
    let order = Some(places(result, &labels));
    call.emit_with(Op::Transpose { order }, vec![Some(all)])
}

/// An operand as matrices: its dimensions in the order of these labels, those of no label summed
/// over, and a dimension of 1 where the last but one or the last is of no label.
fn operand(
    call: &mut Call,
    index: usize,
    labels: &[char],
    wanted: [&[char]; 3],
) -> Convert<ValueId> {
    let (before, last) = (wanted[1].is_empty(), wanted[2].is_empty());
    let wanted = wanted.concat();
    let x = call.need(index)?;
    let x = summed(call, x, labels, |label| wanted.contains(&label))?;
    let left: Vec<char> = labels.iter().copied().filter(|label| wanted.contains(label)).collect();
    let order = Some(places(&wanted, &left));
    let mut x = call.extra("ordered", Op::Transpose { order }, vec![Some(x)])?;
    let rank = wanted.len() as i64;
    let ones = [(before, rank - i64::from(!last)), (last, rank + i64::from(before))];
    for (_, axis) in ones.into_iter().filter(|(is_missing, _)| *is_missing) {
        let axes = call.integers("one", &[axis])?;
        x = call.extra("matrix", Op::Unsqueeze, vec![Some(x), Some(axes)])?;
    }
    Ok(x)
}

/// x, summed over the dimensions whose labels are not kept.
fn summed(
    call: &mut Call,
    x: ValueId,
    labels: &[char],
    is_kept: impl Fn(char) -> bool,
) -> Convert<ValueId> {
    let gone = labels.iter().enumerate().filter(|(_, label)| !is_kept(**label));
    let axes: Vec<isize> = gone.map(|(axis, _)| axis as isize).collect();
    if axes.is_empty() {
        return Ok(x);
    }
    let kind = Reduction::Sum;
    let sum = Reduce { kind, axes: Some(axes), keep_dims: false, empty_is_nothing: false };
    call.extra("sum", Op::Reduce(sum), vec![Some(x)])
}

/// Where each of the wanted labels is among others.
fn places(wanted: &[char], among: &[char]) -> Vec<usize> {
    wanted.iter().filter_map(|label| among.iter().position(|other| other == label)).collect()
}

/// softmax(scale·Q·Kᵀ + mask)·V, as matrix products. Q, K and V are [B, heads, L, E], or [B, L,
/// heads·E] with the numbers of heads as attributes.
pub(super) fn attention(call: &mut Call) -> Convert<()> {
    let attributes = &call.attributes;
    // The type of the softmax, and what of an output is given that nobody may read.
    attributes.skip(&["softmax_precision", "qk_matmul_output_mode"]);
    let (scale, softcap) = (attributes.number("scale")?, attributes.float("softcap", 0.)?);
    let causal = attributes.flag("is_causal", false)?;
    let heads = [attributes.size("q_num_heads")?, attributes.size("kv_num_heads")?];
    let (wide, own) = (call.rank(call.need(0)?), [call.need(0)?, call.need(1)?, call.need(2)?]);
    if (4..7).any(|index| call.input(index).is_some()) {
        return unsupported("with keys and values of before");
    }
    if heads[0] != heads[1] {
        return unsupported(format!("q_num_heads = {:?}, kv_num_heads = {:?}", heads[0], heads[1]));
    }
    let [q, k, v] = match (wide, heads[0]) {
        (Some(4), _) => own,
        (Some(3), Some(heads)) => [
            split_heads(call, own[0], heads)?,
            split_heads(call, own[1], heads)?,
            split_heads(call, own[2], heads)?,
        ],
        _ => return unsupported("of queries that are not known to have 3 or 4 dimensions"),
    };
    let order = Some(vec![0, 1, 3, 2]);
    let k = call.extra("keys", Op::Transpose { order }, vec![Some(k)])?;
    let scale = scale_of(call, q, scale)?;
    let q = call.extra("scaled", Op::Binary(Binary::Mul), vec![Some(q), Some(scale)])?;
    let mut scores = call.extra("scores", Op::MatMul, vec![Some(q), Some(k)])?;
    if softcap != 0. {
        scores = capped(call, scores, softcap)?;
    }
    let (scores, is_seen) = masked(call, scores, causal)?;
    let softmax = Op::Softmax(Softmax { axis: -1, flattens: false, logarithm: false });
    let mut shares = call.extra("softmax", softmax, vec![Some(scores)])?;
    if let Some(is_seen) = is_seen {
        // Of a query that sees nothing, nothing comes.
        let seen = call.extra("seen", Op::Cast(Kind::Float), vec![Some(is_seen)])?;
        let inputs = vec![Some(shares), Some(seen)];
        shares = call.extra("shares", Op::Binary(Binary::Mul), inputs)?;
    }
    if wide == Some(4) {
        return call.emit_with(Op::MatMul, vec![Some(shares), Some(v)]);
    }
    let y = call.extra("values", Op::MatMul, vec![Some(shares), Some(v)])?;
    let order = Some(vec![0, 2, 1, 3]);
    let y = call.extra("rows", Op::Transpose { order }, vec![Some(y)])?;
    let shape = call.integers("shape", &[0, 0, -1])?;
    call.emit_with(Op::Reshape { allow_zero: false }, vec![Some(y), Some(shape)])
}

/// [B, L, heads·E] → [B, heads, L, E].
fn split_heads(call: &mut Call, x: ValueId, heads: usize) -> Convert<ValueId> {
    let shape = call.integers("heads", &[0, 0, heads as i64, -1])?;
    let reshape = Op::Reshape { allow_zero: false };
    let x = call.extra("split", reshape, vec![Some(x), Some(shape)])?;
    let order = Some(vec![0, 2, 1, 3]);
    call.extra("by_head", Op::Transpose { order }, vec![Some(x)])
}

/// The scale, by default 1/√E.
fn scale_of(call: &mut Call, q: ValueId, scale: Option<f64>) -> Convert<ValueId> {
    if let Some(scale) = scale {
        return call.number("scale", scale);
    }
    let size = call.extra("size", Op::Shape { start: 3, end: None }, vec![Some(q)])?;
    let size = call.extra("width", Op::Cast(Kind::Float), vec![Some(size)])?;
    let root = call.extra("root", Op::Unary(Unary::Sqrt), vec![Some(size)])?;
    call.extra("scale", Op::Unary(Unary::Reciprocal), vec![Some(root)])
}

/// c·tanh(x/c).
fn capped(call: &mut Call, x: ValueId, softcap: f64) -> Convert<ValueId> {
    let cap = call.number("softcap", softcap)?;
    let x = call.extra("share", Op::Binary(Binary::Div), vec![Some(x), Some(cap)])?;
    let x = call.extra("tanh", Op::Unary(Unary::Tanh), vec![Some(x)])?;
    call.extra("capped", Op::Binary(Binary::Mul), vec![Some(x), Some(cap)])
}

/// What a query must not see gets a number whose power of e is 0.
const UNSEEN: f64 = -1e30;

/// Scores with the mask added, and which of them count, if a mask says so.
fn masked(call: &mut Call, scores: ValueId, causal: bool) -> Convert<(ValueId, Option<ValueId>)> {
    let mask = call.input(3);
    let is_flags = |mask: &ValueId| call.known(*mask).kind == Some(Kind::Bool);
    if mask.is_some_and(|mask| call.known(mask).kind.is_none()) {
        return unsupported("with a mask that is not known to be numbers or flags");
    }
    let flags = mask.filter(is_flags);
    let numbers = mask.filter(|mask| Some(*mask) != flags);
    let mut scores = scores;
    if let Some(numbers) = numbers {
        scores =
            call.extra("masked", Op::Binary(Binary::Add), vec![Some(scores), Some(numbers)])?;
    }
    let is_seen = match (flags, causal) {
        (None, false) => return Ok((scores, None)),
        (Some(flags), false) => flags,
        (None, true) => no_later(call, scores)?,
        (Some(flags), true) => {
            let earlier = no_later(call, scores)?;
            call.extra("both", Op::Binary(Binary::And), vec![Some(flags), Some(earlier)])?
        }
    };
    let (zero, unseen) = (call.number("zero", 0.)?, call.number("unseen", UNSEEN)?);
    let inputs = vec![Some(is_seen), Some(zero), Some(unseen)];
    let added = call.extra("mask", Op::Where, inputs)?;
    let inputs = vec![Some(scores), Some(added)];
    let scores = call.extra("seen_only", Op::Binary(Binary::Add), inputs)?;
    Ok((scores, Some(is_seen)))
}

/// Whether key j is not after query i, [L, S].
fn no_later(call: &mut Call, scores: ValueId) -> Convert<ValueId> {
    let queries = counted(call, scores, 2)?;
    let keys = counted(call, scores, 3)?;
    let axes = call.integers("column", &[1])?;
    let queries = call.extra("queries", Op::Unsqueeze, vec![Some(queries), Some(axes)])?;
    call.extra("causal", Op::Binary(Binary::LessOrEqual), vec![Some(keys), Some(queries)])
}

/// 0, 1, ... for each place of a dimension.
fn counted(call: &mut Call, x: ValueId, axis: isize) -> Convert<ValueId> {
    let end = Some(axis + 1);
    let size = call.extra("count", Op::Shape { start: axis, end }, vec![Some(x)])?;
    let size = call.extra("limit", Op::Squeeze, vec![Some(size)])?;
    let (start, step) = (call.integer("start", 0)?, call.integer("step", 1)?);
    call.extra("places", Op::Range, vec![Some(start), Some(size), Some(step)])
}
