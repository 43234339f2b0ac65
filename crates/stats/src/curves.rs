//! Is one curve above another?

use crate::error::{Error, Result};
use crate::interval::{Interval, LEVEL};
use crate::seeds::{SeedMeans, mean_over_seeds_and_images};

/// The difference of two curves that were measured at the same points on the same images, by
/// networks from several seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveDifference {
    /// The mean difference over points, seeds and images, at [`LEVEL`].
    pub interval: Interval,
    /// The mean difference over points and images of each seed.
    pub seeds: Vec<f64>,
    /// The difference at each point. With n points each interval has the level 1 - (1 -
    /// [`LEVEL`])/n (Bonferroni), so that all of them together hold as often as the mean's.
    pub points: Vec<Interval>,
}

impl CurveDifference {
    /// From the differences `[point][seed][image]`.
    ///
    /// # Errors
    /// If there are no points, seeds or images, their numbers differ from point to point, or a
    /// difference is not finite.
    pub fn new(differences: &[Vec<Vec<f64>>]) -> Result<Self> {
        let first = differences.first().ok_or(Error::Empty("the difference of two curves"))?;
        if let Some(point) = differences.iter().find(|seeds| seeds.len() != first.len()) {
            return Err(Error::Shape {
                statistic: "the difference of two curves",
                expected: format!("{} seeds at every point", first.len()),
                got: vec![point.len()],
            });
        }
        let images: Vec<usize> = first.iter().map(Vec::len).collect();
        if differences.iter().any(|seeds| seeds.iter().map(Vec::len).ne(images.iter().copied())) {
            return Err(Error::DifferentImages);
        }
        let n = differences.len() as f64;
        let mean_of_points =
            |s: usize, i: usize| differences.iter().map(|seeds| seeds[s][i]).sum::<f64>() / n;
        let means: Vec<Vec<f64>> = images
            .iter()
            .enumerate()
            .map(|(s, &images)| (0..images).map(|i| mean_of_points(s, i)).collect())
            .collect();
        let SeedMeans { interval, seeds } = mean_over_seeds_and_images(&means, LEVEL)?;
        let level = 1. - (1. - LEVEL) / n;
        let points = differences
            .iter()
            .map(|of_point| Ok(mean_over_seeds_and_images(of_point, level)?.interval))
            .collect::<Result<_>>()?;
        Ok(Self { interval, seeds, points })
    }

    /// Number of points at which the interval of the difference lies above 0.
    pub fn points_above(&self) -> usize {
        self.points.iter().filter(|point| point.low > 0.).count()
    }

    /// Number of points at which the interval of the difference lies below 0.
    pub fn points_below(&self) -> usize {
        self.points.iter().filter(|point| point.high < 0.).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The differences of three seeds at a point, the same on each of two images.
    fn point(seeds: [f64; 3]) -> Vec<Vec<f64>> {
        seeds.map(|value| vec![value; 2]).to_vec()
    }

    /// Half of Student's interval of three seeds. With 2 degrees of freedom the quantile has a
    /// closed form: t = level·√(2/(1 - level²)).
    fn half_width(deviation: f64, level: f64) -> f64 {
        level * (2. / (1. - level * level)).sqrt() * deviation / 3f64.sqrt()
    }

    #[test]
    fn two_points_by_hand() {
        let found = CurveDifference::new(&[point([0.9, 1., 1.1]), point([-1., 0., 1.])]).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(found.seeds.iter().zip([-0.05, 0.5, 1.05]).all(|(a, b)| close(*a, b)));
        assert!(close(found.interval.estimate, 0.5));
        assert!(close(found.interval.high, 0.5 + half_width(0.55, 0.95)), "{found:?}");
        assert!(close(found.points[0].low, 1. - half_width(0.1, 0.975)), "{found:?}");
        assert!(close(found.points[1].high, half_width(1., 0.975)), "{found:?}");
        assert!(found.points.iter().all(|point| close(point.level, 0.975)));
        assert_eq!((found.points_above(), found.points_below()), (1, 0));
    }

    #[test]
    fn curves_must_have_the_same_points() {
        assert!(CurveDifference::new(&[]).is_err());
        assert!(CurveDifference::new(&[point([0.; 3]), vec![vec![0.; 2]; 2]]).is_err());
        assert_eq!(
            CurveDifference::new(&[point([0.; 3]), vec![vec![0.; 3]; 3]]),
            Err(Error::DifferentImages)
        );
    }
}
