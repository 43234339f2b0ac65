use crate::error::{AnyError, Error, Result};

/// Rows of numbers, one for each item.
///
/// ```
/// use foresee_active::Table;
///
/// let table = Table::new(2, vec![1., 2., 3., 4.])?;
/// assert_eq!((table.rows(), table.row(1)), (2, &[3., 4.][..]));
/// # Ok::<(), foresee_active::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: usize,
    values: Vec<f32>,
}

impl Table {
    /// A table with so many columns, from its rows one after the other.
    ///
    /// # Errors
    /// If the last row is not full, a number is not finite, or there are no columns.
    pub fn new(columns: usize, values: Vec<f32>) -> Result<Self> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(Error::Shape {
                what: "a table",
                expected: format!("rows of {columns} columns, at least one"),
                got: format!("{} numbers", values.len()),
            });
        }
        match values.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(Error::Value {
                what: "a number of a table",
                value: f64::from(value),
                expected: "a finite number",
            }),
            None => Ok(Self { columns, values }),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

/// What a model says of n items.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The probability of a yes to each of K questions, [n, K].
    pub probabilities: Table,
    /// What the last layer reads, [n, D].
    pub features: Table,
}

impl Answers {
    /// Makes sure that these are answers for so many items, and that probabilities are in [0, 1].
    ///
    /// # Errors
    /// If they are not.
    pub fn check(&self, items: usize) -> Result<()> {
        for (what, table) in [("probabilities", &self.probabilities), ("features", &self.features)]
        {
            if table.rows() != items {
                return Err(Error::Shape {
                    what,
                    expected: format!("{items} rows"),
                    got: format!("{} rows", table.rows()),
                });
            }
        }
        check_probabilities(&self.probabilities.values)
    }
}

/// Makes sure that all numbers are in [0, 1].
pub(crate) fn check_probabilities(values: &[f32]) -> Result<()> {
    match values.iter().find(|p| !(0. ..=1.).contains(*p)) {
        Some(&p) => Err(Error::Value {
            what: "a probability",
            value: f64::from(p),
            expected: "a number from 0 to 1",
        }),
        None => Ok(()),
    }
}

/// A model that answers K yes/no questions about items, each with a sigmoid of a linear function of
/// D features. Any other model can implement it with features of its own choice, such as those that
/// its layers share.
pub trait Model {
    /// What it says of these items, in their order.
    ///
    /// # Errors
    /// Whatever goes wrong in the model.
    fn answers(&self, items: &[usize]) -> std::result::Result<Answers, AnyError>;
}
