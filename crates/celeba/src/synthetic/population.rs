//! Which attributes a face has: a Gaussian copula with CelebA's frequencies and correlations.

use foresee_data::celeba::{ATTRIBUTE_FREQUENCIES, ATTRIBUTE_LATENT_CORRELATION};
use rand_distr::{Distribution, StandardNormal};

use crate::attributes::{ATTRIBUTES, Labels, attribute_index};
use crate::random::{Purpose, stream};

const K: usize = ATTRIBUTES.len();

/// Groups of attributes of which a drawing can show only one.
const EXCLUSIVE: [&[&str]; 2] = [
    &["Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"],
    &["Bald", "Straight_Hair", "Wavy_Hair"],
];

/// The distribution of attributes: attribute k is present where the latent normal variable
/// x = Lε, ε ~ N(0, I), has xₖ below its threshold.
pub(crate) struct Population {
    thresholds: [f64; K],
    /// The lower triangle L of the latent correlation matrix LLᵀ.
    factor: Vec<[f64; K]>,
    exclusive: Vec<Vec<usize>>,
    bald: usize,
    bangs: usize,
}

impl Population {
    /// The population of CelebA.
    pub fn celeba() -> Self {
        let mut thresholds = [0.; K];
        for (threshold, mut row) in thresholds.iter_mut().zip(rows(ATTRIBUTE_FREQUENCIES)) {
            *threshold = row.nth(1).expect("an embedded table");
        }
        let correlation: Vec<Vec<f64>> =
            rows(ATTRIBUTE_LATENT_CORRELATION).map(Iterator::collect).collect();
        let index = |name: &&str| attribute_index(name).expect("one of the 40 attributes");
        Self {
            thresholds,
            factor: cholesky(&correlation),
            exclusive: EXCLUSIVE.iter().map(|group| group.iter().map(index).collect()).collect(),
            bald: index(&"Bald"),
            bangs: index(&"Bangs"),
        }
    }

    /// The attributes of a face.
    pub fn draw(&self, seed: u64, face: u64) -> Labels {
        let mut rng = stream(seed, Purpose::Population, face);
        let independent: [f64; K] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
        // How far below its threshold each variable lies: the attribute is present if positive.
        let margin: [f64; K] = std::array::from_fn(|k| {
            self.thresholds[k] - (0..=k).map(|j| self.factor[k][j] * independent[j]).sum::<f64>()
        });
        let mut labels: Labels = margin.iter().map(|&m| m > 0.).collect();
        for group in &self.exclusive {
            // Bald is in both groups. If it loses in the first one, it is absent in the second.
            let present = group.iter().copied().filter(|&k| labels.has(k));
            let Some(strongest) = present.max_by(|&a, &b| margin[a].total_cmp(&margin[b])) else {
                continue;
            };
            for &k in group.iter().filter(|&&k| k != strongest) {
                labels = labels.with(k, false);
            }
        }
        if labels.has(self.bald) { labels.with(self.bangs, false) } else { labels }
    }
}

/// The numbers of an embedded CSV, without its header and its first column.
fn rows(csv: &'static str) -> impl Iterator<Item = impl Iterator<Item = f64>> {
    csv.lines()
        .skip(1)
        .map(|line| line.split(',').skip(1).map(|value| value.parse().expect("an embedded number")))
}

/// The lower triangle L of A = LLᵀ. Pivots are at least 10⁻⁹.
fn cholesky(a: &[Vec<f64>]) -> Vec<[f64; K]> {
    let mut l = vec![[0.; K]; K];
    for i in 0..K {
        for j in 0..=i {
            let rest = a[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = if i == j { rest.max(1e-9).sqrt() } else { rest / l[j][j] };
        }
    }
    l
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_and_correlations_are_celebas() {
        let population = Population::celeba();
        let faces: Vec<Labels> = (0..8000).map(|face| population.draw(3, face)).collect();
        let share = |test: &dyn Fn(&Labels) -> bool| {
            faces.iter().filter(|l| test(l)).count() as f64 / faces.len() as f64
        };
        for (k, mut row) in rows(ATTRIBUTE_FREQUENCIES).enumerate() {
            let expected = row.next().unwrap();
            let found = share(&|l| l.has(k));
            // Attributes that exclude each other lose a few faces.
            assert!((found - expected).abs() < 0.05, "{}: {found}", ATTRIBUTES[k]);
        }
        let [male, lipstick, smiling, open] =
            ["Male", "Wearing_Lipstick", "Smiling", "Mouth_Slightly_Open"]
                .map(|n| attribute_index(n).unwrap());
        assert!(share(&|l| l.has(male) && l.has(lipstick)) < 0.03);
        assert!(share(&|l| l.has(smiling) && l.has(open)) > 0.3);
    }
}
