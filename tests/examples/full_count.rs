//! A rehearsal of CelebA's full count, in each of its forms: time to open and check, one streamed
//! epoch, peak memory.
//!
//!     cargo run --release -p foresee-tests --example full_count -- FOLDER [PYTHON]
//!
//! Writes a stand-in of 202,599 names and attribute rows to FOLDER (about 8 GB; it is kept, and
//! used again): its images are hard links to 2,000 drawn faces. With PYTHON (with Pillow and NumPy)
//! the same decoding is timed there on one core.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use foresee_celeba::{
    ATTRIBUTES, BatchOptions, CelebA, Epoch, Labels, Split, SplitRule, check, synthetic,
};
use foresee_tests::forms::{self, AnyError};

const FACES: usize = 202_599;
const POOL: usize = 2_000;
/// Pixels a side of the images of the timed epoch, as in the paper.
const SIZE: usize = 64;

fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().ok_or("name a folder for the stand-in")?);
    let plain = stand_in(folder)?;
    println!(
        "{:<20} {:>8} {:>8} {:>22} {:>10} {:>10} {:>9}",
        "form", "open s", "check s", "train/val/test", "epoch s", "images/s", "peak GB"
    );
    for (form, path) in [
        ("as distributed", "plain"),
        ("torchvision", "torchvision"),
        ("zip", "zip"),
        ("kaggle", "kaggle"),
        ("parquet, booleans", "flwrlabs"),
        ("parquet, numbers", "tpremoli"),
    ] {
        measure(form, &folder.join(path))?;
    }
    if let Some(python) = arguments.get(1) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/python/peer.py");
        let images = plain.root().parent().ok_or("no parent")?.join("pool/img_align_celeba");
        let status = Command::new(python)
            .args([
                script,
                "--what",
                "loader",
                "--size",
                &SIZE.to_string(),
                "--threads",
                "1",
                "--faces",
            ])
            .arg(images)
            .status()?;
        println!("(above: Pillow and NumPy, one core; {status})");
    }
    Ok(())
}

/// The stand-in in all forms, written if it is not there.
fn stand_in(folder: &Path) -> Result<CelebA, AnyError> {
    let (pool, plain, done) = (folder.join("pool"), folder.join("plain"), folder.join("DONE"));
    if !done.exists() {
        synthetic::write(&pool, POOL, 0, |_| ())?;
        let drawn = CelebA::open(&pool, SplitRule::Official)?;
        std::fs::create_dir_all(plain.join("img_align_celeba"))?;
        let name = |face: usize| format!("{:06}.jpg", face + 1);
        let values = |labels: Labels| {
            labels.iter().map(|present| if present { "  1" } else { " -1" }).collect::<String>()
        };
        let mut rows = String::new();
        for face in 0..FACES {
            std::fs::hard_link(
                drawn.image_path(face % POOL),
                plain.join("img_align_celeba").join(name(face)),
            )?;
            rows.push_str(&format!("{}{}\n", name(face), values(drawn.labels(face % POOL))));
        }
        std::fs::write(
            plain.join("list_attr_celeba.txt"),
            format!("{FACES}\n{} \n{rows}", ATTRIBUTES.join(" ")),
        )?;
        let part = |face: usize| usize::from(face >= 162_770) + usize::from(face >= 182_637);
        std::fs::write(
            plain.join("list_eval_partition.txt"),
            (0..FACES).map(|face| format!("{} {}\n", name(face), part(face))).collect::<String>(),
        )?;
        forms::all(&CelebA::open(&plain, SplitRule::Official)?, folder, 100, 10_663)?;
        std::fs::write(done, "")?;
    }
    Ok(CelebA::open(&plain, SplitRule::Official)?)
}

fn measure(form: &str, path: &Path) -> Result<(), AnyError> {
    // On Linux the peak is counted from here on.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let start = Instant::now();
    let data = CelebA::open(path, SplitRule::Official)?;
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let findings = check(path, false, |_, _| ());
    let checked = start.elapsed().as_secs_f64();
    let counts = forms::counts(&data);
    assert_eq!((counts, data.len()), ([162_770, 19_867, 19_962], FACES));
    assert_eq!(CelebA::open(path, SplitRule::Paper)?.split(Split::Train)?.len(), 182_637);
    assert!(
        findings.iter().any(|f| f.item == "splits" && f.status == foresee_celeba::Status::Right)
    );
    let options = BatchOptions {
        image_size: SIZE,
        batch_size: 64,
        epoch: Some(Epoch { flip: true, ..Epoch::new(0, 0) }),
        ..Default::default()
    };
    let (start, mut seen) = (Instant::now(), 0);
    for batch in data.batches(&data.split(Split::Train)?, &options) {
        seen += batch?.faces.len();
    }
    let epoch = start.elapsed().as_secs_f64();
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok()
        })
        .unwrap_or(f64::NAN);
    let [train, val, test] = counts;
    println!(
        "{form:<20} {opened:>8.2} {checked:>8.2} {:>22} {epoch:>10.1} {:>10.0} {:>9.3}",
        format!("{train}/{val}/{test}"),
        seen as f64 / epoch,
        1.024e-6 * peak
    );
    Ok(())
}
