//! `label`: a person answers in the browser, and a network learns in between which face to ask
//! about next.
//!
//! `journal` keeps each answer as it is given, `labeller` is the state and what changes it,
//! `learner` the thread that trains and chooses anew, `folder` makes a folder of images one of
//! faces. They know nothing of HTTP. `routes` has the addresses and `page` the page.

mod folder;
mod journal;
mod labeller;
mod learner;
mod page;
mod routes;

pub use self::journal::Answer;
pub use self::labeller::{LabelOptions, Labeller, ToLabel};
pub use self::learner::learn;
pub use self::routes::router;

use crate::error::Result;
use crate::web::{self, ServeOptions};
use std::sync::Arc;

/// Serves the page until Ctrl-C, and writes the labels as CSV.
pub(crate) fn serve(labeller: Labeller, options: &ServeOptions) -> Result<()> {
    let labeller = Arc::new(labeller);
    let learning = labeller.clone();
    let learner = std::thread::spawn(move || learn(&learning));
    let served = web::serve(options, None, |guard| Ok(router(labeller.clone(), guard)));
    labeller.stop();
    if learner.join().is_err() {
        tracing::error!("the thread that learns has failed");
    }
    let path = labeller.write_csv()?;
    tracing::info!("labels: {}", path.display());
    served
}
