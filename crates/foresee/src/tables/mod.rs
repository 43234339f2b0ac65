//! The tables of a run, one file each, from its data files alone.

mod attribution;
mod predictability;
pub(crate) mod published;
mod regression;
mod table1;
mod table2;
mod table3;
mod table4;

use foresee_report::{Architecture, Table};

pub(crate) use self::attribution::all as attribution;
pub(crate) use self::predictability::{of_scores, predictability};
pub(crate) use self::regression::regression;
use crate::error::Result;
use crate::run::Run;

/// Tables 1 to 4.
pub(crate) fn of_the_paper(run: &Run, network: &Architecture) -> Result<Vec<Table>> {
    Ok(vec![
        table1::extractor(network),
        table2::classifier(run, network),
        table3::accuracy(run)?,
        table3::by_attribute(run)?,
        table4::attribute_correlation(run)?,
    ])
}
