//! Listens until Ctrl-C.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use clap::Args;
use foresee_files::write_atomic;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::guard::Guard;
use super::origin::Origin;
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
#[derive(Args)]
pub(crate) struct ServeOptions {
    /// Listen at this port. Default: any that is free.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Listen at this address of the machine. If it can be reached from other machines, such as
    /// 0.0.0.0, the link has a random token, and who lacks it is refused.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// The address by which people reach this server through a proxy of yours, such as
    /// https://study.example.org. The link then begins with it and has a random token.
    #[arg(long, value_name = "URL")]
    public_url: Option<Origin>,
    /// Also open the link in the browser.
    #[arg(long)]
    open: bool,
}

/// Where a page was served before, and with which token: a page that people come back to is found
/// again at the same link.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    port: u16,
    token: Option<String>,
}

impl Remembered {
    fn read(file: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(input(format!("{}: {e}", file.display()))),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|e| input(format!("{}: {e}; remove it", file.display())))
    }

    fn write(&self, file: &Path) -> Result<()> {
        Ok(write_atomic(file, serde_json::to_string_pretty(self)?.as_bytes())?)
    }
}

/// Serves until Ctrl-C what `router` makes, once the link is known. It may start threads with
/// `spawn_blocking`; those that take long have to end by themselves once this returns.
/// `remember` is a file that keeps the port and the token for the next time.
pub(crate) fn serve(
    options: &ServeOptions,
    remember: Option<&Path>,
    router: impl FnOnce(Guard) -> Result<Router>,
) -> Result<()> {
    let patience = Patience::begin();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .context("the server")?;
    let served = runtime.block_on(listen(options, remember, router, &patience));
    runtime.shutdown_timeout(LEAVE);
    served
}

async fn listen(
    options: &ServeOptions,
    remember: Option<&Path>,
    router: impl FnOnce(Guard) -> Result<Router>,
    patience: &Patience,
) -> Result<()> {
    let before = remember.map(Remembered::read).transpose()?.flatten();
    let port = match (&before, options.port) {
        (Some(before), 0) => before.port,
        (_, port) => port,
    };
    let asked = SocketAddr::new(options.address, port);
    let listener = TcpListener::bind(asked).await.map_err(|e| {
        input(format!("{asked} cannot be listened at ({e}); give another --port or --address"))
    })?;
    let token = before.and_then(|before| before.token);
    let guard = Guard::with(listener.local_addr()?, options.public_url.clone(), token.clone())?;
    if let Some(file) = remember {
        // A token is kept for when the address can be reached again.
        let token = guard.token().map(str::to_owned).or(token);
        Remembered { port: guard.port(), token }.write(file)?;
    }
    let link = guard.link();
    print(&format!("{link}\n"))?;
    if let Some(advice) = guard.advice() {
        tracing::info!("{advice}");
    }
    if options.public_url.is_some() {
        tracing::info!("the proxy has to hand requests on to {}", listener.local_addr()?);
    }
    tracing::info!("Ctrl-C ends the server");
    if options.open {
        open_in_browser(&link);
    }
    let router = router(guard)?;
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
