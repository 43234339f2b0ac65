//! Properties of the scores that hold for any model, and scores worked by hand.

use foresee_predict::{
    Budget, Change, Effects, Forecast, ForecastRule, Matrix, Score, ScoreRule, Scores, Study, Unit,
    effect_correlation, locality, monotonicity, rank_of_operations, rank_of_outputs, skill,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Changes of `operations` × `strengths` on items: an effect for each operation and output, with
/// noise by item.
fn changes(
    operations: usize,
    strengths: &[f64],
    items: usize,
    outputs: usize,
    noise: f64,
    seed: u64,
) -> Vec<Change> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = vec![];
    for o in 0..operations {
        let sizes: Vec<f64> = (0..outputs).map(|_| rng.random_range(0.2..2.0f64).powi(2)).collect();
        for &strength in strengths {
            let rows: Vec<Vec<f64>> = (0..items)
                .map(|_| {
                    sizes
                        .iter()
                        .map(|s| {
                            s * strength
                                * (1. + noise * rng.random_range(-1. ..1.))
                                * if rng.random() { 1. } else { -1. }
                        })
                        .collect()
                })
                .collect();
            all.push(Change {
                number: o,
                operation: format!("operation {o}"),
                strength,
                by_item: Matrix::from_rows(&rows),
            });
        }
    }
    all
}

fn forecast(effects: Matrix, unit: Unit) -> Forecast {
    let rule = ForecastRule::custom("under test");
    Forecast { rule, effects, unit, budget: Budget::default() }
}

fn score(scores: &Scores, rule: ScoreRule) -> Score {
    *scores.get(rule).expect("a score of forecasts")
}

/// The four scores of a forecast.
fn estimates(scores: &Scores) -> [f64; 4] {
    ScoreRule::of_forecasts().map(|rule| score(scores, rule).interval.estimate)
}

fn effects(rows: &[Vec<f64>], operations: &[usize], strengths: &[f64]) -> Effects {
    Effects::new(Matrix::from_rows(rows), operations.to_vec(), strengths.to_vec()).unwrap()
}

/// One operation a row, of strength 1.
fn plain(values: &Matrix) -> Effects {
    Effects::new(values.clone(), all(values.rows()), vec![1.; values.rows()]).unwrap()
}

fn all(items: usize) -> Vec<usize> {
    (0..items).collect()
}

fn perfect(changes: &[Change]) -> Matrix {
    Matrix::from_rows(&changes.iter().map(|c| c.effect(&all(c.by_item.rows()))).collect::<Vec<_>>())
}

fn proptest_config() -> ProptestConfig {
    ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() }
}

/// The matrix with `change` applied to each value.
fn map(matrix: &Matrix, change: impl Fn(f64) -> f64) -> Matrix {
    Matrix::from_fn(matrix.rows(), matrix.columns(), |i, j| change(matrix.get(i, j)))
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn the_perfect_forecast_scores_1_in_any_unit(
        operations in 3usize..6,
        outputs in 2usize..7,
        scale in 0.01f64..100.,
        seed in 0u64..1000,
    ) {
        let changes = changes(operations, &[0.5, 1.], 9, outputs, 0.3, seed);
        let study = Study::new(&changes, 10, 0).unwrap();
        let scaled = map(&perfect(&changes), |v| v * scale + 3.);
        for forecast in [forecast(perfect(&changes), Unit::Outputs), forecast(scaled, Unit::Any)] {
            let scores = study.score(&forecast).unwrap();
            let [skill, outputs, operations, locality] = estimates(&scores);
            prop_assert!((skill - 1.).abs() < 1e-6, "{scores:?}");
            prop_assert!((outputs - 1.).abs() < 1e-12);
            prop_assert!((operations - 1.).abs() < 1e-12);
            if forecast.unit == Unit::Outputs {
                prop_assert!(locality.is_nan() || (locality - 1.).abs() < 1e-9, "{locality}");
            }
            let with_itself = study.difference(&forecast, &forecast).unwrap();
            let skill = with_itself.get(ScoreRule::Skill).unwrap();
            prop_assert!(skill.low == 0. && skill.high == 0.);
            prop_assert!(with_itself.subject.is_difference());
        }
    }

    #[test]
    fn a_constant_forecast_is_the_baseline(operations in 2usize..6, seed in 0u64..1000) {
        let changes = changes(operations, &[1.], 5, 4, 0.3, seed);
        let ones = forecast(Matrix::from_fn(operations, 4, |_, _| 1.), Unit::Any);
        let scores = Study::new(&changes, 10, 0).unwrap().score(&ones).unwrap();
        let [skill, outputs, ..] = estimates(&scores);
        prop_assert!(skill.abs() < 1e-9);
        prop_assert!(outputs.is_nan());
    }

    #[test]
    fn scaling_the_change_changes_no_rank(scale in 0.001f64..1000., seed in 0u64..1000) {
        let before = changes(4, &[1.], 6, 5, 0.3, seed);
        let scaled = |c: &Change| Change { by_item: map(&c.by_item, |v| v * scale), ..c.clone() };
        let after: Vec<Change> = before.iter().map(scaled).collect();
        let guess = perfect(&changes(4, &[1.], 6, 5, 0.3, seed + 1));
        let a = plain(&perfect(&before));
        let b = plain(&perfect(&after));
        prop_assert_eq!(rank_of_outputs(&a, &guess), rank_of_outputs(&b, &guess));
        prop_assert_eq!(rank_of_operations(&a, &guess), rank_of_operations(&b, &guess));
        prop_assert!((skill(&a, &guess, Unit::Any) - skill(&b, &guess, Unit::Any)).abs() < 1e-6);
        prop_assert!((locality(&a, &guess) - locality(&b, &guess)).abs() < 1e-9);
    }
}

