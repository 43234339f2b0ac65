//! Ctrl-C, SIGTERM, and SIGHUP (its terminal is closed). In work that keeps nothing on its way they
//! end the program at once; training first finishes its step and saves, unless it is asked again.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Interrupted;
use crate::exit_status;

struct State {
    /// Whether a signal ends the program then and there.
    at_once: Arc<AtomicBool>,
    /// The signal that came, or 0.
    signal: Arc<AtomicUsize>,
}

static STATE: LazyLock<State> = LazyLock::new(|| State {
    at_once: Arc::new(AtomicBool::new(true)),
    signal: Arc::new(AtomicUsize::new(0)),
});

/// From here on the signals are handled as this module says.
pub fn install() -> std::io::Result<()> {
    let mut signals = vec![SIGINT, SIGTERM];
    // `nohup` ignores it.
    #[cfg(unix)]
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    // A limit of file sizes is an error of the write then, which is told.
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    for signal in signals {
        // In this order: what the first signal sets is looked at by the second.
        flag::register_conditional_shutdown(
            signal,
            exit_status::of_signal(signal as usize).into(),
            STATE.at_once.clone(),
        )?;
        flag::register(signal, STATE.at_once.clone())?;
        flag::register_usize(signal, STATE.signal.clone(), signal as usize)?;
    }
    Ok(())
}

/// Whether the process was started with a signal ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, sigaction only writes the present one where it is told to; all
    // zeros are a valid one if it fails.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// While it lives the first signal only asks.
pub struct Patience(());

impl Patience {
    pub fn begin() -> Self {
        STATE.at_once.store(false, Ordering::SeqCst);
        Self(())
    }

    /// The interruption that was asked for, if any.
    pub fn interrupted(&self) -> Option<Interrupted> {
        match STATE.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(Interrupted { signal }),
        }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        STATE.at_once.store(true, Ordering::SeqCst);
    }
}
