//! Scores and choices beside those of modAL and NumPy (`fixtures/reference.py`).

use foresee_active::{
    Combination, Table, entropy, k_centre, least_confidence, margin, mean_kl, vote_entropy,
};
use serde_json::Value;

type Rows = Vec<Vec<f32>>;

fn rows(value: &Value) -> Rows {
    serde_json::from_value(value.clone()).unwrap()
}

fn close(found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
}

#[test]
fn scores_and_centres_are_those_of_the_references() {
    let all: Value = serde_json::from_str(include_str!("fixtures/reference.json")).unwrap();
    for (i, p) in rows(&all["probabilities"]).iter().enumerate() {
        close(least_confidence(p, Combination::Mean), &all["least_confidence"][i]);
        close(margin(p, Combination::Mean), &all["margin"][i]);
        close(entropy(p, Combination::Mean), &all["entropy"][i]);
    }
    // [member, item, output].
    let committee: Vec<Rows> = serde_json::from_value(all["committee"].clone()).unwrap();
    for i in 0..committee[0].len() {
        let members: Vec<&[f32]> = committee.iter().map(|member| &member[i][..]).collect();
        close(vote_entropy(&members), &all["vote_entropy"][i]);
        close(mean_kl(&members), &all["mean_kl"][i]);
    }
    let table = |value| Table::new(6, rows(value).concat()).unwrap();
    let (pool, labelled) = (table(&all["pool"]), table(&all["labelled"]));
    let items: Vec<usize> = (0..pool.rows()).collect();
    let expected: Vec<usize> = serde_json::from_value(all["k_centre"].clone()).unwrap();
    assert_eq!(k_centre(&items, &pool, Some(&labelled), expected.len(), 0), expected);
}
