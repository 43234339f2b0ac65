//! Puts the page on the web.

use std::sync::Arc;

use super::ranking::Ranking;
use super::routes::router_with;
use crate::error::Result;
use crate::operate::Opened;
use crate::web::{self, ServeOptions};

/// Serves the page until Ctrl-C. Answers that faces are sorted by are computed meanwhile.
pub(crate) fn serve(opened: Opened, options: &ServeOptions) -> Result<()> {
    let opened = Arc::new(opened);
    let ranking = Arc::new(Ranking::default());
    let served = web::serve(options, None, |guard| {
        let (ours, theirs) = (opened.clone(), ranking.clone());
        tokio::task::spawn_blocking(move || theirs.fill(&ours));
        Ok(router_with(opened.clone(), ranking.clone(), guard))
    });
    ranking.stop();
    served
}
