//! Rows of a CSV file as structs.
//!
//! [`record!`](crate::record!) makes a struct whose fields are the columns of a table. It writes
//! and reads the table, so that no other code knows a column's name or place:
//!
//! ```
//! use foresee_report::{Record, frame, record};
//!
//! /// What decides the order in which channels go.
//! #[derive(Debug, Clone, Copy, PartialEq)]
//! pub enum PruneRule {
//!     Lower,
//!     Random,
//! }
//!
//! impl PruneRule {
//!     pub fn id(self) -> &'static str {
//!         match self {
//!             Self::Lower => "lower",
//!             Self::Random => "random",
//!         }
//!     }
//!
//!     pub fn from_id(id: &str) -> Option<Self> {
//!         [Self::Lower, Self::Random].into_iter().find(|rule| rule.id() == id)
//!     }
//! }
//!
//! record! {
//!     /// A point of Figure 7.
//!     #[derive(Debug, Clone, PartialEq)]
//!     pub struct PruningPoint {
//!         /// Which channels go first.
//!         #[id]
//!         pub rule: PruneRule,
//!         /// Which random order.
//!         pub seed: Option<u64>,
//!         /// How many channels were pruned.
//!         pub pruned: usize,
//!         /// Share of right answers, from 0 to 1.
//!         #[column = "ACC"]
//!         pub accuracy: f64,
//!     }
//! }
//!
//! let points = [
//!     PruningPoint { rule: PruneRule::Lower, seed: None, pruned: 32, accuracy: 0.84 },
//!     PruningPoint { rule: PruneRule::Random, seed: Some(0), pruned: 32, accuracy: 0.8 },
//! ];
//! assert_eq!(PruningPoint::COLUMNS, ["rule", "seed", "pruned", "ACC"]);
//! let csv = frame::csv_text(&PruningPoint::to_frame(&points)?)?;
//! assert_eq!(csv, "rule,seed,pruned,ACC\nlower,,32,0.84\nrandom,0,32,0.8\n");
//! assert_eq!(PruningPoint::from_frame(&frame::parse_csv(&csv)?)?, points);
//!
//! let other = frame::parse_csv("rule,seed,pruned,ACC\nupper,,32,0.84\n")?;
//! let error = PruningPoint::from_frame(&other).unwrap_err().to_string();
//! assert_eq!(error, "column `rule`, row 1: `upper` is not a valid PruneRule");
//! # Ok::<(), foresee_report::Error>(())
//! ```
//!
//! A field's type is `f64` or `f32` (a missing value reads as NaN), `usize`, `u64`, `i64`, `Option`
//! of one of these three, `String`, [`Fixed`](crate::Fixed), [`Scientific`](crate::Scientific), or
//! any type with [`Cell`](crate::Cell). A type of another crate cannot have that; if it has `fn id`
//! (which gives a `&str` or a `String`) and `fn from_id(&str) -> Option<Self>`, then mark its field
//! `#[id]`. A column is called like its field, unless `#[column = "NAME"]` says otherwise. The
//! attributes of a field come in the order doc comment, `#[column = "NAME"]`, `#[id]`.
//!
//! Three more tables are built on records, or stand beside them:
//!
//! * [`WideTable`](crate::WideTable): records with further columns whose names are known at run
//!   time only, such as one for each attribute;
//! * [`MatrixTable`](crate::MatrixTable): a matrix with named rows and columns;
//! * [`PlaneTable`](crate::PlaneTable): planes of pixels, each labelled by a record.

use crate::error::Result;
use crate::frame::{Column, DataFrame};

/// A struct that is a row of a table. [`record!`](crate::record!) implements it.
pub trait Record: Sized {
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];

    /// The columns of these rows, in the order of [`COLUMNS`](Self::COLUMNS).
    fn columns(rows: &[&Self]) -> Vec<Column>;

    /// Reads the rows of a table that [`read_csv`](crate::frame::read_csv) or
    /// [`parse_csv`](crate::frame::parse_csv) gave. Columns that are no field are ignored.
    ///
    /// # Errors
    /// If a column is missing, or if a cell does not hold its field's type.
    fn from_frame(frame: &DataFrame) -> Result<Vec<Self>>;

    /// The table of these rows.
    ///
    /// # Errors
    /// If two columns have the same name.
    fn to_frame(rows: &[Self]) -> Result<DataFrame> {
        let columns = Self::columns(&rows.iter().collect::<Vec<_>>());
        Ok(DataFrame::new(rows.len(), columns)?)
    }
}

