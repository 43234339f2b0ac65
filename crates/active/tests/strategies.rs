//! Choices from a pool, on models that are tables.

use std::collections::HashSet;

use foresee_active::{
    Answers, AnyError, Combination, Embedding, Error, Model, Pool, Settings, Strategy, Table,
    choose, entropy, expected_gradient, k_centre, least_confidence, margin, radius,
    squared_distance,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

const OUTPUTS: usize = 3;
const FEATURES: usize = 2;

/// Probabilities and features of item i are rows of a table.
#[derive(Debug)]
struct Fixed(Vec<([f32; OUTPUTS], [f32; FEATURES])>);

impl Model for Fixed {
    fn answers(&self, items: &[usize]) -> Result<Answers, AnyError> {
        let p = items.iter().flat_map(|&item| self.0[item].0).collect();
        let x = items.iter().flat_map(|&item| self.0[item].1).collect();
        Ok(Answers { probabilities: Table::new(OUTPUTS, p)?, features: Table::new(FEATURES, x)? })
    }
}

fn model(least: usize, most: usize) -> impl Generate<Value = Fixed> {
    let row = (prop::array::uniform3(0f32..1.), prop::array::uniform2(-3f32..3.));
    prop::collection::vec(row, least..most).prop_map(Fixed)
}

fn chosen(
    model: &Fixed,
    pool: Pool,
    strategy: Strategy,
    count: usize,
    combination: Combination,
) -> Vec<usize> {
    choose(model, pool, strategy, count, Settings { combination, seed: 5 }).unwrap()
}

proptest! {
    #[test]
    fn what_is_chosen_is_distinct_unlabelled_and_as_many_as_asked(
        model in model(4, 30),
        count in 0usize..40,
    ) {
        let all: Vec<usize> = (0..model.0.len()).collect();
        let (labelled, unlabelled) = all.split_at(3);
        for strategy in Strategy::ALL {
            for combination in Combination::ALL {
                let pool = Pool { unlabelled, labelled };
                let found = chosen(&model, pool, strategy, count, combination);
                prop_assert_eq!(found.len(), count.min(unlabelled.len()));
                let distinct: HashSet<&usize> = found.iter().collect();
                prop_assert_eq!(distinct.len(), found.len());
                prop_assert!(found.iter().all(|item| unlabelled.contains(item)));
            }
        }
    }

    #[test]
    fn the_order_of_the_pool_does_not_matter(
        model in model(6, 30),
        order: u64,
    ) {
        let all: Vec<usize> = (0..model.0.len()).collect();
        let (labelled, unlabelled) = all.split_at(2);
        let shuffled = foresee_active::in_random_order(unlabelled, order);
        for strategy in Strategy::ALL {
            let of = |unlabelled| {
                chosen(&model, Pool { unlabelled, labelled }, strategy, 4, Combination::Mean)
            };
            prop_assert_eq!(of(unlabelled), of(&shuffled), "{:?}", strategy);
        }
    }

    /// Against all sets of as many centres.
    #[test]
    fn greedy_centres_are_at_most_twice_as_far_as_the_best(
        rows in prop::collection::vec(prop::array::uniform2(-3f32..3.), 4..9),
        count in 1usize..4,
        with_labelled: bool,
    ) {
        let labelled = Table::new(2, rows[0].to_vec()).unwrap();
        let labelled = with_labelled.then_some(&labelled);
        let pool: Vec<f32> = rows[1..].concat();
        let features = Table::new(2, pool).unwrap();
        let n = features.rows();
        let items: Vec<usize> = (0..n).collect();
        let greedy = radius(&features, labelled, &k_centre(&items, &features, labelled, count, 0));
        let sets = (0u32..1 << n).filter(|set| set.count_ones() as usize == count.min(n));
        let members = |set: u32| (0..n).filter(|i| set >> i & 1 == 1).collect::<Vec<_>>();
        let best = sets
            .map(|set| radius(&features, labelled, &members(set)))
            .fold(f64::INFINITY, f64::min);
        prop_assert!(greedy <= 2. * best + 1e-6, "{} of {}", greedy, best);
    }

    #[test]
    fn factored_distances_are_those_of_whole_embeddings(
        p in prop::collection::vec(0f32..1., 14),
        x in prop::collection::vec(-2f32..2., 40),
    ) {
        let whole = |p: &[f32], x: &[f32]| -> Vec<f64> {
            let residual = |p: f32| f64::from(p) - if p > 0.5 { 1. } else { 0. };
            p.iter().flat_map(|&p| x.iter().map(move |&x| residual(p) * f64::from(x))).collect()
        };
        let (a, b) = (whole(&p[..7], &x[..20]), whole(&p[7..], &x[20..]));
        let expected: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
        let a = Embedding::new(&p[..7], &x[..20]);
        let b = Embedding::new(&p[7..], &x[20..]);
        prop_assert!((squared_distance(&a, &b) - expected).abs() < 1e-4 * (1. + expected));
        prop_assert_eq!(squared_distance(&a, &a), 0.);
    }

    #[test]
    fn of_one_output_all_uncertainties_rank_alike(p in 0f32..1., q in 0f32..1.) {
        prop_assume!(((p - 0.5).abs() - (q - 0.5).abs()).abs() > 1e-3);
        for combination in Combination::ALL {
            let is_less = |score: fn(&[f32], Combination) -> f64| {
                score(&[p], combination) < score(&[q], combination)
            };
            let expected = is_less(least_confidence);
            prop_assert_eq!(is_less(margin), expected);
            prop_assert_eq!(is_less(entropy), expected);
        }
    }
}

#[test]
fn over_several_outputs_entropy_differs_and_the_margin_of_the_mean_does_not() {
    // One certain and one uncertain output, or two that are half sure.
    let (a, b) = ([0.5, 0.98], [0.8, 0.8]);
    let mean = Combination::Mean;
    assert!(least_confidence(&a, mean) > least_confidence(&b, mean));
    assert!(margin(&a, mean) > margin(&b, mean));
    assert!(entropy(&a, mean) < entropy(&b, mean));
    // The likeliest classes: 0.5·0.98 twice, and 0.8·0.8 before 0.8·0.2.
    let joint = Combination::Joint;
    assert!(least_confidence(&a, joint) > least_confidence(&b, joint));
    assert!(margin(&a, joint) == f64::INFINITY && margin(&b, joint) < 1.);
    assert!(entropy(&a, joint) < entropy(&b, joint));
}

#[test]
fn the_expected_length_of_the_joint_gradient_is_bounded_by_its_root_mean_square() {
    let (p, x) = ([0.3f32, 0.8], [2f32, 1.]);
    let norm = 5f64.sqrt();
    let mut expected = 0.;
    for labels in 0..4u32 {
        let y = [labels & 1, labels >> 1].map(f64::from);
        let of = |k: usize| {
            let p = f64::from(p[k]);
            (y[k] * p + (1. - y[k]) * (1. - p), (p - y[k]).powi(2))
        };
        expected += of(0).0 * of(1).0 * (of(0).1 + of(1).1).sqrt() * norm;
    }
    let bound = expected_gradient(&p, &x, Combination::Joint);
    assert!(expected < bound && bound < 1.1 * expected, "{expected}, {bound}");
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    struct Broken(f32);
    impl Model for Broken {
        fn answers(&self, _: &[usize]) -> Result<Answers, AnyError> {
            let features = Table::new(1, vec![0.; 2])?;
            Ok(Answers { probabilities: Table::new(1, vec![self.0, 0.5])?, features })
        }
    }
    let ask = |p: f32, unlabelled: &[usize]| {
        let pool = Pool { unlabelled, labelled: &[9] };
        choose(&Broken(p), pool, Strategy::Entropy, 1, Settings::default()).unwrap_err()
    };
    assert!(ask(1.5, &[0, 1]).to_string().contains("a probability is 1.5"));
    assert!(ask(0.5, &[0]).to_string().contains("expected 1 rows, got 2"));
    assert!(matches!(ask(0.5, &[0, 9]), Error::Twice(9)));
}

#[test]
fn ids_are_read_back() {
    assert!(Strategy::ALL.iter().all(|s| Strategy::from_id(s.id()) == Some(*s)));
    assert!(Combination::ALL.iter().all(|c| Combination::from_id(c.id()) == Some(*c)));
    assert_eq!(Strategy::from_id("nothing"), None);
}

/// k-means++ chooses each next item in proportion to its squared distance.
#[test]
fn badge_draws_in_proportion_to_squared_distances() {
    // Embeddings on a line: residual 0.5 times features 0, 1 and 3.
    let rows = [0f32, 1., 3.];
    let answers = Answers {
        probabilities: Table::new(1, vec![0.5; 3]).unwrap(),
        features: Table::new(1, rows.to_vec()).unwrap(),
    };
    let mut second = [0f64; 3];
    let mut first_is_0 = 0f64;
    for seed in 0..4000 {
        let chosen = foresee_active::badge(&[0, 1, 2], &answers, 2, seed);
        if chosen[0] == 0 {
            first_is_0 += 1.;
            second[chosen[1]] += 1.;
        }
    }
    // The first is uniform, then 1 : 9.
    assert!((first_is_0 / 4000. - 1. / 3.).abs() < 0.03, "{first_is_0}");
    assert!((second[2] / first_is_0 - 0.9).abs() < 0.03, "{second:?}");
}
