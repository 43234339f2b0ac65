//! The process that works in a folder, as a claim describes it.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::ranks::host;

/// A process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Holder {
    host: String,
    process: u32,
    /// Where its number means this process: a host since it was started, and in it a container.
    space: String,
    /// When it was started, which tells it from a later process of the same number.
    started: Option<u64>,
    /// Two claims of a process are two.
    random: u64,
}

impl Holder {
    pub fn this_process() -> Self {
        let process = std::process::id();
        Self {
            host: host(),
            process,
            space: space(),
            started: stat(process).map(|(_, started)| started),
            random: rand::rng().random(),
        }
    }

    /// In words.
    pub fn title(&self) -> String {
        format!("process {} on {}", self.process, self.host)
    }

    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn from_text(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Whether it lives. `own` is this process; of other hosts nothing is known.
    pub fn lives(&self, own: &Self) -> Option<bool> {
        if self.space != own.space {
            return None;
        }
        let exists = exists(self.process)?;
        let is_another = || match (stat(self.process), self.started) {
            (Some((is_dead, started)), Some(then)) => is_dead || started != then,
            _ => false,
        };
        Some(exists && !is_another())
    }
}

/// On Linux the start of the system and the namespace of processes; elsewhere the host.
fn space() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = std::fs::read_link("/proc/self/ns/pid");
    match (boot, namespace) {
        (Ok(boot), Ok(namespace)) => format!("{} {}", boot.trim(), namespace.display()),
        _ => host(),
    }
}

/// Whether a process has ended but was not waited for, and when it was started, where Linux says.
fn stat(process: u32) -> Option<(bool, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program before may have spaces and parentheses.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let is_dead = ["Z", "X"].contains(fields.first()?);
    Some((is_dead, fields.get(19)?.parse().ok()?))
}

/// Whether a process is there, where the system can be asked.
#[cfg(unix)]
fn exists(process: u32) -> Option<bool> {
    let process = rustix::process::Pid::from_raw(process.try_into().ok()?)?;
    match rustix::process::test_kill_process(process) {
        Err(rustix::io::Errno::SRCH) => Some(false),
        _ => Some(true),
    }
}

#[cfg(not(unix))]
fn exists(_: u32) -> Option<bool> {
    None
}

#[cfg(test)]
impl Holder {
    /// A process of another host.
    pub fn of_test(host: &str, process: u32, random: u64) -> Self {
        Self { host: host.into(), process, space: host.into(), started: None, random }
    }

    pub fn with_process(&self, process: u32) -> Self {
        let started = stat(process).map(|(_, started)| started);
        Self { process, started, ..self.clone() }
    }

    pub fn started_before(self) -> Self {
        Self { started: self.started.map(|started| started - 1), ..self }
    }
}
