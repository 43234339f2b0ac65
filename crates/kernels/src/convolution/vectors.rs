//! Which results the vectors of a tile hold.

use super::planes::Grid;

/// The results of an image's channel as vectors, none in two of them. A vector reads neighbouring
/// pixels; those of its lanes that lie between two rows mean nothing.
#[derive(Debug)]
pub(super) struct Vectors {
    /// The pixel of the planes that the first lane reads through a tap of offset 0.
    starts: Vec<usize>,
    /// The vectors' results, one vector's behind the other's.
    runs: Vec<Run>,
    /// Where each vector's runs end.
    ends: Vec<usize>,
}

/// Neighbouring results of a vector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub lane: usize,
    /// Where the first lies in a channel of the whole result.
    pub place: usize,
    pub pixels: usize,
}

impl Vectors {
    /// The results of a grid in vectors of so many lanes.
    pub fn new(grid: &Grid, lanes: usize) -> Self {
        let mut vectors = Self { starts: Vec::new(), runs: Vec::new(), ends: Vec::new() };
        let (rows, columns) = grid.rows_of_neighbours();
        let latest = grid.channel().saturating_sub(grid.reach() + lanes);
        let (mut y, mut x) = (0, 0);
        while y < rows {
            // The last vectors begin before their first result where they would read too far.
            let first = y * grid.width() + x;
            let start = if grid.is_longer_than(lanes) { first.min(latest) } else { first };
            while y < rows && y * grid.width() + x < start + lanes {
                let lane = y * grid.width() + x - start;
                let pixels = (columns - x).min(lanes - lane);
                vectors.runs.push(Run { lane, place: grid.place(y, x), pixels });
                x += pixels;
                if x == columns {
                    (y, x) = (y + 1, 0);
                }
            }
            vectors.starts.push(start);
            vectors.ends.push(vectors.runs.len());
        }
        vectors
    }

    /// How many vectors an image has.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn start(&self, vector: usize) -> usize {
        self.starts[vector]
    }

    pub fn runs(&self, vector: usize) -> &[Run] {
        let first = vector.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.runs[first..self.ends[vector]]
    }
}
