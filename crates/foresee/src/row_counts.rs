//! How many rows of the heads a training keeps awake and its network needs: what benchmarks of
//! networks with few rows are measured with (`data/bench/kept_rows.json`).
//!
//! A row is the mask of one attribute on one channel. The file has counts and no weights.

use foresee_kernels::Rows;
use foresee_model::{Network, Selection};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Of how many channels each attribute keeps its masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptRows {
    /// What the network was trained on.
    pub source: String,
    /// The command that made the file.
    pub made_by: String,
    /// C.
    pub channels: usize,
    /// Steps of each pass over the training images.
    pub steps_of_a_pass: usize,
    /// `train.sleep` of the training.
    pub sleep: f64,
    /// The tolerance under which the rows of the trained network were chosen.
    pub tolerance: f64,
    /// For each attribute, the rows that the trained network needs.
    pub trained: Vec<usize>,
    /// Points of the training, ascending.
    pub training: Vec<Point>,
}

/// A point of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Passes over the training images that are done.
    pub passes: usize,
    /// For each attribute, the rows whose mask reaches `sleep` on some pixel of 400 training faces.
    pub awake: Vec<usize>,
}

impl KeptRows {
    /// The embedded file.
    ///
    /// # Errors
    /// If it is not of this form.
    pub fn read() -> Result<Self> {
        Ok(serde_json::from_str(foresee_data::bench::KEPT_ROWS)?)
    }

    /// The file's text: JSON with one line for each list of counts.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn text(&self) -> Result<String> {
        let is_digit = |c: char| c.is_ascii_digit();
        let mut text = String::new();
        for line in serde_json::to_string_pretty(self)?.lines() {
            let item = line.trim_start();
            if item.starts_with(is_digit) || (item.starts_with(']') && text.ends_with(is_digit)) {
                text.push_str(if text.ends_with(',') { " " } else { "" });
                text.push_str(item);
            } else {
                text.push_str(if text.is_empty() { "" } else { "\n" });
                text.push_str(line);
            }
        }
        Ok(text + "\n")
    }

    /// The rows that are kept where each attribute keeps so many. Which ones is drawn, from a
    /// stream for each attribute, so that everyone gets the same ones. The rows of a smaller count
    /// are among those of a larger one.
    ///
    /// # Errors
    /// If a network cannot have so many attributes or channels.
    pub fn draw(&self, counts: &[usize]) -> Result<Rows> {
        let kept = counts.iter().enumerate().map(|(attribute, &count)| {
            let mut random = ChaCha8Rng::seed_from_u64(0);
            random.set_stream(attribute as u64);
            let mut channels: Vec<usize> = (0..self.channels).collect();
            channels.shuffle(&mut random);
            channels.truncate(count);
            channels.sort_unstable();
            channels
        });
        Ok(Rows::new(self.channels, kept.collect())?)
    }

    /// Passes of the whole training.
    pub fn passes(&self) -> usize {
        self.training.last().map_or(0, |last| last.passes)
    }

    /// Steps of the whole training.
    pub fn steps(&self) -> usize {
        self.passes() * self.steps_of_a_pass
    }

    /// The sum over all steps of the training of what has these values at its points, and lies on a
    /// line between two of them.
    pub fn sum(&self, values: &[f64]) -> f64 {
        let pairs = self.training.windows(2).zip(values.windows(2));
        let areas = pairs.map(|(points, values)| {
            let passes = points[1].passes as f64 - points[0].passes as f64;
            passes * (values[0] + values[1]) / 2.
        });
        self.steps_of_a_pass as f64 * areas.sum::<f64>()
    }
}

/// A network of its own memory that computes only these rows. In its weights the masks of all
/// others are shut too: it answers the same when all rows are computed.
///
/// # Errors
/// If the network has other attributes or channels.
pub fn shut_all_but(network: &Network, rows: Rows) -> Result<Network> {
    let none = vec![0.; rows.attributes()];
    Ok(network.compact(&Selection { rows, constants: none.clone(), deviations: none })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(training: &[(usize, usize)]) -> KeptRows {
        let point = |&(passes, awake)| Point { passes, awake: vec![awake, 3] };
        KeptRows {
            channels: 8,
            steps_of_a_pass: 10,
            training: training.iter().map(point).collect(),
            ..KeptRows::read().unwrap()
        }
    }

    #[test]
    fn the_embedded_file_is_of_the_papers_network() {
        let rows = KeptRows::read().unwrap();
        assert_eq!(rows.text().unwrap(), foresee_data::bench::KEPT_ROWS);
        assert_eq!((rows.trained.len(), rows.channels), (40, 128));
        assert!(rows.training.iter().all(|point| point.awake.len() == 40));
        assert!(rows.training.is_sorted_by(|a, b| a.passes < b.passes));
        assert_eq!(rows.training.first().map(|point| point.passes), Some(0));
        // The profile `small`.
        assert_eq!(rows.passes(), 30);
        // Real faces, and counts that the example made.
        assert!(rows.source.contains("CelebA") && rows.made_by.contains("kept_rows"));
    }

    #[test]
    fn a_training_is_summed_on_lines_between_its_points() {
        let rows = counted(&[(0, 8), (1, 6), (3, 2)]);
        // 10 · ((4 + 2) / 2 + 2 · (2 + 1) / 2).
        assert_eq!(rows.sum(&[4., 2., 1.]), 60.);
        assert_eq!(rows.steps(), 30);
    }

    #[test]
    fn rows_fall_asleep_and_are_the_same_for_everyone() {
        let rows = counted(&[(0, 8), (1, 6), (3, 2)]);
        let drawn: Vec<Rows> =
            rows.training.iter().map(|point| rows.draw(&point.awake).unwrap()).collect();
        assert_eq!(drawn.iter().map(Rows::count).collect::<Vec<_>>(), [11, 9, 5]);
        assert!(drawn[2].of(0).iter().all(|channel| drawn[1].of(0).contains(channel)));
        assert_eq!(drawn[2].of(1), drawn[0].of(1));
        assert_eq!(rows.draw(&[6, 3]).unwrap(), drawn[1]);
        assert!(rows.draw(&[8, 8]).unwrap().is_all());
    }
}
