//! What matrix products are made of: tiles of sums, and where their operands lie.

/// Rows of a tile.
pub(crate) const ROWS: usize = 32;
/// What is read and written of a tile is a multiple of so many rows.
pub(crate) const ROW_GROUP: usize = 16;
/// Columns of a tile.
pub(crate) const COLUMNS: usize = 32;

/// A part of a sum of products whose steps lie evenly in both operands. A step is one factor, which
/// holds one or two terms.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    /// Where the first step's row 0 lies in the left operand.
    pub a: usize,
    /// Where the first step's column 0 lies in the right operand.
    pub b: usize,
    /// Number of steps.
    pub steps: usize,
}

impl Stretch {
    /// What is left behind the whole blocks of so many steps.
    #[inline(always)]
    pub fn after_blocks(self, block: usize) -> Self {
        let done = self.steps / block * block;
        Self { a: self.a + done, b: self.b + done * COLUMNS, steps: self.steps - done }
    }
}

/// The left operand of a tile: row r of step i lies at `start + r·row + i·step`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a, F> {
    pub values: &'a [F],
    pub row: usize,
    pub step: usize,
}

/// Where a tile's sums are: row r, column j at `start + r·row + j`.
pub(crate) struct Tile<'a> {
    pub values: &'a mut [f32],
    pub start: usize,
    pub row: usize,
    /// How many rows are needed, up to [`ROWS`]. Others up to a whole [`ROW_GROUP`] are there and
    /// hold anything afterwards.
    pub rows: usize,
}
