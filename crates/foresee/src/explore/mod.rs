//! `explore`: a web page on which a person plays with a trained network.
//!
//! `view` is the state that a link holds, and each of `faces`, `answers`, `masks`, `outcome`,
//! `population`, `forecast` and `figure` one thing that is asked of the opened network. They know
//! nothing of HTTP. `routes` has the addresses, `turns` says which requests are overtaken, `page`
//! is the page, and `serve` puts it on the web.

mod answers;
mod faces;
mod figure;
mod forecast;
mod masks;
mod outcome;
mod page;
mod parameters;
mod population;
mod ranking;
mod routes;
mod serve;
mod turns;
mod view;

pub use self::routes::router;
pub(crate) use self::serve::serve;
