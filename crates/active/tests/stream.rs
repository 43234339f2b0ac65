//! Streams: budgets, and weights that leave means as they are.

use foresee_active::{Decision, Stream, StreamRule, StreamSettings, mean_kl, vote_entropy};
use proptest::prelude::*;

fn run(rule: StreamRule, settings: StreamSettings, seed: u64, items: &[[f32; 2]]) -> Stream {
    let mut stream = Stream::new(rule, settings, seed).unwrap();
    for (item, members) in items.iter().enumerate() {
        let decision = stream.decide(item, &[&members[..1], &members[1..]]).unwrap();
        if let Decision::Ask { weight } = decision {
            assert!((1. ..=1. / settings.least_probability + 1e-9).contains(&weight));
        }
        assert!(stream.asked() <= settings.labels);
        if rule != StreamRule::Importance {
            assert!(stream.asked() as f64 <= settings.share * stream.seen() as f64);
        }
    }
    stream
}

proptest! {
    #[test]
    fn no_budget_is_ever_exceeded(
        items in prop::collection::vec(prop::array::uniform2(0f32..1.), 1..200),
        labels in 0usize..50,
        share in 0.01f64..1.,
        step in 0.001f64..0.9,
        seed: u64,
    ) {
        for rule in StreamRule::ALL {
            let settings = StreamSettings { labels, share, step, ..Default::default() };
            run(rule, settings, seed, &items);
        }
    }

    #[test]
    fn disagreement_is_none_among_equals_and_at_most_ln_2(
        p in prop::collection::vec(0f32..1., 3),
        q in prop::collection::vec(0f32..1., 3),
    ) {
        for measure in [vote_entropy, mean_kl] {
            prop_assert!(measure(&[&p, &p, &p]).abs() < 1e-12);
            let found = measure(&[&p, &q]);
            prop_assert!((0. ..=std::f64::consts::LN_2 + 1e-12).contains(&found));
        }
    }
}

/// The threshold rule spends its budget where the model stays uncertain, and finds those items.
#[test]
fn a_moving_threshold_asks_about_the_uncertain() {
    let items: Vec<[f32; 2]> =
        (0..2000).map(|i| if i % 4 == 0 { [0.55; 2] } else { [0.95; 2] }).collect();
    let settings = StreamSettings { share: 0.2, ..Default::default() };
    let mut stream = Stream::new(StreamRule::Uncertainty, settings, 0).unwrap();
    let mut asked = [0, 0];
    for (item, p) in items.iter().enumerate() {
        let decision = stream.decide(item, &[&p[..1]]).unwrap();
        asked[usize::from(p[0] > 0.9)] += usize::from(decision != Decision::Pass);
    }
    assert!(asked[0] > 300 && asked[1] < 100, "{asked:?}");
}

/// The weighted mean over what was asked is the mean over all.
#[test]
fn importance_weights_leave_the_mean_as_it_is() {
    let items: Vec<[f32; 2]> = (0..20_000).map(|i| [0.5, 0.5 + (i % 10) as f32 / 20.]).collect();
    let mut stream = Stream::new(StreamRule::Importance, StreamSettings::default(), 3).unwrap();
    let (mut weighted, mut plain, mut all) = (0., 0., 0.);
    for (item, p) in items.iter().enumerate() {
        let value = f64::from(p[1]);
        all += value;
        if let Decision::Ask { weight } = stream.decide(item, &[&p[..1], &p[1..]]).unwrap() {
            weighted += weight * value;
            plain += value;
        }
    }
    let n = items.len() as f64;
    assert!((weighted / n - all / n).abs() < 0.03, "{weighted} {all}");
    // Without weights it is not.
    assert!(plain / stream.asked() as f64 > all / n + 0.04);
}

#[test]
fn impossible_settings_and_committees_are_refused() {
    let refused = |settings| Stream::new(StreamRule::Uncertainty, settings, 0).is_err();
    assert!(refused(StreamSettings { share: 0., ..Default::default() }));
    assert!(refused(StreamSettings { step: 1., ..Default::default() }));
    assert!(refused(StreamSettings { least_probability: f64::NAN, ..Default::default() }));
    let mut stream = Stream::new(StreamRule::Disagreement, StreamSettings::default(), 0).unwrap();
    assert!(stream.decide(0, &[]).is_err());
    assert!(stream.decide(0, &[&[0.5], &[0.5, 0.5]]).is_err());
    assert!(stream.decide(0, &[&[1.5]]).is_err());
    assert_eq!(stream.seen(), 0);
    assert!(StreamRule::ALL.iter().all(|r| StreamRule::from_id(r.id()) == Some(*r)));
}
