//! The functions of [`super::fused`] and their derivatives.

use super::fused::{Pointwise, Real};

fn if_else<T>(condition: bool, a: T, b: T) -> T {
    if condition { a } else { b }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Pointwise for Relu {
    fn value<T: Real>(self, x: T) -> T {
        if_else(x <= T::of(0.), T::of(0.), x)
    }
    fn slope<T: Real>(self, x: T) -> T {
        if_else(x > T::of(0.), T::of(1.), T::of(0.))
    }
}

/// With α.
#[derive(Clone, Copy)]
pub(super) struct LeakyRelu(pub f64);

impl Pointwise for LeakyRelu {
    fn value<T: Real>(self, x: T) -> T {
        if_else(x > T::of(0.), x, T::of(self.0) * x)
    }
    fn slope<T: Real>(self, x: T) -> T {
        if_else(x > T::of(0.), T::of(1.), T::of(self.0))
    }
}

/// min(max(x, low), high).
#[derive(Clone, Copy)]
pub(super) struct Clip(pub f64, pub f64);

impl Pointwise for Clip {
    fn value<T: Real>(self, x: T) -> T {
        let (low, high) = (T::of(self.0), T::of(self.1));
        let above = if_else(x < low, low, x);
        if_else(above > high, high, above)
    }
    fn slope<T: Real>(self, x: T) -> T {
        let is_between = x > T::of(self.0) && x < T::of(self.1);
        if_else(is_between, T::of(1.), T::of(0.))
    }
}

/// With α and β.
#[derive(Clone, Copy)]
pub(super) struct HardSigmoid(pub f64, pub f64);

impl Pointwise for HardSigmoid {
    fn value<T: Real>(self, x: T) -> T {
        Clip(0., 1.).value(T::of(self.0) * x + T::of(self.1))
    }
    fn slope<T: Real>(self, x: T) -> T {
        let y = T::of(self.0) * x + T::of(self.1);
        if_else(y > T::of(0.) && y < T::of(1.), T::of(self.0), T::of(0.))
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSwish;

impl HardSwish {
    const GATE: HardSigmoid = HardSigmoid(1. / 6., 0.5);
}

impl Pointwise for HardSwish {
    fn value<T: Real>(self, x: T) -> T {
        x * Self::GATE.value(x)
    }
    fn slope<T: Real>(self, x: T) -> T {
        Self::GATE.value(x) + x * Self::GATE.slope(x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Pointwise for Sigmoid {
    fn value<T: Real>(self, x: T) -> T {
        let e = (-x.abs()).exp();
        if_else(x >= T::of(0.), T::of(1.), e) / (T::of(1.) + e)
    }
    fn slope<T: Real>(self, x: T) -> T {
        let e = (-x.abs()).exp();
        let all = T::of(1.) + e;
        e / (all * all)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Pointwise for Silu {
    fn value<T: Real>(self, x: T) -> T {
        x * Sigmoid.value(x)
    }
    fn slope<T: Real>(self, x: T) -> T {
        let s = Sigmoid.value(x);
        s + x * s * (T::of(1.) - s)
    }
}

/// x·Φ(x).
#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl Gelu {
    /// Φ.
    fn normal<T: Real>(x: T) -> T {
        T::of(0.5) * (T::of(1.) + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
    }
}

impl Pointwise for Gelu {
    fn value<T: Real>(self, x: T) -> T {
        x * Self::normal(x)
    }
    fn slope<T: Real>(self, x: T) -> T {
        let peak = T::of(1. / std::f64::consts::TAU.sqrt());
        Self::normal(x) + x * peak * (x * x * T::of(-0.5)).exp()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Asin;

impl Pointwise for Asin {
    fn value<T: Real>(self, x: T) -> T {
        x.asin()
    }
    fn slope<T: Real>(self, x: T) -> T {
        T::of(1.) / (T::of(1.) - x * x).sqrt()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Acos;

impl Pointwise for Acos {
    fn value<T: Real>(self, x: T) -> T {
        x.acos()
    }
    fn slope<T: Real>(self, x: T) -> T {
        -Asin.slope(x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Atan;

impl Pointwise for Atan {
    fn value<T: Real>(self, x: T) -> T {
        x.atan()
    }
    fn slope<T: Real>(self, x: T) -> T {
        T::of(1.) / (T::of(1.) + x * x)
    }
}
