//! The process's memory: how much it needed, how much there is, and that it is used again.

use std::path::Path;

/// The peak since [`reset_peak_memory`] in bytes, where the system tells it (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// What a process can still have in bytes, where the system tells it (Linux): of the machine, and
/// of the limit that its group of processes has.
pub(crate) fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let machine = line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024;
    let number = |file: &str| {
        std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(file))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(most, now)| most.saturating_sub(now));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Begins a new peak, where the system can (Linux).
pub fn reset_peak_memory() {
    // Linux only; elsewhere the peak is not told at all.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Tells glibc's allocator to keep large blocks that are freed: every training step needs the same
/// ones again, and getting them from the system anew costs a page fault for every 4 KiB.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
