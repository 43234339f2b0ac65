//! Curves, rules and takeovers are found again by the names that they print.

use foresee_kernels::ClosedForm;
use foresee_perturb::{
    ClippedCurve, Curve, NamedCurve, Norm, PowerCurve, PruneRule, Takeover, ToneCurve, Victim,
};
use proptest::prelude::*;

/// What is wrong with a text that is no curve.
fn problem(text: &str) -> String {
    text.parse::<Curve>().expect_err("no curve").to_string()
}

#[test]
fn curves_print_what_they_parse() {
    for (text, id, title) in [
        ("identity", "identity", "n = 1, β = 0 (untransformed)"),
        ("power n=1 beta=0", "identity", "n = 1, β = 0 (untransformed)"),
        ("power", "identity", "n = 1, β = 0 (untransformed)"),
        ("power n=2 beta=0.05", "power n=2 beta=0.05", "n = 2, β = 0.05"),
        ("  power  beta=0.1   n=1.0 ", "power n=1 beta=0.1", "n = 1, β = 0.1"),
        ("power n=2.5", "power n=2.5 beta=0", "n = 2.5, β = 0"),
        ("power beta=-0.2 n=3e0", "power n=3 beta=-0.2", "n = 3, β = -0.2"),
        ("power n=2 beta=-0", "power n=2 beta=0", "n = 2, β = 0"),
        ("clipped n=2 beta=0.05", "clipped n=2 beta=0.05", "n = 2, β = 0.05, clipped"),
        ("clipped n=2", "power n=2 beta=0", "n = 2, β = 0"),
        ("clipped", "identity", "n = 1, β = 0 (untransformed)"),
    ] {
        let curve: Curve = text.parse().expect(text);
        assert_eq!((curve.id().as_str(), curve.title().as_str()), (id, title));
        assert_eq!(curve.to_string(), id);
        assert_eq!(curve.is_identity(), id == "identity");
    }
    assert_eq!(Curve::identity(), Curve::new(PowerCurve::IDENTITY));
    assert_ne!(Curve::identity(), "power n=2".parse().expect("a curve"));
}

#[test]
fn a_parsed_curve_transforms_masks() {
    let curve: Curve = "power n=2 beta=0.5".parse().expect("a curve");
    let mut masks = [0.25f32, 0.75];
    curve.apply(0, 0, &mut masks);
    // h = 0.5²/2 = 0.125 and 1 - 0.125; g = 1.5·h - 0.5.
    assert_eq!(masks, [1.5 * 0.125 - 0.5, 1.5 * 0.875 - 0.5]);
    let form = curve.closed_form(0, 0).expect("Eq. 11 and 12");
    assert_eq!((form.n, form.beta), (2., 0.5));
}

#[test]
fn a_clipped_curve_shuts_masks_and_does_not_subtract() {
    let curve: Curve = "clipped n=1 beta=0.5".parse().expect("a curve");
    let mut masks = [0f32, 0.2, 0.5, 1., f32::NAN];
    curve.apply(0, 0, &mut masks);
    // g is 1.5·M - 0.5, which is below 0 up to M = 1/3.
    assert_eq!(masks[..4], [0., 0., 0.25, 1.]);
    assert!(masks[4].is_nan());
    assert_eq!(curve.closed_form(0, 0), Some(ClosedForm { n: 1., beta: 0.5, floor: 0. }));
}

#[test]
fn errors_teach_the_syntax() {
    for (text, expected) in [
        ("gamma 2", "there is no family `gamma`"),
        ("", "there is no family ``"),
        ("power 2", "`2` is not NAME=NUMBER"),
        ("power m=2", "`power` has no parameter `m`"),
        ("identity n=2", "`identity` has no parameter `n`"),
        ("power n=two", "`two` is not a number"),
        ("power n=2 n=3", "`n` is given twice"),
        ("power n=0", "n = 0 is not possible: a number above 0, up to 1000"),
        ("power n=1e-60", "n = 0."),
        ("power n=nan", "n = NaN is not possible"),
        ("power beta=1e39", "β = 1"),
        ("power beta=inf", "β = inf is not possible: a finite number"),
    ] {
        let message = problem(text);
        assert!(message.contains(expected), "{text}: {message}");
        let examples = "write `identity` or `power n=2 beta=0.05` or `clipped n=2 beta=0.05`";
        assert!(message.ends_with(examples), "{message}");
    }
}