#[test]
fn shuffled_explanations_fall_to_the_baseline() {
    let changes = changes(40, &[1.], 20, 12, 0.2, 5);
    let scores = Study::new(&changes, 20, 0)
        .unwrap()
        .score(&forecast(perfect(&changes), Unit::Any))
        .unwrap();
    let shuffled = |rule| score(&scores, rule).shuffled;
    assert!(shuffled(ScoreRule::Skill).abs() < 0.05, "{scores:?}");
    assert!(shuffled(ScoreRule::RankOfOutputs).abs() < 0.1);
    assert!(shuffled(ScoreRule::RankOfOperations).abs() < 0.1);
    assert!(shuffled(ScoreRule::Locality).abs() < 0.1);
    // Which outputs change most differs between operations here, so what is known of one operation
    // says nothing of another.
    let exchanged = |rule| score(&scores, rule).exchanged;
    assert!(exchanged(ScoreRule::RankOfOutputs).abs() < 0.1, "{scores:?}");
    assert!(exchanged(ScoreRule::Skill).abs() < 0.05, "{scores:?}");
}

#[test]
fn knowledge_of_outputs_survives_an_exchange_of_operations() {
    let rows: Vec<Vec<f64>> = (0..12)
        .map(|o| (0..10).map(|k| (1. + 0.01 * o as f64) * (k + 1) as f64).collect())
        .collect();
    let changes: Vec<Change> = rows
        .iter()
        .enumerate()
        .map(|(o, row)| Change {
            number: o,
            operation: o.to_string(),
            strength: 1.,
            by_item: Matrix::from_rows(std::slice::from_ref(row)),
        })
        .collect();
    let scores = Study::new(&changes, 10, 0)
        .unwrap()
        .score(&forecast(perfect(&changes), Unit::Any))
        .unwrap();
    let outputs = score(&scores, ScoreRule::RankOfOutputs);
    let skill = score(&scores, ScoreRule::Skill);
    assert!(outputs.exchanged > 0.99 && skill.exchanged > 0.9, "{scores:?}");
    assert!(outputs.shuffled.abs() < 0.3 && skill.shuffled < 0.3, "{scores:?}");
}

#[test]
fn the_better_forecast_wins_on_the_same_samples() {
    let changes = changes(30, &[1.], 40, 8, 0.5, 3);
    let study = Study::new(&changes, 100, 0).unwrap();
    let good = forecast(perfect(&changes), Unit::Any);
    let constant = forecast(Matrix::from_rows(&vec![vec![1.; 8]; 30]), Unit::Any);
    let better = study.difference(&good, &constant).unwrap();
    let skill = better.get(ScoreRule::Skill).unwrap();
    assert!(skill.low > 0.5, "{better:?}");
    assert!(skill.low < skill.estimate && skill.estimate <= skill.high, "{better:?}");
    let locality = better.get(ScoreRule::Locality).unwrap();
    assert!(locality.estimate.is_nan(), "a constant names no outputs");
    assert!(better.get(ScoreRule::Monotonicity).is_none());
}

#[test]
fn more_images_and_operations_narrow_the_interval() {
    let width = |operations: usize, items: usize| {
        let changes = changes(operations, &[1.], items, 6, 1., 7);
        let guess: Vec<Vec<f64>> = perfect(&changes)
            .to_rows()
            .into_iter()
            .enumerate()
            .map(|(i, r)| r.into_iter().map(|v| v + (i % 3) as f64).collect())
            .collect();
        let scores = Study::new(&changes, 200, 0)
            .unwrap()
            .score(&forecast(Matrix::from_rows(&guess), Unit::Any))
            .unwrap();
        let interval = score(&scores, ScoreRule::RankOfOutputs).interval;
        interval.high - interval.low
    };
    assert!(width(40, 200) < 0.6 * width(6, 6));
}

