//! Functions of integers and booleans, on the CPU: they are sizes, indices and masks. They wrap
//! around at 2^63, as NumPy's do.

use candle_core::{DType, Tensor};

use crate::forward::Forward;
use crate::forward::arguments::{impossible, kind, wrong_type};
use crate::op::{Binary, Kind, Unary};

/// All values, in the order of their indices.
fn values(x: &Tensor) -> Forward<Vec<i64>> {
    Ok(x.to_dtype(DType::I64)?.flatten_all()?.to_vec1()?)
}

fn map(x: &Tensor, f: fn(i64) -> i64) -> Forward<Tensor> {
    let values: Vec<i64> = values(x)?.into_iter().map(f).collect();
    Ok(Tensor::from_vec(values, x.shape(), x.device())?)
}

/// A function of each element.
pub(super) fn unary(x: &Tensor, unary: Unary) -> Forward<Tensor> {
    match (kind(x), unary) {
        (Kind::Bool, Unary::Not) => Ok(x.eq(0f64)?),
        (_, Unary::Not) => Err(wrong_type("the values", x, "booleans")),
        (Kind::Bool, _) => Err(wrong_type("the values", x, "numbers")),
        (_, Unary::Neg) => map(x, i64::wrapping_neg),
        (_, Unary::Abs) => map(x, i64::wrapping_abs),
        (_, Unary::Sign) => map(x, i64::signum),
        (_, Unary::Relu) => map(x, |x| x.max(0)),
        _ => Err(wrong_type("the values", x, "numbers with a fraction")),
    }
}

/// f(a, b) for tensors that are broadcast to `sizes`.
pub(super) fn pairs(
    a: &Tensor,
    b: &Tensor,
    sizes: &[usize],
    f: fn(i64, i64) -> i64,
) -> Forward<Tensor> {
    let (left, right) = (values(&a.broadcast_as(sizes)?)?, values(&b.broadcast_as(sizes)?)?);
    let values: Vec<i64> = left.into_iter().zip(right).map(|(a, b)| f(a, b)).collect();
    Ok(Tensor::from_vec(values, sizes, a.device())?)
}

/// Arithmetic of integers that are broadcast to `sizes`.
pub(super) fn binary(a: &Tensor, b: &Tensor, sizes: &[usize], op: Binary) -> Forward<Tensor> {
    let f: fn(i64, i64) -> i64 = match op {
        Binary::Add => i64::wrapping_add,
        Binary::Sub => i64::wrapping_sub,
        Binary::Mul => i64::wrapping_mul,
        Binary::Div => i64::wrapping_div,
        Binary::Mod => modulo,
        Binary::Pow => power,
        _ => return Err(wrong_type("the inputs", a, "numbers with a fraction")),
    };
    let divides = matches!(op, Binary::Div | Binary::Mod);
    if divides && values(b)?.contains(&0) {
        return Err(impossible("a divisor", 0, "integers are divided by others"));
    }
    pairs(a, b, sizes, f)
}

/// The rest of a/b with b's sign.
fn modulo(a: i64, b: i64) -> i64 {
    let rest = a.wrapping_rem(b);
    if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
}

/// aᵇ; the integer part of 1/a^|b| for negative b, and the greatest integer for 1/0.
fn power(a: i64, b: i64) -> i64 {
    if b < 0 {
        return match a {
            0 => i64::MAX,
            1 => 1,
            -1 => power(-1, b & 1),
            _ => 0,
        };
    }
    let (mut result, mut square, mut left) = (1i64, a, b);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        left >>= 1;
    }
    result
}

/// min(max(x, low), high).
pub(super) fn clip(x: &Tensor, low: Option<&Tensor>, high: Option<&Tensor>) -> Forward<Tensor> {
    let bound = |bound: Option<&Tensor>, absent: i64| match bound {
        None => Ok(absent),
        Some(b) if kind(b) != Kind::Int => Err(wrong_type("the bounds", b, "integers")),
        Some(b) => match values(b)?[..] {
            [bound] => Ok(bound),
            _ => Err(impossible("a bound", format!("{:?}", b.dims()), "one number is needed")),
        },
    };
    if kind(x) != Kind::Int {
        return Err(wrong_type("the values", x, "numbers"));
    }
    let (low, high) = (bound(low, i64::MIN)?, bound(high, i64::MAX)?);
    let values: Vec<i64> = values(x)?.into_iter().map(|x| x.max(low).min(high)).collect();
    Ok(Tensor::from_vec(values, x.shape(), x.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_have_the_divisors_sign() {
        let pairs = [(7, 3), (-7, 3), (7, -3), (-7, -3), (6, 3), (i64::MIN, -1)];
        assert_eq!(pairs.map(|(a, b)| modulo(a, b)), [1, 2, -2, -1, 0, 0]);
    }

    #[test]
    fn powers_of_integers_do_not_overflow() {
        let pairs = [(2, 10), (-3, 3), (5, 0), (0, 0), (-1, -3), (-1, i64::MIN), (7, -1)];
        assert_eq!(pairs.map(|(a, b)| power(a, b)), [1024, -27, 1, 1, -1, 1, 0]);
        assert_eq!(power(2, i64::MAX), 0);
    }
}