proptest! {
    #[test]
    fn ids_of_curves_round_trip_exactly(n in 0.001f32..1000., beta in -2f32..2.) {
        let curve = PowerCurve::new(f64::from(n), f64::from(beta)).expect("in range");
        let parsed: Curve = curve.id().parse().expect("an id");
        let form = parsed.closed_form(0, 0).expect("Eq. 11 and 12");
        prop_assert_eq!((form.n, form.beta), (n, beta));
        prop_assert_eq!(parsed.id(), curve.id());
    }

    #[test]
    fn clipped_curves_stay_within_0_and_1(
        n in 0.01f64..20.,
        beta in -1f64..3.,
        masks in proptest::collection::vec(0f32..=1., 1..50),
    ) {
        let (mut plain, mut clipped) = (masks.clone(), masks);
        PowerCurve::new(n, beta).expect("in range").apply(0, 0, &mut plain);
        let curve = ClippedCurve::new(n, beta).expect("in range");
        curve.apply(0, 0, &mut clipped);
        for (plain, clipped) in plain.into_iter().zip(clipped) {
            prop_assert!((0. ..=1. + 1e-6).contains(&clipped), "{clipped}");
            prop_assert_eq!(clipped, if plain < 0. { 0. } else { plain });
        }
        let form = curve.closed_form(0, 0).expect("Eq. 11 and 12");
        prop_assert_eq!(form.clips(), beta > 0.);
    }

    #[test]
    fn numbers_with_few_digits_stay_as_they_are(n in 1u32..8000, beta in 0u32..2000) {
        let (n, beta) = (f64::from(n) / 1000., f64::from(beta) / 1000.);
        let curve = PowerCurve::new(n, beta).expect("in range");
        if !curve.is_identity() {
            prop_assert_eq!(curve.id(), format!("power n={n} beta={beta}"));
        }
    }
}

#[test]
fn rules_and_takeovers_are_found_by_their_ids() {
    for rule in PruneRule::ALL {
        assert_eq!(PruneRule::from_id(rule.id()), Some(rule));
        assert!(!rule.title().is_empty());
    }
    for takeover in Takeover::ALL {
        assert_eq!(Takeover::from_id(takeover.id()), Some(takeover));
    }
    for norm in Norm::ALL {
        assert_eq!(Norm::from_id(norm.id()), Some(norm));
    }
    for victim in Victim::ALL {
        assert_eq!(Victim::from_id(victim.id()), Some(victim));
    }
    assert_eq!(PruneRule::from_id("median"), None);
    assert_eq!(Victim::Higher.rule(), PruneRule::Higher);
    assert_eq!(Norm::Readout.rule().id(), "readout");
    assert_eq!(PruneRule::ReadoutNorm.takeovers(), [Takeover::Nothing]);
    assert_eq!(PruneRule::FilterNorm.takeovers(), [Takeover::Nothing, Takeover::LeastSquares]);
    assert_eq!(PruneRule::Random.takeovers(), Takeover::COMPARED);
}

#[cfg(feature = "serde")]
#[test]
fn files_hold_ids() {
    fn check<T>(value: T, id: &str)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let json = serde_json::to_string(&value).expect("JSON");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<T>(&json).expect("a value"), value);
    }
    PruneRule::ALL.into_iter().for_each(|rule| check(rule, rule.id()));
    Takeover::ALL.into_iter().for_each(|takeover| check(takeover, takeover.id()));
    Norm::ALL.into_iter().for_each(|norm| check(norm, norm.id()));
    Victim::ALL.into_iter().for_each(|victim| check(victim, victim.id()));
    check(Curve::identity(), "identity");
    check("power n=2 beta=0.1".parse::<Curve>().expect("a curve"), "power n=2 beta=0.1");
    let error = serde_json::from_str::<Curve>("\"gamma\"").expect_err("no curve").to_string();
    assert!(error.contains("write `identity` or `power n="), "{error}");
}

#[cfg(feature = "clap")]
#[test]
fn options_take_ids() {
    use clap::ValueEnum;

    fn names<T: ValueEnum>() -> Vec<String> {
        let value = |value: &T| value.to_possible_value().expect("a value").get_name().to_owned();
        T::value_variants().iter().map(value).collect()
    }
    assert_eq!(names::<Takeover>(), ["nothing", "partner", "least_squares", "mean"]);
    assert_eq!(names::<Victim>(), ["lower", "higher"]);
    assert_eq!(Takeover::from_str("partner", false), Ok(Takeover::Partner));
}
