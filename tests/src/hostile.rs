//! Files as strangers, bad disks and broken downloads leave them: damage that is drawn at random,
//! and a look at the memory that reading them takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Counts what is allocated; to be the `#[global_allocator]` of a test.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ALONE: Mutex<()> = Mutex::new(());

/// To be held by each test of a program from its start to its end: what one allocates is not
/// counted as another's.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn grown(by: usize) {
    PEAK.fetch_max(LIVE.fetch_add(by, Relaxed) + by, Relaxed);
}

// SAFETY: every call is the system's allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while one is copied to the other.
        grown(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes that `work` held at once, at most, in all threads.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// One damage; places are shares of the file's length.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(Index),
    Cut(Index, usize),
    Copy(Index, usize, Index),
    Overwrite(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    /// A text between blanks, commas, quotation marks or ends of lines becomes another.
    Word(Index, &'static [u8]),
    /// A line is left out, or is there twice.
    Line(Index, bool),
}

/// Words that parsers stumble over.
const WORDS: [&[u8]; 26] = [
    b"",
    b"0",
    b"-1",
    b"1",
    b"2",
    b"40",
    b"99999999999999999999999",
    b"-9223372036854775809",
    b"1000000000000",
    b"4294967296",
    b"2147483648",
    b"1e999",
    b"NaN",
    b"null",
    b"[",
    b"{}",
    b"\"",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"../../x.jpg",
    b"/etc/passwd",
    b"a\\b.jpg",
    b"\0",
    b"\r",
    b",,,,",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let number = (
        select(vec![
            0u64,
            1,
            0x7F,
            0xFF,
            0x7FFF,
            0xFFFF,
            0x7FFF_FFFF,
            0xFFFF_FFFF,
            1 << 40,
            i64::MAX as u64,
            u64::MAX,
        ]),
        1usize..9,
        any::<bool>(),
    );
    prop_oneof![
        vec(any::<u8>(), 1..3),
        number.prop_map(|(n, width, little)| if little {
            n.to_le_bytes()[..width].to_vec()
        } else {
            n.to_be_bytes()[8 - width..].to_vec()
        }),
        select(&WORDS[..]).prop_map(<[u8]>::to_vec),
    ]
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        1 => at().prop_map(Damage::Truncate),
        1 => (at(), 1usize..64).prop_map(|(at, n)| Damage::Cut(at, n)),
        1 => (at(), 1usize..200, at()).prop_map(|(from, n, to)| Damage::Copy(from, n, to)),
        4 => (at(), bytes()).prop_map(|(at, b)| Damage::Overwrite(at, b)),
        1 => (at(), bytes()).prop_map(|(at, b)| Damage::Insert(at, b)),
        3 => (at(), select(&WORDS[..])).prop_map(|(at, w)| Damage::Word(at, w)),
        1 => (at(), any::<bool>()).prop_map(|(at, twice)| Damage::Line(at, twice)),
    ]
}

/// What lies around a place between two of these bytes.
fn around(file: &[u8], at: usize, ends: &[u8]) -> std::ops::Range<usize> {
    let start = file[..at].iter().rposition(|b| ends.contains(b)).map_or(0, |end| end + 1);
    start..file[at..].iter().position(|b| ends.contains(b)).map_or(file.len(), |end| at + end)
}

impl Damage {
    fn apply(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        let (place, length) = (|at: &Index| at.index(file.len()), file.len());
        match self {
            Self::Truncate(at) => file.truncate(place(at)),
            Self::Cut(at, n) => drop(file.drain(place(at)..(place(at) + n).min(length))),
            Self::Copy(from, n, to) => {
                let (part, to) =
                    (file[place(from)..(place(from) + n).min(length)].to_vec(), place(to));
                drop(file.splice(to..to, part));
            }
            Self::Overwrite(at, bytes) => {
                let at = place(at);
                let n = bytes.len().min(length - at);
                file[at..at + n].copy_from_slice(&bytes[..n]);
            }
            Self::Insert(at, bytes) => {
                let at = place(at);
                drop(file.splice(at..at, bytes.iter().copied()));
            }
            Self::Word(at, word) => {
                let word_at = around(file, place(at), b" ,\n\r\t\":");
                drop(file.splice(word_at, word.iter().copied()));
            }
            Self::Line(at, twice) => {
                let line = around(file, place(at), b"\n");
                let line = line.start..(line.end + 1).min(length);
                let copy = if *twice { file[line.clone()].repeat(2) } else { vec![] };
                drop(file.splice(line, copy));
            }
        }
    }
}

/// Gives `read` damaged copies of `seeds`, as many as the environment's `PROPTEST_CASES` says
/// (default `few`), and prints what became of them.
///
/// `read` returns what a person is told, if the file is refused.
///
/// # Errors
/// With the smallest damage by which `read` panics, takes more than `most` bytes of memory, or
/// tells something that cannot be shown.
pub fn survives(
    what: &str,
    seeds: &[Vec<u8>],
    few: u32,
    most: usize,
    read: impl Fn(&[u8]) -> Option<String>,
) -> Result<(), String> {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(few);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (start, refused, highest) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let inputs = (select(seeds.to_vec()), vec(damage(), 1..5));
    let outcome = runner.run(&inputs, |(mut file, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut file));
        let (told, peak) = peak_of(|| read(&file));
        highest.fetch_max(peak, Relaxed);
        if peak > most {
            return Err(TestCaseError::fail(format!(
                "{peak} bytes of memory for a file of {}",
                file.len()
            )));
        }
        let Some(told) = told else { return Ok(()) };
        refused.fetch_add(1, Relaxed);
        match told.chars().count() > 2000
            || told.chars().any(char::is_control)
            || told.contains("panicked")
        {
            true => Err(TestCaseError::fail(format!("it is told as {told:?}"))),
            false => Ok(()),
        }
    });
    let (refused, highest) = (refused.into_inner(), highest.into_inner() as f64 / 1e6);
    eprintln!(
        "{what}: {cases} inputs in {:.1} s, {refused} refused, at most {highest:.2} MB",
        start.elapsed().as_secs_f64()
    );
    outcome.map_err(|e| format!("{what}: {e}"))
}
