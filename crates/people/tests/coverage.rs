//! Intervals hold what they should as often as they say, for other people and other faces.

use foresee_people::{
    Assignment, Group, Items, Matrix, PeopleScore, PeopleStudy, Plan, Power, Respondent, Settings,
    SimulatedPeople, needed,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const DESIGN: Assignment = Assignment { arms: 2, faces: 16, operations: 4, trials: 8, seed: 5 };

/// Items of a study that was drawn with this seed: every face has a size of its own.
fn items(seed: u64, faces: usize) -> Items {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows: Vec<Vec<f64>> = vec![];
    for _ in 0..faces {
        // Items of a face are alike.
        let size = rng.random_range(1.0..20.0);
        let face: Vec<f64> = (0..5).map(|_| rng.random_range(-1.0..1.0f64).powi(3)).collect();
        for _ in 0..DESIGN.operations {
            let own = face.iter().map(|v| size * (v + 0.3 * rng.random_range(-1.0..1.0f64)));
            rows.push(own.collect());
        }
    }
    let of_item = (0..rows.len()).map(|item| item / DESIGN.operations).collect();
    Items { observed: Matrix::from_rows(&rows), faces: of_item, least_change: 0.5 }
}

/// People who follow the truth in part, each in another part.
fn group(items: &Items, design: Assignment, people: usize, seed: u64) -> AnyResult<Group> {
    let simulated = SimulatedPeople { rule: &items.observed, follows: 0.4, spread: 0.25, seed };
    let person = |p: usize| -> AnyResult<Respondent> {
        let given = design.of(p * design.arms)?.items;
        let index: Vec<usize> =
            given.iter().map(|item| item.face * design.operations + item.operation).collect();
        Ok(simulated.answer(p as u64, &index))
    };
    Ok(Group { people: (0..people).map(person).collect::<AnyResult<_>>()?, like: None })
}

const SCORES: [PeopleScore; 4] = [
    PeopleScore::RankOfOutputs,
    PeopleScore::Direction,
    PeopleScore::Largest,
    PeopleScore::Overconfidence,
];

/// The scores of very many people on very many items.
fn truth() -> AnyResult<Vec<f64>> {
    let design = Assignment { faces: 4000, ..DESIGN };
    let items = items(u64::MAX, design.faces);
    let settings = Settings { scores: SCORES.into(), resamples: 2, seed: 0 };
    let study = PeopleStudy::new(&items, &[group(&items, design, 4000, 1)?], settings)?;
    let scores = &study.scores()[0];
    Ok(SCORES.iter().filter_map(|s| Some(scores.get(*s)?.interval.estimate)).collect())
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() -> AnyResult {
    const STUDIES: u64 = 200;
    let truth = truth()?;
    let mut held = [0; SCORES.len()];
    let mut held_differences = [0; SCORES.len()];
    for number in 0..STUDIES {
        let items = items(number, DESIGN.faces);
        let arms = [0, 1].map(|arm| group(&items, DESIGN, 24, 1000 + 2 * number + arm));
        let [a, b] = arms;
        let settings = Settings { scores: SCORES.into(), resamples: 200, seed: number };
        let study = PeopleStudy::new(&items, &[a?, b?], settings)?;
        let differences = study.difference(0, 1);
        for (i, score) in SCORES.into_iter().enumerate() {
            let interval = study.scores()[0].get(score).ok_or("a score")?.interval;
            held[i] += usize::from(interval.low <= truth[i] && truth[i] <= interval.high);
            let difference = differences[i].interval;
            held_differences[i] += usize::from(difference.low <= 0. && 0. <= difference.high);
        }
    }
    println!("of {STUDIES} intervals of 95 %: {held:?} hold the truth, {held_differences:?} a 0");
    // 95 % of 200 are 190 ± 3.1. The bootstrap of crossed people and items is cautious.
    for held in held.into_iter().chain(held_differences) {
        assert!(held >= 180, "{held} of {STUDIES}");
    }
    Ok(())
}

#[test]
fn chance_is_what_guessing_gives() -> AnyResult {
    let items = items(3, DESIGN.faces);
    let settings = Settings { scores: PeopleScore::ALL.into(), resamples: 50, seed: 0 };
    let groups = [group(&items, DESIGN, 200, 4)?];
    let study = PeopleStudy::new(&items, &groups, settings)?;
    let chance = |score| study.scores()[0].get(score).map(|found| found.chance);
    assert!(chance(PeopleScore::RankOfOutputs).ok_or("a score")?.abs() < 0.03);
    assert!((chance(PeopleScore::Direction).ok_or("a score")? - 0.5).abs() < 0.03);
    assert!((chance(PeopleScore::Largest).ok_or("a score")? - 0.2).abs() < 0.03);
    Ok(())
}

#[test]
fn one_person_has_no_spread_and_a_rule_has_that_of_its_people() -> AnyResult {
    let items = items(3, DESIGN.faces);
    let settings = Settings { scores: vec![PeopleScore::Skill], resamples: 100, seed: 0 };
    let one = PeopleStudy::new(&items, &[group(&items, DESIGN, 1, 4)?], settings.clone())?;
    assert!(one.scores()[0].values[0].1.interval.low.is_nan());
    let people = group(&items, DESIGN, 12, 4)?;
    let rule = Group { like: Some(0), ..people.clone() };
    let study = PeopleStudy::new(&items, &[people, rule], settings.clone())?;
    let difference = study.difference(1, 0)[0].interval;
    assert_eq!((difference.low, difference.estimate, difference.high), (0., 0., 0.));
    let few = Group { like: Some(0), ..group(&items, DESIGN, 3, 4)? };
    assert!(PeopleStudy::new(&items, &[group(&items, DESIGN, 12, 4)?, few], settings).is_err());
    Ok(())
}

#[test]
fn more_people_see_more() -> AnyResult {
    let items = items(8, DESIGN.faces);
    let plan = Plan {
        assignment: DESIGN,
        items: &items,
        rule: &items.observed,
        follows: 0.5,
        control_follows: 0.35,
        spread: 0.2,
        score: PeopleScore::RankOfOutputs,
        studies: 40,
        resamples: 100,
    };
    let found = [8, 64].map(|people| plan.power(people));
    let [few, many] = found;
    let (few, many) = (few?, many?);
    assert!(few.power < many.power && many.width < few.width, "{few:?} {many:?}");
    assert!((many.difference - (many.score - many.control)).abs() < 1e-12);
    let power = |people, power| Power { people, power, ..few };
    let rising = [power(10, 0.5), power(20, 0.85), power(30, 0.78), power(40, 0.9)];
    assert_eq!(needed(&rising, 0.8), Some(40));
    assert_eq!(needed(&rising[..3], 0.8), None);
    Ok(())
}
