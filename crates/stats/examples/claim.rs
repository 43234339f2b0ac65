//! Is one pruning curve above another? Three networks from different seeds are judged on the same
//! images: `cargo run --release -p foresee-stats --example claim`.

use foresee_stats::{CurveDifference, MARGIN, Verdict};

const POINTS: usize = 4;
const SEEDS: usize = 3;
const IMAGES: usize = 200;

fn main() -> Result<(), foresee_stats::Error> {
    // The gain in accuracy of each image, in percentage points. It grows along the curve, and
    // differs a little between seeds and a lot between images.
    let gain = |point: usize, seed: usize, image: usize| {
        let of_image = ((7 * image + 3 * seed) % 11) as f64 - 5.;
        point as f64 + 0.1 * seed as f64 + 0.5 * of_image
    };
    let differences: Vec<Vec<Vec<f64>>> = (0..POINTS)
        .map(|p| (0..SEEDS).map(|s| (0..IMAGES).map(|i| gain(p, s, i)).collect()).collect())
        .collect();
    let found = CurveDifference::new(&differences)?;
    for (at, point) in found.points.iter().enumerate() {
        let certain = if point.excludes_zero() { ", certain" } else { "" };
        println!(
            "point {at}: {:+.2} ({:+.2} to {:+.2}){certain}",
            point.estimate, point.low, point.high
        );
    }
    let verdict = Verdict::of_curve(&found.interval, &found.seeds, MARGIN, &found.points);
    println!("mean {:+.2} points: the claim {}", found.interval.estimate, verdict.title());
    Ok(())
}
