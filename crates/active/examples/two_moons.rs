//! Which of two half circles does a point belong to? A logistic regression on bumps learns it from
//! labels at random and from labels that it chooses.
//!
//! ```text
//! cargo run --release --package foresee-active --example two_moons
//! ```

use foresee_active::{
    Answers, AnyError, Model, Pool, Settings, Strategy, Table, choose, in_random_order,
};

/// Points on two half circles, by turns.
fn points() -> Vec<([f32; 2], f32)> {
    let point = |i: usize| {
        let angle = (i / 2) as f32 * 2.399 % std::f32::consts::PI;
        let wobble = 0.15 * ((i * 37 % 101) as f32 / 50. - 1.);
        let (sin, cos) = angle.sin_cos();
        match i % 2 {
            0 => ([cos + wobble, sin - wobble], 0.),
            _ => ([1. - cos - wobble, 0.4 - sin + wobble], 1.),
        }
    };
    (0..600).map(point).collect()
}

/// Features: how near a point is to each of some grid points.
fn features([x, y]: [f32; 2]) -> Vec<f32> {
    let near = |i: usize| {
        let (a, b) = ((i % 6) as f32 * 0.7 - 1.2, (i / 6) as f32 * 0.6 - 1.);
        (-4. * ((x - a).powi(2) + (y - b).powi(2))).exp()
    };
    (0..30).map(near).chain([1.]).collect()
}

struct Logistic<'a> {
    points: &'a [([f32; 2], f32)],
    weights: Vec<f32>,
}

impl<'a> Logistic<'a> {
    /// Gradient descent on these points.
    fn fit(points: &'a [([f32; 2], f32)], labelled: &[usize]) -> Self {
        let mut model = Self { points, weights: vec![0.; 31] };
        for _ in 0..400 {
            for &i in labelled {
                let x = features(points[i].0);
                let error = model.probability(&x) - points[i].1;
                model.weights.iter_mut().zip(&x).for_each(|(w, x)| *w -= 0.5 * error * x);
            }
        }
        model
    }

    fn probability(&self, x: &[f32]) -> f32 {
        let logit: f32 = self.weights.iter().zip(x).map(|(w, x)| w * x).sum();
        1. / (1. + (-logit).exp())
    }
}

impl Model for Logistic<'_> {
    fn answers(&self, items: &[usize]) -> Result<Answers, AnyError> {
        let x: Vec<Vec<f32>> = items.iter().map(|&i| features(self.points[i].0)).collect();
        let p = x.iter().map(|x| self.probability(x)).collect();
        Ok(Answers { probabilities: Table::new(1, p)?, features: Table::new(31, x.concat())? })
    }
}

fn main() -> Result<(), AnyError> {
    let points = points();
    let all: Vec<usize> = (0..points.len()).collect();
    println!("accuracy with 6, 10, … labels");
    for strategy in Strategy::ALL {
        let mut labelled = in_random_order(&all, 1)[..6].to_vec();
        let mut line = format!("{:<18}", strategy.title());
        for round in 0..6 {
            let model = Logistic::fit(&points, &labelled);
            let is_right = |i: &&usize| {
                let (point, label) = points[**i];
                (model.probability(&features(point)) > 0.5) == (label > 0.5)
            };
            let right = all.iter().filter(is_right).count();
            line += &format!("{:6.1} %", 100. * right as f64 / all.len() as f64);
            let unlabelled: Vec<usize> =
                all.iter().copied().filter(|i| !labelled.contains(i)).collect();
            let pool = Pool { unlabelled: &unlabelled, labelled: &labelled };
            let settings = Settings { seed: round, ..Settings::default() };
            labelled.extend(choose(&model, pool, strategy, 4, settings)?);
        }
        println!("{line}");
    }
    Ok(())
}
