//! The process's memory: how much it needed, how much there is, and that it is used again.

use std::path::{Path, PathBuf};

/// The peak since [`reset_peak_memory`] in bytes, where the system tells it (Linux).
pub fn peak_memory() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// What a process can still have, and what sets the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Available {
    /// Bytes.
    pub bytes: u64,
    pub bound: Bound,
}

/// What bounds a process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// What the machine has free.
    Machine,
    /// The limit of its group of processes (a container, a job, a service).
    Group,
    /// Its own limit (`ulimit -v` or `ulimit -d`).
    Process,
}

impl Bound {
    /// What happens to a process that wants more.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Machine => "the system may end it",
            Self::Group => "its group's limit (a container's, a job's) may end it",
            Self::Process => "the limit of this process (ulimit) will end it",
        }
    }
}

/// What a process can still have, where the system tells it (Linux): the least of what the machine
/// has free, what each group of processes that it is in is allowed, and its own limits.
pub(crate) fn available_memory() -> Option<Available> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let machine = Available { bytes: kilobytes(&info, "MemAvailable:")?, bound: Bound::Machine };
    let groups = group_folders(
        &std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
        &std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
    );
    let groups = groups.iter().filter_map(|folder| left_in_group(folder));
    let groups = groups.map(|bytes| Available { bytes, bound: Bound::Group });
    let own = left_to_process().map(|bytes| Available { bytes, bound: Bound::Process });
    std::iter::once(machine).chain(groups).chain(own).min_by_key(|available| available.bytes)
}

/// A line such as `VmSize:   1234 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// What `ulimit -v` and `ulimit -d` leave.
fn left_to_process() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit};
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let left = |resource, used| {
            Some(getrlimit(resource).current?.saturating_sub(kilobytes(&status, used)?))
        };
        [left(Resource::As, "VmSize:"), left(Resource::Data, "VmData:")].into_iter().flatten().min()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The folders of the groups of processes that this one is in, from its own up to the outermost
/// that can be seen: of control groups version 2, and of version 1's memory controller. `groups` is
/// /proc/self/cgroup, `mounts` /proc/self/mountinfo.
fn group_folders(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut folders = vec![];
    for group in groups.lines() {
        // Number, controllers, path; version 2 has no controllers.
        let mut parts = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let is_second = controllers.is_empty();
        if !is_second && controllers.split(',').all(|controller| controller != "memory") {
            continue;
        }
        let Some((root, mount)) = mounts.lines().find_map(|line| mount_of(line, is_second)) else {
            continue;
        };
        // A container sees a part of the tree only.
        let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
        let own = if below.as_os_str().is_empty() { mount.clone() } else { mount.join(below) };
        folders
            .extend(own.ancestors().take_while(|f| f.starts_with(&mount)).map(Path::to_path_buf));
    }
    folders
}

/// The root and the place of a mount of control groups: version 2, or version 1's memory.
fn mount_of(line: &str, is_second: bool) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.next_back()?);
    let fits = match is_second {
        true => kind == "cgroup2",
        false => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
    };
    // Spaces are written in octal.
    let path = |at: usize| Some(PathBuf::from(before.get(at)?.replace("\\040", " ")));
    if fits { path(3).zip(path(4)) } else { None }
}

/// What the limits of a group leave. Pages of files that nobody uses count as free.
fn left_in_group(folder: &Path) -> Option<u64> {
    let text = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| text(file)?.trim().parse::<u64>().ok();
    let stat = text("memory.stat").unwrap_or_default();
    let unused = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let second = [number("memory.max"), number("memory.high")].into_iter().flatten().min();
    let (limit, used, files) = match second {
        Some(limit) => (limit, number("memory.current")?, unused("inactive_file")),
        None => (
            number("memory.limit_in_bytes")?,
            number("memory.usage_in_bytes")?,
            unused("total_inactive_file"),
        ),
    };
    Some(limit.saturating_sub(used.saturating_sub(files)))
}

/// Begins a new peak, where the system can (Linux).
pub fn reset_peak_memory() {
    // Linux only; elsewhere the peak is not told at all.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Tells glibc's allocator to keep large blocks that are freed: every training step needs the same
/// ones again, and getting them from the system anew costs a page fault for every 4 KiB.
///
/// Under a limit of the address space it would be kept from others.
pub(crate) fn keep_freed_memory() {
    if left_to_process().is_some() {
        return;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(groups: &str, mounts: &str) -> Vec<String> {
        let found = group_folders(groups, mounts);
        found.iter().map(|folder| folder.display().to_string()).collect()
    }

    #[test]
    fn groups_are_found_up_to_the_outermost() {
        let second = "34 29 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            paths("0::/system.slice/slurm/job_7\n", second),
            [
                "/sys/fs/cgroup/system.slice/slurm/job_7",
                "/sys/fs/cgroup/system.slice/slurm",
                "/sys/fs/cgroup/system.slice",
                "/sys/fs/cgroup"
            ]
        );
        // A container whose own group is the root of what it sees.
        let container = "34 29 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(paths("0::/docker/abc\n", container), ["/sys/fs/cgroup"]);
        assert_eq!(paths("0::/\n", second), ["/sys/fs/cgroup"]);
        let first = "35 29 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                     36 29 0:32 / /sys/fs/a\\040b/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            paths("5:cpu,cpuacct:/x\n4:memory:/user/1\n", first),
            ["/sys/fs/a b/memory/user/1", "/sys/fs/a b/memory/user", "/sys/fs/a b/memory"]
        );
        assert!(paths("nonsense", "nonsense").is_empty());
    }

    #[test]
    fn a_groups_limit_leaves_what_is_not_used() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        assert_eq!(left_in_group(folder.path()), None);
        write("memory.limit_in_bytes", "1000\n")?;
        write("memory.usage_in_bytes", "700\n")?;
        write("memory.stat", "inactive_file 50\ntotal_inactive_file 100\n")?;
        assert_eq!(left_in_group(folder.path()), Some(400));
        write("memory.max", "max\n")?;
        write("memory.high", "2000\n")?;
        write("memory.current", "2100\n")?;
        assert_eq!(left_in_group(folder.path()), Some(0));
        write("memory.max", "3000\n")?;
        write("memory.high", "max\n")?;
        assert_eq!(left_in_group(folder.path()), Some(950));
        Ok(())
    }
}