/// Makes a struct with the trait [`Record`](crate::Record): its fields are the columns of a table.
/// See [`record`](mod@crate::record) for an example and for the types that a field can have.
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[column = $column:literal])?
                $(#[id $($by_id:ident)?])?
                $field_vis:vis $field:ident: $type:ty
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $(
                $(#[doc = $doc])*
                $field_vis $field: $type
            ),*
        }

        impl $crate::Record for $name {
            const COLUMNS: &'static [&'static str] =
                &[$($crate::__column_name!($field $($column)?)),*];

            fn columns(rows: &[&Self]) -> ::std::vec::Vec<$crate::Column> {
                vec![$(
                    $crate::__column!(
                        $(id $($by_id)?)? $type,
                        $crate::__column_name!($field $($column)?),
                        rows.iter().map(|row| &row.$field)
                    )
                ),*]
            }

            fn from_frame(
                frame: &$crate::DataFrame,
            ) -> $crate::Result<::std::vec::Vec<Self>> {
                $(
                    let mut $field = $crate::__values!(
                        $(id $($by_id)?)? $type, frame, $crate::__column_name!($field $($column)?)
                    )?.into_iter();
                )*
                let row = || ::std::option::Option::Some(Self { $($field: $field.next()?),* });
                Ok(::std::iter::from_fn(row).collect())
            }
        }
    };
}

/// The name of a field's column.
#[doc(hidden)]
#[macro_export]
macro_rules! __column_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $column:literal) => {
        $column
    };
}

/// The column of a field's values.
#[doc(hidden)]
#[macro_export]
macro_rules! __column {
    (id $type:ty, $column:expr, $values:expr) => {
        $crate::frame::column(
            $column,
            $values.map(|value| value.id().to_string()).collect::<::std::vec::Vec<_>>(),
        )
    };
    ($type:ty, $column:expr, $values:expr) => {
        <$type as $crate::Cell>::column($column, $values)
    };
}

/// The values of a field's column.
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    (id $type:ty, $frame:ident, $column:expr) => {
        $crate::frame::values_with($frame, $column, stringify!($type), |id| {
            <$type>::from_id(id.unwrap_or_default())
        })
    };
    ($type:ty, $frame:ident, $column:expr) => {
        $crate::frame::values::<$type>($frame, $column)
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[derive(Debug, Clone, PartialEq)]
    struct Layer(usize);

    impl Layer {
        fn id(&self) -> String {
            format!("layer{}", self.0)
        }

        fn from_id(id: &str) -> Option<Self> {
            id.strip_prefix("layer")?.parse().ok().map(Self)
        }
    }

    crate::record! {
        #[derive(Debug, Clone, PartialEq)]
        struct Everything {
            /// A doc comment
            /// of two lines.
            #[column = "which layer"]
            #[id]
            layer: Layer,
            name: String,
            seed: Option<u64>,
            count: usize,
            accuracy: f64,
        }
    }

    fn rows() -> [Everything; 2] {
        let first = Everything {
            layer: Layer(3),
            name: "a \"b\", c".into(),
            seed: None,
            count: 40,
            accuracy: 0.5,
        };
        let second =
            Everything { layer: Layer(12), name: String::new(), seed: Some(7), ..first.clone() };
        [first, second]
    }

    const CSV: &str = "which layer,name,seed,count,accuracy\n\
                       layer3,\"a \"\"b\"\", c\",,40,0.5\n\
                       layer12,\"\",7,40,0.5\n";

    #[test]
    fn rows_are_written_and_read_back() -> Result<()> {
        assert_eq!(frame::csv_text(&Everything::to_frame(&rows())?)?, CSV);
        assert_eq!(Everything::from_frame(&frame::parse_csv(CSV)?)?, rows());
        Ok(())
    }

    #[test]
    fn without_rows_there_are_the_names_of_the_columns() -> Result<()> {
        let empty = frame::csv_text(&Everything::to_frame(&[])?)?;
        assert_eq!(empty.trim_end(), Everything::COLUMNS.join(","));
        assert_eq!(Everything::from_frame(&frame::parse_csv(&empty)?)?, []);
        Ok(())
    }

    #[test]
    fn other_columns_and_their_order_do_not_matter() -> Result<()> {
        let csv = "accuracy,data,count,seed,name,which layer\n0.5,celeba,40,7,,layer12\n";
        assert_eq!(Everything::from_frame(&frame::parse_csv(csv)?)?, rows()[1..]);
        Ok(())
    }
}
