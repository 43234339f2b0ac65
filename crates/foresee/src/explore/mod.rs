//! `explore`: a web page on which a person plays with a run's trained network.
//!
//! `view` is the state that a link holds, `explorer` the opened run, and each of `faces`,
//! `uploads`, `answers`, `masks`, `operation`, `population`, `forecast` and `figure` one thing that
//! is asked of it. They know nothing of HTTP. `routes` has the addresses, `turns` says
//! which requests are overtaken, `page` is the page, and `serve` puts it on the web.

mod answers;
mod explorer;
mod faces;
mod figure;
mod forecast;
mod masks;
mod operation;
mod page;
mod parameters;
mod picture;
mod population;
mod ranking;
mod recent;
mod routes;
mod serve;
mod turns;
mod uploads;
mod view;

pub use self::explorer::Explorer;
pub use self::routes::router;
pub(crate) use self::serve::serve;
