//! How many people does it take to see that an explanation helps?
//!
//! `cargo run --release -p foresee-people --example how_many_people`

use foresee_people::{Assignment, Items, Matrix, PeopleScore, Plan, needed};

fn main() -> Result<(), foresee_people::Error> {
    let assignment = Assignment { arms: 2, faces: 24, operations: 6, trials: 12, seed: 0 };
    let change = |item: u32, output: u32| f64::from((13 * item + 7 * output * output) % 29) - 14.;
    let rows: Vec<Vec<f64>> =
        (0..24 * 6).map(|item| (0..6).map(|output| change(item, output)).collect()).collect();
    let faces = (0..24 * 6).map(|item| item / 6).collect();
    let items = Items { observed: Matrix::from_rows(&rows), faces, least_change: 2. };
    let plan = Plan {
        assignment,
        items: &items,
        rule: &items.observed,
        follows: 0.5,
        control_follows: 0.2,
        spread: 0.15,
        score: PeopleScore::RankOfOutputs,
        studies: 100,
        resamples: 200,
    };
    let found =
        [10, 20, 40].into_iter().map(|people| plan.power(people)).collect::<Result<Vec<_>, _>>()?;
    for of in &found {
        println!("{:3} people an arm: power {:.2}", of.people, of.power);
    }
    match needed(&found, 0.8) {
        Some(people) => println!("{people} people an arm are enough for a power of 0.8"),
        None => println!("more than 40 people an arm are needed for a power of 0.8"),
    }
    Ok(())
}
