//! The energy that the machine's processors take, where the system tells it: the counters of RAPL
//! (Running Average Power Limit) in Linux, which often only the administrator may read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where Linux shows the counters.
const FOLDER: &str = "/sys/class/powercap";
/// How often they are read: a counter begins again at 0, on large processors after some minutes.
const EVERY: Duration = Duration::from_secs(20);

/// A measurement that is under way.
pub(crate) struct Meter {
    stop: Sender<()>,
    thread: JoinHandle<Option<u64>>,
}

impl Meter {
    /// Begins to measure; `None` where the system does not tell.
    pub fn start() -> Option<Self> {
        let mut counters = Counters::open(Path::new(FOLDER))?;
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("energy".into()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                counters.read()?;
            }
            counters.read()
        });
        Some(Self { stop, thread: thread.ok()? })
    }

    /// Joules since the beginning, of all that the processors did.
    pub fn joules(self) -> Option<f64> {
        // The thread has ended already if a counter could no longer be read.
        let _ = self.stop.send(());
        Some(self.thread.join().ok()?? as f64 / 1e6)
    }
}

/// The counters of all processors of the machine.
struct Counters {
    zones: Vec<Zone>,
    /// Microjoules since they were opened.
    sum: u64,
}

struct Zone {
    folder: PathBuf,
    last: u64,
    /// The greatest value of the counter.
    range: u64,
}

impl Counters {
    /// `None` if there are none, or one cannot be read.
    fn open(folder: &Path) -> Option<Self> {
        let mut zones = vec![];
        for entry in std::fs::read_dir(folder).ok()? {
            let folder = entry.ok()?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // intel-rapl:0 is a processor, on AMD's too; intel-rapl:0:1 is a part of it.
            let number = name.strip_prefix("intel-rapl:");
            if number.is_some_and(|number| number.parse::<u32>().is_ok()) {
                let last = number_in(&folder, "energy_uj")?;
                let range = number_in(&folder, "max_energy_range_uj")?;
                zones.push(Zone { folder, last, range });
            }
        }
        (!zones.is_empty()).then_some(Self { zones, sum: 0 })
    }

    /// Microjoules since they were opened.
    fn read(&mut self) -> Option<u64> {
        for zone in &mut self.zones {
            let now = number_in(&zone.folder, "energy_uj")?;
            self.sum += match now.checked_sub(zone.last) {
                Some(more) => more,
                // It began again at 0.
                None => (zone.range + now).saturating_sub(zone.last),
            };
            zone.last = now;
        }
        Some(self.sum)
    }
}

fn number_in(folder: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, zone: &str, microjoules: u64) -> std::io::Result<()> {
        let zone = folder.join(zone);
        std::fs::create_dir_all(&zone)?;
        std::fs::write(zone.join("energy_uj"), format!("{microjoules}\n"))?;
        std::fs::write(zone.join("max_energy_range_uj"), "1000\n")
    }

    #[test]
    fn counters_of_all_processors_are_added_over_their_ends() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        assert!(Counters::open(folder).is_none() && Counters::open(&folder.join("no")).is_none());
        write(folder, "intel-rapl:0", 100)?;
        write(folder, "intel-rapl:1", 900)?;
        // A part of the first, and a controller.
        write(folder, "intel-rapl:0:0", 50)?;
        std::fs::create_dir(folder.join("intel-rapl"))?;
        let mut counters = Counters::open(folder).expect("counters");
        assert_eq!(counters.read(), Some(0));
        write(folder, "intel-rapl:0", 160)?;
        write(folder, "intel-rapl:0:0", 80)?;
        write(folder, "intel-rapl:1", 30)?;
        assert_eq!(counters.read(), Some(60 + 130));
        write(folder, "intel-rapl:1", 31)?;
        assert_eq!(counters.read(), Some(191));
        std::fs::remove_file(folder.join("intel-rapl:1/energy_uj"))?;
        assert_eq!(counters.read(), None);
        Ok(())
    }
}
