//! Forecasts, operations and scores are found again by the names that they print.

use foresee_predict::{ForecastRule, NetworkOperation, ScoreRule, Subject};

#[test]
fn forecasts_are_found_by_their_ids() {
    for rule in ForecastRule::ALL {
        assert_eq!(ForecastRule::from_id(&rule.id()), Some(rule.clone()));
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(rule.id().chars().all(plain), "{}", rule.id());
        let titled = ForecastRule::ALL.iter().filter(|other| other.title() == rule.title());
        assert_eq!(titled.count(), 1, "{rule}");
    }
    let own = ForecastRule::custom("weights, squared");
    assert_eq!((own.id().as_str(), own.title()), ("custom:weights, squared", "weights, squared"));
    assert_eq!(ForecastRule::from_id(&own.id()), Some(own));
    assert_eq!(ForecastRule::from_id("weights, squared"), None);
}

#[test]
fn differences_are_found_by_their_ids() {
    let one = Subject::Forecast(ForecastRule::FilterNorm);
    assert_eq!((one.id(), one.title()), ("filter_norm".into(), "filter norm".into()));
    let two = Subject::Difference {
        ours: ForecastRule::UniquenessTimesMask,
        theirs: ForecastRule::custom("mine"),
    };
    assert_eq!(two.id(), "uniqueness_times_mask-minus-custom:mine");
    assert_eq!(two.title(), "uniqueness × mean mask (the paper) minus mine");
    assert!(two.is_difference() && !one.is_difference());
    for subject in [one, two] {
        assert_eq!(Subject::from_id(&subject.id()), Some(subject));
    }
    assert_eq!(Subject::from_id("filter_norm-minus-nobody"), None);
}

#[test]
fn operations_and_scores_are_found_by_their_ids() {
    for operation in NetworkOperation::ALL {
        assert_eq!(NetworkOperation::from_id(operation.id()), Some(operation));
    }
    let title = "transform one channel's masks (n = 2)";
    assert_eq!(NetworkOperation::TransformOne.title(), title);
    for rule in ScoreRule::ALL {
        assert_eq!(ScoreRule::from_id(rule.id()), Some(rule));
    }
    assert_eq!(ScoreRule::of_forecasts(), ScoreRule::ALL[..4]);
    assert_eq!(ScoreRule::RankOfOutputs.id(), "rank_of_outputs");
    assert_eq!(ScoreRule::RankOfOutputs.title(), "rank agreement, outputs");
}
