#![doc = include_str!("../README.md")]

mod bytes;
mod communicator;
mod counted;
mod error;
#[cfg(feature = "mpi")]
mod mpi;
mod plan;
mod shares;
mod sum;
mod threads;
mod tree;

pub use bytes::{pack, unpack};
pub use communicator::{Alone, Communicator, gather_any, gather_at_first};
pub use counted::Counted;
pub use error::{Error, Result};
pub use shares::Shares;
pub use threads::on_threads;

#[cfg(feature = "mpi")]
pub use crate::mpi::World;
