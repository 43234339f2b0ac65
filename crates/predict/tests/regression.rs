//! Eq. 3 to 7 against their definitions.

use foresee_predict::{
    Basis, Points, Regression, RegressionStudy, Score, ScoreRule, Scores, binomial, cross_talk,
    legendre_all, legendre_eq5,
};

type AnyResult = Result<(), Box<dyn std::error::Error>>;

#[test]
fn binomials_by_hand() {
    assert_eq!(binomial(5., 2), 10.);
    assert_eq!(binomial(4., 0), 1.);
    // (1/2)(-1/2)(-3/2)/6
    assert!((binomial(0.5, 3) - 0.0625).abs() < 1e-15);
}

#[test]
fn equation_5_is_bonnets_recurrence() {
    for step in 0..=40 {
        let x = -1. + step as f64 / 20.;
        for (n, expected) in legendre_all(20, x).into_iter().enumerate() {
            // The terms of Eq. 5 grow like (1 + √2)ⁿ, so that this many digits are lost.
            let tolerance = 1e-12f64.max(1e-15 * (1. + 2f64.sqrt()).powi(n as i32));
            assert!((legendre_eq5(n, x) - expected).abs() < tolerance, "P{n}({x})");
        }
    }
    assert_eq!(legendre_all(0, 0.3), [1.]);
}

#[test]
fn legendre_and_fourier_are_orthogonal_and_powers_are_not() {
    for n in [1, 4, 10] {
        let legendre = Basis::Legendre.gram(n);
        let fourier = Basis::Fourier.gram(n);
        let naive = Basis::Naive.gram(n);
        for i in 0..=2 * n {
            for j in 0..=2 * n {
                let same = f64::from(u8::from(i == j));
                assert!((legendre[(i, j)] - same * 2. / (2 * i + 1) as f64).abs() < 1e-12);
                assert!((fourier[(i, j)] - same * if i == 0 { 0.5 } else { 1. }).abs() < 1e-12);
                let power = if (i + j) % 2 == 0 { 2. / (i + j + 1) as f64 } else { 0. };
                assert!((naive[(i, j)] - power).abs() < 1e-12);
            }
        }
        assert!(
            cross_talk(Basis::Legendre, n)
                .iter()
                .chain(&cross_talk(Basis::Fourier, n))
                .all(|c| c.abs() < 1e-12)
        );
        assert!(cross_talk(Basis::Naive, n).iter().all(|c| *c > 0.3 || n == 1));
    }
}

#[test]
fn bases_have_names() {
    for basis in Basis::ALL {
        assert_eq!(Basis::from_id(basis.id()), Some(basis));
    }
    assert_eq!(Basis::from_id("wavelets"), None);
    assert_eq!(Basis::Fourier.title(), "Fourier series");
    assert_eq!(Basis::Fourier.label(4), "sin 2πx");
}

#[test]
fn fits_find_what_is_there_and_refits_are_fits() -> AnyResult {
    let x: Vec<f64> = (0..50).map(|i| -1. + i as f64 / 24.5).collect();
    for basis in Basis::ALL {
        let truth = Regression::new(basis, vec![0.5, -1., 0.25, 2., 0.125])?;
        let y: Vec<f64> = x.iter().map(|&x| truth.at(x)).collect();
        let points = Points { x: x.clone(), truth: y.clone(), y };
        let fit = Regression::fit(basis, 2, &points)?;
        let far = |a: &Regression, b: &Regression| {
            a.coefficients()
                .iter()
                .zip(b.coefficients())
                .map(|(a, b)| (a - b).abs())
                .max_by(f64::total_cmp)
                .unwrap_or(0.)
        };
        assert!(far(&fit, &truth) < 1e-10, "{basis:?}");
        assert!(far(&fit.refit(&points, 3, 2.)?, &truth) < 1e-10, "{basis:?}");
        let held = fit.refit(&points, 3, 2.5)?;
        assert_eq!(held.coefficients()[3], 2.5);
        assert_eq!(fit.perturbed(1, 0.5).coefficients()[1], fit.coefficients()[1] + 0.5);
        // Through the basis a function shows its coefficients, if the basis is orthogonal.
        let components = truth.components();
        let shows = components
            .iter()
            .zip(basis.gram(2).diagonal().iter())
            .map(|(c, g)| c / g.sqrt())
            .collect::<Vec<_>>();
        let same = shows.iter().zip(truth.coefficients()).all(|(a, b)| (a - b).abs() < 1e-10);
        assert_eq!(same, basis != Basis::Naive);
    }
    let few = Points { x: vec![0., 0.5], y: vec![1., 2.], truth: vec![1., 2.] };
    assert!(Regression::fit(Basis::Naive, 2, &few).is_err());
    assert!(Regression::new(Basis::Naive, vec![1., 2.]).is_err());
    Ok(())
}

#[test]
fn the_study_measures_what_the_paper_argues() -> AnyResult {
    let reports = RegressionStudy {
        n: vec![3],
        seeds: 4,
        points: 100,
        resamples: 50,
        ..RegressionStudy::default()
    }
    .run()?;
    let of = |basis| reports.iter().find(|r| r.basis == basis).expect("all three");
    let score = |scores: &Scores, rule| -> Score { *scores.get(rule).expect("a score") };
    for orthogonal in [Basis::Legendre, Basis::Fourier] {
        let report = of(orthogonal);
        let skill = score(&report.shifted, ScoreRule::Skill);
        let locality = score(&report.shifted, ScoreRule::Locality);
        assert!((skill.interval.estimate - 1.).abs() < 1e-9);
        assert!((locality.interval.estimate - 1.).abs() < 1e-9);
        assert!(skill.shuffled < 0.3);
        assert!((report.condition - 1.).abs() < 1e-9);
        let naive = &of(Basis::Naive).refit_cross_talk;
        assert!(report.refit_cross_talk.iter().zip(naive).all(|(ours, naive)| ours < naive));
    }
    assert!(score(&of(Basis::Naive).shifted, ScoreRule::Skill).interval.high < 0.5);
    assert!(of(Basis::Naive).condition > 100.);
    // A wave is spread over x by ∫cos⁴ = 3/4.
    assert!((of(Basis::Fourier).evenness[3] - 2. / 3.).abs() < 1e-9);
    Ok(())
}
