//! Listens until Ctrl-C.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use super::explorer::Explorer;
use super::guard::Guard;
use super::ranking::Ranking;
use super::routes::router_with;
use crate::error::{Result, input};
use crate::interrupt::Patience;
use crate::output::print;

/// How often it is looked whether Ctrl-C was pressed.
const LOOK: Duration = Duration::from_millis(100);
/// How long answers that are under way may take after that.
const LEAVE: Duration = Duration::from_secs(2);
/// Threads that may compute or wait for their turn.
const THREADS: usize = 16;

/// Where to listen.
pub(crate) struct ServeOptions {
    pub address: IpAddr,
    /// 0 for any that is free.
    pub port: u16,
    /// Open the page in the browser.
    pub open: bool,
}

/// Serves the page until Ctrl-C.
pub(crate) fn serve(explorer: Explorer, options: &ServeOptions) -> Result<()> {
    let patience = Patience::begin();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .context("the server")?;
    let ranking = Arc::new(Ranking::default());
    let served = runtime.block_on(listen(Arc::new(explorer), ranking.clone(), options, &patience));
    ranking.stop();
    runtime.shutdown_timeout(LEAVE);
    served
}

async fn listen(
    explorer: Arc<Explorer>,
    ranking: Arc<Ranking>,
    options: &ServeOptions,
    patience: &Patience,
) -> Result<()> {
    let asked = SocketAddr::new(options.address, options.port);
    let listener = TcpListener::bind(asked).await.map_err(|e| {
        input(format!("{asked} cannot be listened at ({e}); give another --port or --address"))
    })?;
    let guard = Guard::new(listener.local_addr()?)?;
    let link = guard.link();
    print(&format!("{link}\n"))?;
    if let Some(advice) = guard.advice() {
        tracing::info!("{advice}");
    }
    tracing::info!("Ctrl-C ends the server");
    if options.open {
        open_in_browser(&link);
    }
    let router = router_with(explorer.clone(), ranking.clone(), guard);
    tokio::task::spawn_blocking(move || ranking.fill(&explorer));
    let interrupted = async || {
        while patience.interrupted().is_none() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.context("the server"),
        () = interrupted() => Ok(()),
    }
}

/// Asks the system to show the page. If it has no browser, the link is printed anyway.
fn open_in_browser(link: &str) {
    let (program, first): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let mut command = std::process::Command::new(program);
    command.args(first).arg(link);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    if let Err(e) = command.spawn() {
        tracing::warn!("no browser was opened ({program}: {e}); open the link yourself");
    }
}
