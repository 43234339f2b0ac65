//! What tests of served pages share: a run of some seconds, and a server that is asked through its
//! router.

// No test uses all of it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::OnceLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Where servers say they are.
pub const HOST: &str = "127.0.0.1:4321";

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: foresee::cli::Command,
}

/// Runs a command of the program.
pub fn foresee(arguments: &[&str]) -> AnyResult {
    let cli = Cli::try_parse_from(["foresee"].iter().chain(arguments))?;
    Ok(foresee::cli::run(cli.command)?)
}

/// A run of some seconds, the same for all tests of a file.
pub fn run_folder() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().join("run").display().to_string();
        let without = ["predict.images=0", "attribute.images=0", "figures.formats=[\"svg\"]"];
        let mut reproduce = vec!["reproduce", "--profile", "smoke", "--out", &run];
        reproduce.extend(without.iter().flat_map(|setting| ["--set", setting]));
        foresee(&reproduce).expect("a run");
        folder
    });
    Box::leak(folder.path().join("run").into_boxed_path())
}

/// A router and a runtime that it answers on.
pub struct Server {
    pub router: Router,
    pub runtime: tokio::runtime::Runtime,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> AnyResult<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    pub fn new(router: Router) -> AnyResult<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Ok(Self { router, runtime: builder.worker_threads(2).enable_time().build()? })
    }

    pub fn send(&self, request: Request<Body>) -> AnyResult<Answer> {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await?;
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, usize::MAX).await?.to_vec();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        })
    }

    pub fn get(&self, address: &str) -> AnyResult<Answer> {
        self.get_as("", address)
    }

    /// Asks with a cookie.
    pub fn get_as(&self, cookie: &str, address: &str) -> AnyResult<Answer> {
        let request = Request::get(address).header("host", HOST).header("cookie", cookie);
        self.send(request.body(Body::empty())?)
    }

    pub fn post(&self, address: &str, body: impl Into<Body>) -> AnyResult<Answer> {
        self.post_as("", address, body)
    }

    /// Sends with a cookie.
    pub fn post_as(&self, cookie: &str, address: &str, body: impl Into<Body>) -> AnyResult<Answer> {
        let request = Request::post(address).header("host", HOST).header("cookie", cookie);
        self.send(request.body(body.into())?)
    }
}
