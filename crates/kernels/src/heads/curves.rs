//! Sums under tone curves. All curves of Eq. 11 with one n share the sums of h(M; n):
//! Σ g(M)·z = (1 + β)·Σ h(M; n)·z - β·Σ z.

use crate::curve::{ClosedForm, ToneCurve, h};
use crate::sigmoid::Row;

/// Eq. 12 for an n that is computed where the masks are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Power {
    /// n = 1: the mask itself.
    One,
    /// n = 2.
    Two,
    /// n = 3.
    Three,
}

impl Power {
    fn of(n: f32) -> Option<Self> {
        [(1., Self::One), (2., Self::Two), (3., Self::Three)]
            .into_iter()
            .find_map(|(power, this)| (n == power).then_some(this))
    }

    /// h(M; n) of a row of masks.
    #[inline(always)]
    pub fn apply(self, masks: &Row) -> Row {
        match self {
            Self::One => *masks,
            Self::Two => masks.map(|m| h(m, |t| t * t)),
            Self::Three => masks.map(|m| h(m, |t| t * t * t)),
        }
    }
}

/// What a forward pass adds up, so that the means under some curves follow.
pub(crate) struct Curves<'a> {
    all: &'a [&'a dyn ToneCurve],
    /// How the means under each curve follow.
    sources: Vec<Source>,
    /// The sums that the curves of Eq. 11 share.
    pub powers: Vec<Power>,
    /// Curves that are applied to the masks themselves.
    pub applied: Vec<&'a dyn ToneCurve>,
    /// C.
    channels: usize,
}

/// Which sums the means under a curve follow from.
enum Source {
    /// For each row [K, C] those of this one of `powers`, with this β.
    Powers(Vec<(usize, f32)>),
    /// Those of this one of `applied`.
    Applied(usize),
}

/// Sums over the pixels of an image, for one row: of the curved mask times the feature, and of the
/// curved mask.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowSums {
    pub products: f32,
    pub masks: f32,
}

impl<'a> Curves<'a> {
    /// For heads of K attributes and C channels.
    pub fn new(all: &'a [&'a dyn ToneCurve], attributes: usize, channels: usize) -> Self {
        let mut this = Self { all, sources: vec![], powers: vec![], applied: vec![], channels };
        for &curve in all {
            let form = |k: usize, c: usize| {
                let form = match curve.is_identity() {
                    true => ClosedForm::IDENTITY,
                    false => curve.closed_form(k, c).filter(|form| !form.clips())?,
                };
                Some((Power::of(form.n)?, form.beta))
            };
            let rows = (0..attributes).flat_map(|k| (0..channels).map(move |c| (k, c)));
            let forms: Option<Vec<_>> = rows.map(|(k, c)| form(k, c)).collect();
            let source = match forms {
                Some(forms) => {
                    let place = |(power, beta)| (this.place(power), beta);
                    Source::Powers(forms.into_iter().map(place).collect())
                }
                None => {
                    this.applied.push(curve);
                    Source::Applied(this.applied.len() - 1)
                }
            };
            this.sources.push(source);
        }
        this
    }

    /// The index of a power, which joins `powers`.
    fn place(&mut self, power: Power) -> usize {
        self.powers.iter().position(|&own| own == power).unwrap_or_else(|| {
            self.powers.push(power);
            self.powers.len() - 1
        })
    }

    /// The number of curves.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The number of sums of a row: those of the powers, then of the applied curves.
    pub fn sums(&self) -> usize {
        self.powers.len() + self.applied.len()
    }

    /// Whether only sums of the masks themselves are needed.
    pub fn are_identity(&self) -> bool {
        self.all.iter().all(|curve| curve.is_identity())
    }

    /// The sums under curve `i` of a row with masks, from its `sums`, for `feature` the sum of its
    /// channel over so many `pixels`.
    pub fn of_row(
        &self,
        i: usize,
        (k, c): (usize, usize),
        sums: impl Fn(usize) -> RowSums,
        (feature, pixels): (f32, f32),
    ) -> RowSums {
        let (power, beta) = match &self.sources[i] {
            Source::Powers(of_rows) => of_rows[k * self.channels + c],
            Source::Applied(at) => return sums(self.powers.len() + at),
        };
        let of_h = sums(power);
        if beta == 0. {
            return of_h;
        }
        RowSums {
            products: (1. + beta) * of_h.products - beta * feature,
            masks: (1. + beta) * of_h.masks - beta * pixels,
        }
    }

    /// The sums under curve `i` of a row whose masks are 0.
    pub fn of_closed(
        &self,
        i: usize,
        (k, c): (usize, usize),
        (feature, pixels): (f32, f32),
    ) -> RowSums {
        if self.all[i].is_identity() {
            return RowSums::default();
        }
        let mut mask = [0.];
        self.all[i].apply(k, c, &mut mask);
        match mask[0] {
            0. => RowSums::default(),
            g => RowSums { products: g * feature, masks: g * pixels },
        }
    }
}
