//! The process's memory: how much it needed, and that it is used again.

/// The peak since [`reset_peak_memory`] in bytes, where the system tells it (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

pub fn reset_peak_memory() {
    // Linux only; elsewhere the peak is not told at all.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Tells glibc's allocator to keep large blocks that are freed: every training step needs the same ones again, and getting them from the system anew costs a page
/// fault for every 4 KiB.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
