//! `explore`: a web page on which one plays with a run's trained network.

use std::net::IpAddr;

use clap::Args;

use super::arguments::{RunArgs, trained_run};
use crate::device;
use crate::error::Result;
use crate::explore::{Explorer, ServeOptions, serve};

#[derive(Args)]
pub struct ExploreArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Listen at this port. Default: any that is free.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Listen at this address of the machine. If it can be reached from other machines, such as
    /// 0.0.0.0, the link has a random token, and who lacks it is refused.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// Also open the link in the browser.
    #[arg(long)]
    open: bool,
}

pub(super) fn explore(args: &ExploreArgs) -> Result<()> {
    let run = trained_run(&args.run.run)?;
    let device = device::of_run(args.run.device.as_deref(), &run)?;
    let options = ServeOptions { address: args.address, port: args.port, open: args.open };
    serve(Explorer::open(run, device)?, &options)
}
