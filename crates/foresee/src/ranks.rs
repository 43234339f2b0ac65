//! The processes that work together on one command, started by `mpirun`. The first, rank 0, does
//! the command; the others follow what it tells them.

#[cfg(any(feature = "mpi", test))]
mod machine;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use candle_core::Device;
use foresee_ranks::{Alone, Communicator, gather_any};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
#[cfg(not(feature = "mpi"))]
use crate::error::input;
use crate::exit_status;

thread_local! {
    /// Only the thread that started MPI may use it: for any other thread the process is alone.
    static WORLD: RefCell<Rc<World>> = RefCell::new(Rc::new(World::new(Alone)));
}

/// All processes of a command.
pub(crate) struct World {
    ranks: Box<dyn Communicator>,
    /// The number of this process among those on its machine.
    number_on_host: usize,
    /// How long this process has been in calls of the others.
    waited: Cell<Duration>,
}

impl World {
    fn new(ranks: impl Communicator + 'static) -> Self {
        Self { ranks: Box::new(ranks), number_on_host: 0, waited: Cell::default() }
    }

    /// How long this process has waited for the others, and for the network, in all.
    pub fn waited(&self) -> Duration {
        self.waited.get()
    }

    fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        self.waited.set(self.waited.get() + start.elapsed());
        result
    }
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn all_gather(&self, sent: &[u8], lengths: &[usize]) -> foresee_ranks::Result<Vec<Vec<u8>>> {
        self.timed(|| self.ranks.all_gather(sent, lengths))
    }

    fn exchange(&self, to: &[Vec<u8>], lengths: &[usize]) -> foresee_ranks::Result<Vec<Vec<u8>>> {
        self.timed(|| self.ranks.exchange(to, lengths))
    }
}

/// All processes of this command.
pub(crate) fn world() -> Rc<World> {
    WORLD.with(|world| world.borrow().clone())
}

/// The processes that share work on a device: all, or this one alone on Metal, where each machine
/// has one GPU.
pub(crate) fn of(device: &Device) -> Rc<World> {
    if device.is_metal() { alone() } else { world() }
}

/// This process, for work that it does not share.
pub(crate) fn alone() -> Rc<World> {
    Rc::new(World::new(Alone))
}

/// The number of this process, from 0.
pub(crate) fn number() -> usize {
    world().rank()
}

/// The number of this process among those on its machine, from 0.
pub(crate) fn number_on_host() -> usize {
    world().number_on_host
}

/// How many processes there are.
pub(crate) fn count() -> usize {
    world().size()
}

/// Whether this process has others beside it.
pub(crate) fn is_several() -> bool {
    count() > 1
}

/// Ends the connection of this process to the others when it is dropped; but not in a panic, after
/// which MPI ends the other processes.
pub(crate) struct Connected(());

impl Drop for Connected {
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => keep_connected(),
            false => {
                WORLD.with(|world| world.replace(Rc::new(World::new(Alone))));
            }
        }
    }
}

/// Lets this process end without a goodbye, after which MPI ends the others. A goodbye at the end
/// of the thread would wait for them, and they for this process.
fn keep_connected() {
    std::mem::forget(world());
}

/// What an `mpirun` or `srun` tells a process that it starts: how many there are.
const STARTED_BY_MPI: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"];

/// Connects this process to the others that `mpirun` started, if it did.
///
/// # Errors
/// If there are others, and this program was built without MPI: each would do the whole command. If
/// the others compute other bits.
pub(crate) fn connect() -> Result<Option<Connected>> {
    let of = |name: &str| std::env::var(name).ok();
    if STARTED_BY_MPI.into_iter().all(|name| of(name).is_none()) {
        return Ok(None);
    }
    start_mpi(STARTED_BY_MPI[..2].iter().find_map(|name| of(name)?.parse().ok()))
}

#[cfg(feature = "mpi")]
fn start_mpi(_processes: Option<usize>) -> Result<Option<Connected>> {
    let mut started = World::new(foresee_ranks::World::start()?);
    let machines = machine::gather(&started);
    started.number_on_host = machines.as_ref().map_or(0, |all| all.number_on_host(started.rank()));
    WORLD.with(|world| world.replace(Rc::new(started)));
    let connected = Connected(());
    machines?.check()?;
    Ok(Some(connected))
}

#[cfg(not(feature = "mpi"))]
fn start_mpi(processes: Option<usize>) -> Result<Option<Connected>> {
    match processes {
        Some(processes) if processes > 1 => Err(input(format!(
            "MPI started {processes} processes of this program, but it was built without MPI: \
             build it with `--features mpi`, or start it once"
        ))),
        _ => Ok(None),
    }
}

/// Tells all other ranks something. They wait for it in [`hear`].
pub(crate) fn tell(message: &impl Serialize) -> Result<()> {
    match is_several() {
        true => send_bytes(&serde_json::to_vec(message)?),
        false => Ok(()),
    }
}

/// Sends bytes to all other ranks, behind a message that announces them.
pub(crate) fn send_bytes(bytes: &[u8]) -> Result<()> {
    gather_any(&*world(), bytes)?;
    Ok(())
}

/// What rank 0 tells.
pub(crate) fn hear<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_slice(&receive_bytes()?).context("rank 0 is of another version")
}

/// What rank 0 sends.
pub(crate) fn receive_bytes() -> Result<Vec<u8>> {
    Ok(gather_any(&*world(), &[])?.swap_remove(0))
}

/// How long a rank that has failed waits for the others, which may have much work left.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until all ranks have come to this point. If one of them has failed, all learn of it; if
/// they do not come in time to learn of it, that rank tells what happened and ends, and MPI ends
/// the others.
///
/// # Errors
/// One's own error, or else the first of another rank's, with its number and host.
pub(crate) fn agree<T>(own: Result<T>) -> Result<T> {
    let ranks = world();
    if ranks.size() == 1 {
        return own;
    }
    let said = own.as_ref().err().map(|e| format!("{}: {e:#}", host()));
    let _alarm = own.as_ref().err().map(set_alarm);
    let all = gather_any(&*ranks, said.unwrap_or_default().as_bytes())?;
    let own = own?;
    match all.iter().enumerate().find(|(_, said)| !said.is_empty()) {
        None => Ok(own),
        Some((rank, said)) => Err(anyhow!("rank {rank} on {}", String::from_utf8_lossy(said))),
    }
}

/// Tells an error and ends this process at once, in the middle of what ranks do together: MPI then
/// ends the others.
pub(crate) fn end(error: &anyhow::Error) -> ! {
    tracing::error!("rank {} on {}: {error:#}", number(), host());
    keep_connected();
    std::process::exit(exit_status::of(error).into())
}

/// Ends this process with an error, unless what is returned is dropped in time.
fn set_alarm(error: &anyhow::Error) -> Sender<()> {
    let (alarm, dropped) = mpsc::channel();
    let said = format!("rank {} on {}: {error:#}", number(), host());
    let status = exit_status::of(error);
    std::thread::spawn(move || {
        if dropped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("{said}");
            std::process::exit(status.into());
        }
    });
    alarm
}

/// The name of this machine.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if !name.is_empty() {
            return name;
        }
    }
    "an unnamed host".into()
}