#[test]
fn linear_extrapolation_is_perfect_for_what_is_linear() {
    let probe = changes(3, &[0.1], 5, 4, 0., 9);
    let seen = changes(3, &[0.5, 1.], 5, 4, 0., 9);
    // The same sizes: the generator draws them before the items.
    let linear = Forecast::linear(&probe, &[0.5, 1.]).unwrap();
    assert_eq!((linear.effects.rows(), linear.budget.probes), (6, 3));
    let first: Vec<f64> = linear.effects.row(0).iter().map(|e| e / 5.).collect();
    assert!(first.iter().zip(probe[0].effect(&all(5))).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(
        monotonicity(&effects(
            &perfect(&seen).to_rows(),
            &[0, 0, 1, 1, 2, 2],
            &[0.5, 1., 0.5, 1., 0.5, 1.]
        )) == 1.
    );
    assert!(Forecast::linear(&changes(1, &[0.], 2, 2, 0., 9), &[1.]).is_err());
}

#[test]
fn scores_by_hand() {
    let row = |values: &[f64]| Matrix::from_rows(&[values.to_vec()]);
    // Two of four outputs hold half of the forecast. They have 3/5 of the change, the two largest
    // 4/5, and by chance it were 1/2.
    let change = plain(&row(&[2., 1., 2., 0.]));
    assert!((locality(&change, &row(&[3., 3., 2., 1.])) - (0.6 - 0.5) / (0.8 - 0.5)).abs() < 1e-12);
    assert!(
        locality(&change, &row(&[0.; 4])).is_nan() && locality(&change, &row(&[2.; 4])).is_nan()
    );
    // Effects 1 and 3, forecasts 1 and 2: (0² + 1²) against (2² + 2²).
    let (seen, forecasts) = (
        effects(&[vec![1.], vec![3.]], &[0, 1], &[1., 1.]),
        Matrix::from_rows(&[vec![1.], vec![2.]]),
    );
    assert!((skill(&seen, &forecasts, Unit::Outputs) - (1. - 1. / 8.)).abs() < 1e-12);
    // Drawn twice, an operation counts twice: (1·0² + 2·1²) against (1·2² + 2·2²).
    let drawn = Effects { weights: vec![1., 2.], ..seen };
    assert!((skill(&drawn, &forecasts, Unit::Outputs) - (1. - 2. / 12.)).abs() < 1e-12);
    // In any unit: the line of the first two gives 2·3 for the third operation, which was 5; their
    // mean is 3. Lines of the others give 3 for the first, 3.5 for the second; means are 4.5, 3.5.
    let (seen, forecasts) = (
        effects(&[vec![2.], vec![4.], vec![5.]], &[0, 1, 2], &[1.; 3]),
        Matrix::from_rows(&[vec![1.], vec![2.], vec![3.]]),
    );
    let found = skill(&seen, &forecasts, Unit::Any);
    assert!((found - (1. - (1. + 0.25 + 1.) / (6.25 + 0.25 + 4.))).abs() < 1e-12);
    // With the second drawn twice, it counts twice in the lines and means of the others too: the
    // means are 13/3 and 10/3.
    let drawn = Effects { weights: vec![1., 2., 1.], ..seen.clone() };
    let means = 49. / 9. + 2. * 0.25 + 25. / 9.;
    let found = skill(&drawn, &forecasts, Unit::Any);
    assert!((found - (1. - (1. + 2. * 0.25 + 1.) / means)).abs() < 1e-12);
    // If nothing else was drawn, there is nothing to learn from.
    let third = Effects { weights: vec![0., 0., 1.], ..seen };
    assert!(skill(&third, &forecasts, Unit::Any).is_nan());
    // At strength 1 the order of two operations is right, at strength 2 it is wrong.
    let seen = effects(&[vec![1.], vec![3.], vec![2.], vec![4.]], &[0, 0, 1, 1], &[1., 2., 1., 2.]);
    assert_eq!(
        rank_of_operations(&seen, &Matrix::from_rows(&[vec![1.], vec![9.], vec![2.], vec![8.]])),
        0.
    );
    let seen = effects(&[vec![1.], vec![3.], vec![2.]], &[0, 0, 0], &[1., 2., 3.]);
    assert!((monotonicity(&seen) - 2. / 3.).abs() < 1e-12);
}

#[test]
fn outputs_that_change_under_the_same_perturbations_correlate() {
    let effects = [vec![1., 2., 0.], vec![2., 4., -1.], vec![3., 6., -2.]];
    let rho = effect_correlation(&Matrix::from_rows(&effects)).unwrap();
    assert!((rho.get(0, 1) - 1.).abs() < 1e-12 && (rho.get(0, 2) + 1.).abs() < 1e-12);
    assert!(effect_correlation(&Matrix::from_rows(&effects[..1])).is_err());
}

#[test]
fn forecasts_that_do_not_fit_are_errors() {
    let study = Study::new(&changes(2, &[1.], 3, 4, 0.1, 0), 5, 0).unwrap();
    assert!(study.score(&Forecast::nothing(3, 4)).is_err());
    assert!(
        study.score(&forecast(Matrix::from_rows(&[vec![-1.; 4], vec![0.; 4]]), Unit::Any)).is_err()
    );
    assert!(Study::new(&[], 5, 0).is_err());
    let mut broken = changes(2, &[1.], 3, 4, 0.1, 0);
    broken[1].by_item = Matrix::from_rows(&vec![vec![f64::NAN; 4]; 3]);
    assert!(Study::new(&broken, 5, 0).err().is_some_and(
        |e| e.to_string() == "the change by operation 1 holds NaN, expected a finite number"
    ));
    assert!(
        Study::new(&changes(1, &[1.], 3, 4, 0.1, 0), 5, 0)
            .unwrap()
            .rank_of_pairs(&Matrix::zeros(4, 4))
            .is_err()
    );
}

/// Two operations at the strengths 1 and 2 that change two outputs by 1 and 3 times the strength,
/// and a third at the strength 1 alone.
#[test]
fn without_an_explanation_outputs_change_as_in_the_mean_of_the_others() {
    let change = |number, strength: f64, factor: f64| Change {
        number,
        operation: format!("operation {number}"),
        strength,
        by_item: Matrix::from_rows(&[vec![factor * strength, -3. * factor * strength]]),
    };
    let changes = [
        change(0, 1., 1.),
        change(0, 2., 1.),
        change(1, 1., 2.),
        change(1, 2., 2.),
        change(2, 1., 4.),
    ];
    let study = Study::new(&changes, 20, 0).unwrap();
    let forecast = study.mean_of_others().unwrap();
    let expected = [[3., 9.], [4., 12.], [2.5, 7.5], [2., 6.], [1.5, 4.5]];
    assert_eq!(forecast.effects, Matrix::from_rows(&expected.map(|row| row.to_vec())));
    // One number for all outputs and strengths says less.
    let scores = study.score(&forecast).unwrap();
    let always = score(&scores, ScoreRule::Skill).interval;
    assert!(always.estimate > 0.);
    // Each resample has its own mean.
    let own = study.score_of_mean_of_others().unwrap();
    let own = score(&own, ScoreRule::Skill).interval;
    assert_eq!(own.estimate, always.estimate);
    assert!((own.low, own.high) != (always.low, always.high), "{own:?}");
    let against = study.difference_from_mean_of_others(&forecast).unwrap().unwrap();
    assert_eq!(against.get(ScoreRule::Skill).unwrap().estimate, 0.);
    let nothing = Forecast::nothing(5, 2);
    let worse = study.difference_from_mean_of_others(&nothing).unwrap().unwrap();
    let skill_of_nothing = score(&study.score(&nothing).unwrap(), ScoreRule::Skill).interval;
    let difference = worse.get(ScoreRule::Skill).unwrap().estimate;
    assert!((difference - (skill_of_nothing.estimate - own.estimate)).abs() < 1e-12);
    // A single operation has no others.
    let alone = Study::new(&changes[..1], 20, 0).unwrap();
    assert_eq!((alone.mean_of_others(), alone.score_of_mean_of_others()), (None, None));
    let nothing = Forecast::nothing(1, 2);
    assert_eq!(alone.difference_from_mean_of_others(&nothing).unwrap(), None);
}

/// The line of a resample is fitted to what was drawn.
#[test]
fn an_operation_that_was_not_drawn_says_nothing() {
    let values = Matrix::from_rows(&[vec![1.], vec![2.], vec![3.], vec![100.]]);
    let all = Effects::new(values.clone(), vec![0, 1, 2, 3], vec![1.; 4]).unwrap();
    let drawn = Effects { weights: vec![1., 1., 1., 0.], ..all };
    let three = Matrix::from_rows(&[vec![1.], vec![2.], vec![3.]]);
    let alone = Effects::new(three.clone(), vec![0, 1, 2], vec![1.; 3]).unwrap();
    let halves = |m: &Matrix| Matrix::from_fn(m.rows(), 1, |i, _| m.get(i, 0) * 0.5 + 0.1);
    let found = skill(&drawn, &halves(&values), Unit::Any);
    assert!((found - skill(&alone, &halves(&three), Unit::Any)).abs() < 1e-12, "{found}");
}
