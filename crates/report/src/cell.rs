//! What one cell of a CSV file can hold.

use polars::prelude::{Column, NamedFrom, Series};

/// A value that fills a cell of a column.
pub trait Cell: Sized {
    /// What the cell should hold, for error messages: "number".
    const KIND: &'static str;

    /// A column of these values.
    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column
    where
        Self: 'a;

    /// Reads the text of a cell; `None` is an empty one. Returns `None` if this is no such value.
    fn parse(text: Option<&str>) -> Option<Self>;
}

/// A column of values that polars knows.
fn series<T, P: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, P>,
{
    Series::new(name.into(), values).into()
}

/// The shortest decimal number that reads back as the same value. A missing value reads as NaN.
impl Cell for f64 {
    const KIND: &'static str = "number";

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        series(name, values.copied().collect::<Vec<_>>())
    }

    fn parse(text: Option<&str>) -> Option<Self> {
        text.map_or(Some(Self::NAN), |text| text.parse().ok())
    }
}

/// Written in double precision.
impl Cell for f32 {
    const KIND: &'static str = f64::KIND;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        series(name, values.map(|&value| f64::from(value)).collect::<Vec<_>>())
    }

    fn parse(text: Option<&str>) -> Option<Self> {
        f64::parse(text).map(|value| value as Self)
    }
}

/// Whole numbers and what is missing of them, in columns of this type.
macro_rules! whole_numbers {
    ($column:ty: $($type:ty),*) => {$(
        impl Cell for $type {
            const KIND: &'static str = "whole number";

            fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
                series(name, values.map(|&value| value as $column).collect::<Vec<_>>())
            }

            fn parse(text: Option<&str>) -> Option<Self> {
                text?.parse().ok()
            }
        }

        impl Cell for Option<$type> {
            const KIND: &'static str = <$type>::KIND;

            fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
                series(name, values.map(|value| value.map(|v| v as $column)).collect::<Vec<_>>())
            }

            fn parse(text: Option<&str>) -> Option<Self> {
                text.map_or(Some(None), |text| text.parse().ok().map(Some))
            }
        }
    )*};
}

whole_numbers!(u64: usize, u64);
whole_numbers!(i64: i64);

impl Cell for String {
    const KIND: &'static str = "text";

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        series(name, values.map(String::as_str).collect::<Vec<_>>())
    }

    fn parse(text: Option<&str>) -> Option<Self> {
        Some(text.unwrap_or_default().into())
    }
}

/// A number with a fixed count of digits after the decimal point: `Fixed::<4>(0.5)` is 0.5000.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Fixed<const DIGITS: usize>(pub f64);

impl<const DIGITS: usize> Cell for Fixed<DIGITS> {
    const KIND: &'static str = f64::KIND;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        series(name, values.map(|value| format!("{:.DIGITS$}", value.0)).collect::<Vec<_>>())
    }

    fn parse(text: Option<&str>) -> Option<Self> {
        f64::parse(text).map(Self)
    }
}

/// A number that is written in single precision with an exponent: 0.125 is 1.25e-1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Scientific(pub f64);

impl Cell for Scientific {
    const KIND: &'static str = f64::KIND;

    fn column<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Column {
        series(name, values.map(|value| format!("{:e}", value.0 as f32)).collect::<Vec<_>>())
    }

    fn parse(text: Option<&str>) -> Option<Self> {
        f64::parse(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{DataFrame, csv_text};

    fn csv<T: Cell>(values: &[T]) -> String {
        let frame = DataFrame::new(values.len(), vec![T::column("v", values.iter())]).unwrap();
        csv_text(&frame).unwrap()
    }

    #[test]
    fn numbers_are_written_as_short_as_they_can_be_read_back() {
        let values = [0., 1., 0.1, 1. / 3., 1e-6, f64::NAN];
        assert_eq!(csv(&values), "v\n0.0\n1.0\n0.1\n0.3333333333333333\n1e-6\nNaN\n");
        assert_eq!(csv(&[0.1f32]), "v\n0.10000000149011612\n");
        assert_eq!(f32::parse(Some("0.10000000149011612")), Some(0.1));
        for value in values {
            let back = f64::parse(Some(&value.to_string()));
            assert!(back.is_some_and(|back| back.to_bits() == value.to_bits()), "{value}");
        }
        assert!(f64::parse(None).is_some_and(f64::is_nan));
        assert_eq!(f64::parse(Some("many")), None);
    }

    #[test]
    fn what_is_missing_is_empty() {
        assert_eq!(csv(&[Some(7u64), None]), "v\n7\n\n");
        assert_eq!(Option::<u64>::parse(None), Some(None));
        assert_eq!(Option::<u64>::parse(Some("7")), Some(Some(7)));
        assert_eq!(Option::<u64>::parse(Some("-7")), None);
        assert_eq!(u64::parse(None), None);
    }

    #[test]
    fn digits_can_be_fixed() {
        assert_eq!(csv(&[Fixed::<4>(0.97)]), "v\n0.9700\n");
        assert_eq!(Fixed::<4>::parse(Some("0.9700")), Some(Fixed(0.97)));
        assert_eq!(csv(&[Scientific(f64::from(0.1f32))]), "v\n1e-1\n");
        assert_eq!(Scientific::parse(Some("1e-1")), Some(Scientific(0.1)));
    }
}
