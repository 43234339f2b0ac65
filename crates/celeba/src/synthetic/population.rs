//! Which attributes a face has: a Gaussian copula with CelebA's frequencies and correlations.

use rand_distr::{Distribution, StandardNormal};

use crate::attributes::{ATTRIBUTES, Labels, attribute_index};
use crate::random::{Purpose, stream};

const K: usize = ATTRIBUTES.len();
const FREQUENCIES: &str = include_str!("../../../../data/celeba/attribute_frequencies.csv");
const CORRELATION: &str = include_str!("../../../../data/celeba/attribute_latent_correlation.csv");

/// Groups of which a drawing can show one member only.
const EXCLUSIVE: [&[&str]; 2] = [
    &["Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"],
    &["Bald", "Straight_Hair", "Wavy_Hair"],
];

pub(crate) struct Population {
    /// An attribute is present where its normal variable lies below this.
    thresholds: [f64; K],
    /// Lower triangle L of the correlation matrix LLᵀ.
    factor: Vec<[f64; K]>,
    exclusive: Vec<Vec<usize>>,
    bald: usize,
    bangs: usize,
}

impl Population {
    pub fn celeba() -> Self {
        let rows = |text: &'static str| {
            text.lines()
                .skip(1)
                .map(|line| line.split(',').skip(1).map(|v| v.parse().expect("a committed number")))
        };
        let mut thresholds = [0.; K];
        for (threshold, mut row) in thresholds.iter_mut().zip(rows(FREQUENCIES)) {
            *threshold = row.nth(1).expect("a committed table");
        }
        let correlation: Vec<Vec<f64>> = rows(CORRELATION).map(Iterator::collect).collect();
        let index = |name: &&str| attribute_index(name).expect("an attribute");
        Self {
            thresholds,
            factor: cholesky(&correlation),
            exclusive: EXCLUSIVE.iter().map(|group| group.iter().map(index).collect()).collect(),
            bald: index(&"Bald"),
            bangs: index(&"Bangs"),
        }
    }

    pub fn draw(&self, seed: u64, face: u64) -> Labels {
        let mut rng = stream(seed, Purpose::Population, face);
        let independent: [f64; K] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
        // How far below its threshold each variable lies: present if positive.
        let margin: [f64; K] = std::array::from_fn(|k| {
            self.thresholds[k] - (0..=k).map(|j| self.factor[k][j] * independent[j]).sum::<f64>()
        });
        let mut labels: Labels = margin.iter().map(|&m| m > 0.).collect();
        for group in &self.exclusive {
            // Bald is in both groups: one that lost in the first does not take part in the second.
            let present = group.iter().copied().filter(|&k| labels.has(k));
            let Some(strongest) = present.max_by(|&a, &b| margin[a].total_cmp(&margin[b])) else {
                continue;
            };
            for &k in group.iter().filter(|&&k| k != strongest) {
                labels = labels.with(k, false);
            }
        }
        match labels.has(self.bald) {
            true => labels.with(self.bangs, false),
            false => labels,
        }
    }
}

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
        for (k, row) in FREQUENCIES.lines().skip(1).enumerate() {
            let expected: f64 = row.split(',').nth(1).unwrap().parse().unwrap();
            // Attributes that exclude each other lose some.
            assert!(
                (share(&|l| l.has(k)) - expected).abs() < 0.05,
                "{row}: {}",
                share(&|l| l.has(k))
            );
        }
        let [male, lipstick, smiling, open] =
            ["Male", "Wearing_Lipstick", "Smiling", "Mouth_Slightly_Open"]
                .map(|n| attribute_index(n).unwrap());
        assert!(share(&|l| l.has(male) && l.has(lipstick)) < 0.03);
        assert!(share(&|l| l.has(smiling) && l.has(open)) > 0.3);
    }
}
