//! What every page of the program that is served has in common: who may ask (`guard`), by which
//! address (`origin`), how a request is refused (`refusal`), short ways to answer (`answer`), what
//! every page begins with (`page`), what browsers keep (`cookie`), and how it is listened
//! (`server`).

mod answer;
mod cookie;
mod guard;
mod origin;
mod page;
mod refusal;
mod server;

pub(crate) use self::answer::{Answer, body, guarded, json, on_thread, png, text};
pub(crate) use self::cookie::cookies;
pub use self::guard::Guard;
pub(crate) use self::guard::random_name;
pub(crate) use self::page::page;
pub(crate) use self::refusal::Refusal;
pub(crate) use self::server::{ServeOptions, serve};
