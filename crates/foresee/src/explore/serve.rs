//! Puts the page on the web.

use std::sync::Arc;

use super::explorer::Explorer;
use super::ranking::Ranking;
use super::routes::router_with;
use crate::error::Result;
use crate::web::{self, ServeOptions};

/// Serves the page until Ctrl-C. Answers that faces are sorted by are computed meanwhile.
pub(crate) fn serve(explorer: Explorer, options: &ServeOptions) -> Result<()> {
    let explorer = Arc::new(explorer);
    let ranking = Arc::new(Ranking::default());
    let served = web::serve(options, None, |guard| {
        let (ours, theirs) = (explorer.clone(), ranking.clone());
        tokio::task::spawn_blocking(move || theirs.fill(&ours));
        Ok(router_with(explorer.clone(), ranking.clone(), guard))
    });
    ranking.stop();
    served
}
