//! `study`: a forward simulation study, in which people say what an operation will change.
//!
//! `choices` is what one may choose, `design` the file in which the study stands, `make` draws it
//! and makes its items, and `materials` reads them. `database` keeps what people answer, `session`
//! is what one person is asked, and `routes` puts it on the web. `simulate`, `plan` and `score` are
//! what comes before and after people. The numbers are `foresee_people`'s.

mod analysis;
mod choices;
mod database;
mod design;
mod export;
mod make;
mod materials;
mod page;
mod pictures;
mod plan;
mod report;
mod routes;
mod rows;
mod session;
mod simulate;
mod texts;

pub(crate) use self::analysis::analyse;
pub(crate) use self::choices::Choices;
pub use self::database::Database;
pub use self::design::Design;
pub(crate) use self::make::{MakeRequest, is_study, make};
pub use self::materials::Materials;
pub(crate) use self::plan::{PlanRequest, PowerRow, plan};
pub(crate) use self::report::write_report;
pub use self::routes::{Study, router};
pub(crate) use self::simulate::simulate;
