//! A dense matrix of numbers.

/// A dense matrix of f64, stored row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0.; rows * columns] }
    }

    /// A matrix from rows of equal length.
    ///
    /// # Panics
    /// If the rows differ in length.
    pub fn from_rows(rows: &[Vec<f64>]) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        assert!(rows.iter().all(|row| row.len() == columns), "rows of one matrix have one length");
        Self { columns, values: rows.concat() }
    }

    /// A matrix whose entry in row i and column j is `entry(i, j)`.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let mut out = Self::zeros(rows, columns);
        for i in 0..rows {
            for (j, value) in out.row_mut(i).iter_mut().enumerate() {
                *value = entry(i, j);
            }
        }
        out
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One entry.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.row(row)[column]
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One row, to be changed.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// All rows.
    pub fn to_rows(&self) -> Vec<Vec<f64>> {
        (0..self.rows()).map(|r| self.row(r).to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_where_they_were_put() {
        let mut matrix = Matrix::from_fn(2, 3, |i, j| (10 * i + j) as f64);
        assert_eq!(matrix, Matrix::from_rows(&[vec![0., 1., 2.], vec![10., 11., 12.]]));
        assert_eq!((matrix.rows(), matrix.columns(), matrix.get(1, 2)), (2, 3, 12.));
        matrix.row_mut(0)[1] = 5.;
        assert_eq!(matrix.to_rows(), [[0., 5., 2.], [10., 11., 12.]]);
        assert_eq!(Matrix::from_rows(&[]).rows(), 0);
    }
}
