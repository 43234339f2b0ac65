//! The paper's claims, each with a statistic, an interval and a verdict.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use foresee_analysis::{Interval, Matrix, bootstrap, mantel, row_correlation};
use foresee_celeba::{Split, attribute_index};
use foresee_report::frame;

use crate::faces;
use crate::run::Run;

/// Resamples of a bootstrap, and permutations of a test.
const RESAMPLES: usize = 2000;
const LEVEL: f64 = 0.95;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    InPart,
    DoesNotHold,
    NotTestable,
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::InPart => "holds in part",
            Self::DoesNotHold => "does not hold",
            Self::NotTestable => "not testable here",
        }
    }
}

/// One line of `tables/claims`.
pub struct Claim {
    pub claim: String,
    pub variant: String,
    pub statistic: String,
    pub interval: Interval,
    /// The estimate of each seed alone.
    pub seeds: Vec<f64>,
    pub verdict: Verdict,
    pub why: String,
}

/// All claims for the runs of one variant, which differ by their seed.
pub fn of_variant(variant: &str, runs: &[&Run]) -> Result<Vec<Claim>> {
    let mut claims = vec![accuracy(runs)?, linear(runs)?];
    let plain = "nothing";
    let against = [
        (("lower", plain), ("random", plain), "semantic pruning, lower norm goes, selects better than chance"),
        (("higher", plain), ("random", plain), "semantic pruning, higher norm goes, selects better than chance"),
        (("lower", plain), ("l1", plain), "semantic pruning (lower) selects better than plain pruning by filter norm"),
        (("lower", plain), ("readout", plain), "semantic pruning (lower) selects better than plain pruning by readout norm"),
        (("lower", "partner"), ("lower", plain), "beyond the paper: the partner's takeover repairs semantic pruning (lower)"),
        (("lower", "least_squares"), ("lower", plain), "beyond the paper: least squares repair semantic pruning (lower)"),
        (("lower", "least_squares"), ("random", plain), "beyond the paper: semantic pruning (lower) with least squares beats random pruning without"),
        (("lower", "partner"), ("random", "partner"), "beyond the paper: with the partner taking over, lower selects better than chance"),
        (("lower", "least_squares"), ("random", "least_squares"), "beyond the paper: with least squares, lower selects better than chance"),
        (
            ("lower", "least_squares"),
            ("lasso", "least_squares"),
            "beyond the paper: with least squares, lower selects better than the lasso (after He et al., 2017)",
        ),
    ];
    for (ours, theirs, claim) in against {
        claims.extend(better(runs, ours, theirs, claim)?);
    }
    claims.extend(transformation(runs)?);
    for (a, b) in [("Black_Hair", "Blond_Hair"), ("Mouth_Slightly_Open", "Smiling")] {
        claims.push(sharing(runs, a, b)?);
    }
    claims.push(neighbours(runs)?);
    claims.push(groups(runs)?);
    claims.iter_mut().for_each(|claim| claim.variant = variant.into());
    Ok(claims)
}

fn claim(claim: &str, statistic: &str, interval: Interval, seeds: Vec<f64>, verdict: Verdict, why: String) -> Claim {
    Claim { claim: claim.into(), variant: String::new(), statistic: statistic.into(), interval, seeds, verdict, why }
}

/// Smallest, mean and largest over seeds, where images cannot be drawn anew.
fn over_seeds(seeds: &[f64]) -> Interval {
    let fold = |f: fn(f64, f64) -> f64| seeds.iter().copied().reduce(f).unwrap_or(f64::NAN);
    Interval { estimate: seeds.iter().sum::<f64>() / seeds.len() as f64, low: fold(f64::min), high: fold(f64::max) }
}

/// Above 0 as a whole and in every seed; or as a whole only; or not.
fn above_zero(interval: &Interval, seeds: &[f64]) -> Verdict {
    match (interval.low > 0., seeds.iter().all(|&s| s > 0.)) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::InPart,
        _ => Verdict::DoesNotHold,
    }
}

/// In every seed up to `most`; or in some; or in none.
fn up_to(seeds: &[f64], most: f64) -> Verdict {
    match seeds.iter().filter(|&&value| value <= most).count() {
        n if n == seeds.len() => Verdict::Holds,
        0 => Verdict::DoesNotHold,
        _ => Verdict::InPart,
    }
}

fn accuracy(runs: &[&Run]) -> Result<Claim> {
    let each =
        |name: &str| -> Result<Vec<f64>> { runs.iter().map(|run| Ok(frame::numbers(&run.read_csv("data/accuracy.csv")?, name)?[0])).collect() };
    let gains: Vec<f64> = each("accuracy")?.iter().zip(each("majority_accuracy")?).map(|(a, m)| 100. * (a - m)).collect();
    let data = &runs[0].manifest.data;
    let why = format!(
        "trained on {} {}, the paper on 182,637; it reports 90.72 % beside 81.13 to 91.07 % of its baselines (cited)",
        data.train,
        data.kind_in_words()
    );
    let interval = over_seeds(&gains);
    Ok(claim(
        "accuracy is at the level of the baselines",
        "accuracy above the majority's [points], range over seeds",
        interval,
        gains,
        Verdict::NotTestable,
        why,
    ))
}

/// Accuracy of each image, by column of a table `…_by_image.csv`.
struct ByImage(BTreeMap<String, Vec<f64>>);

impl ByImage {
    fn read(run: &Run, file: &str) -> Result<Self> {
        let table = run.read_csv(file)?;
        let names: Vec<String> = table.get_column_names().iter().skip(1).map(ToString::to_string).collect();
        let columns = names.into_iter().map(|name| {
            let right = frame::numbers(&table, &name)?;
            Ok((name, right.into_iter().map(|r| r / foresee_celeba::ATTRIBUTES.len() as f64).collect()))
        });
        Ok(Self(columns.collect::<Result<_>>()?))
    }

    /// Numbers of pruned channels that were measured, ascending.
    fn counts(&self) -> Vec<usize> {
        let mut counts: Vec<usize> = self.0.keys().filter_map(|name| name.rsplit('/').next()?.parse().ok()).collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// Accuracy of each image at a point of a curve, the mean over the seeds of a random order.
    fn point(&self, rule: &str, takeover: &str, count: usize) -> Option<Vec<f64>> {
        let end = format!("/{takeover}/{count}");
        let of_rule = |name: &str| name.strip_suffix(&end).is_some_and(|head| head.split(':').next() == Some(rule));
        mean_of(self.0.iter().filter(|(name, _)| of_rule(name)).map(|(_, values)| values))
    }

    /// Accuracy of each image over a whole curve, but for its first point, at which nothing is pruned.
    fn area(&self, rule: &str, takeover: &str) -> Option<Vec<f64>> {
        let points: Vec<Vec<f64>> = self.counts().into_iter().filter(|&c| c > 0).map(|c| self.point(rule, takeover, c)).collect::<Option<_>>()?;
        mean_of(points.iter())
    }
}

fn mean_of<'a>(columns: impl Iterator<Item = &'a Vec<f64>>) -> Option<Vec<f64>> {
    let (mut sums, mut n) = (Vec::<f64>::new(), 0.);
    for column in columns {
        sums.resize(column.len(), 0.);
        sums.iter_mut().zip(column).for_each(|(sum, v)| *sum += v);
        n += 1.;
    }
    (n > 0.).then(|| sums.into_iter().map(|sum| sum / n).collect())
}

/// Over images, of the mean over seeds of a value of each image; and the mean of each seed.
fn over_images(seeds: &[Vec<f64>]) -> Result<(Interval, Vec<f64>)> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let values = mean_of(seeds.iter()).context("no seed")?;
    let interval = bootstrap(values.len(), RESAMPLES, LEVEL, 0, |drawn| drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64)?;
    Ok((interval, seeds.iter().map(|values| mean(values)).collect()))
}

fn pruning(runs: &[&Run]) -> Result<Vec<ByImage>> {
    runs.iter().map(|run| ByImage::read(run, "data/channel_pruning_by_image.csv")).collect()
}

fn better(runs: &[&Run], (rule, takeover): (&str, &str), (other, other_takeover): (&str, &str), text: &str) -> Result<Option<Claim>> {
    let tables = pruning(runs)?;
    let differences: Option<Vec<Vec<f64>>> = tables
        .iter()
        .map(|table| {
            let (ours, theirs) = (table.area(rule, takeover)?, table.area(other, other_takeover)?);
            Some(ours.iter().zip(theirs).map(|(a, b)| 100. * (a - b)).collect())
        })
        .collect();
    // A study of one's own may leave takeover out.
    let Some(differences) = differences else { return Ok(None) };
    let (interval, seeds) = over_images(&differences)?;
    let mut points = vec![];
    for count in tables[0].counts().into_iter().filter(|&c| c > 0) {
        let mean = |rule: &str, takeover: &str| -> Option<f64> {
            let values: Vec<f64> = tables.iter().map(|t| t.point(rule, takeover, count)).collect::<Option<Vec<_>>>()?.concat();
            Some(100. * values.iter().sum::<f64>() / values.len() as f64)
        };
        points.extend(mean(rule, takeover).zip(mean(other, other_takeover)).map(|(a, b)| format!("{count}: {:+.1}", a - b)));
    }
    let verdict = above_zero(&interval, &seeds);
    let why = format!("difference by number of pruned channels: {}", points.join(", "));
    Ok(Some(claim(text, "mean difference of the curves [points]", interval, seeds, verdict, why)))
}

/// R² of a straight line through the mean random curve.
fn linear(runs: &[&Run]) -> Result<Claim> {
    let tables = pruning(runs)?;
    let counts = tables[0].counts();
    let x: Vec<f64> = counts.iter().map(|&c| c as f64).collect();
    // Accuracy by run, count and image.
    let points: Vec<Vec<Vec<f64>>> =
        tables.iter().map(|t| counts.iter().map(|&c| t.point("random", "nothing", c).unwrap_or_default()).collect()).collect();
    let curve = |of: &[Vec<Vec<f64>>], drawn: &[usize]| -> Vec<f64> {
        let point = |j: usize| of.iter().map(|run| drawn.iter().map(|&i| run[j][i]).sum::<f64>()).sum::<f64>() / (drawn.len() * of.len()) as f64;
        (0..counts.len()).map(point).collect()
    };
    let all: Vec<usize> = (0..points[0][0].len()).collect();
    let interval = bootstrap(all.len(), RESAMPLES / 4, LEVEL, 0, |drawn| r_squared(&x, &curve(&points, drawn)))?;
    let seeds: Vec<f64> = points.iter().map(|run| r_squared(&x, &curve(std::slice::from_ref(run), &all))).collect();
    let verdict = match interval {
        i if i.low >= 0.95 => Verdict::Holds,
        i if i.estimate >= 0.9 => Verdict::InPart,
        _ => Verdict::DoesNotHold,
    };
    let y = curve(&points, &all);
    let why = format!("mean curve: {}", counts.iter().zip(y).map(|(c, v)| format!("{c}: {:.1}", 100. * v)).collect::<Vec<_>>().join(", "));
    Ok(claim("random pruning degrades accuracy linearly", "R² of a straight line (holds from 0.95, in part from 0.9)", interval, seeds, verdict, why))
}

fn r_squared(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(usize) -> f64| (0..x.len()).map(f).sum::<f64>();
    let (xy, xx, yy) = (sum(&|i| (x[i] - mx) * (y[i] - my)), sum(&|i| (x[i] - mx).powi(2)), sum(&|i| (y[i] - my).powi(2)));
    // A flat curve does not degrade at all.
    if yy > 0. { xy * xy / (xx * yy) } else { 0. }
}

/// For each σ the best setting on validation faces, judged on test faces.
fn transformation(runs: &[&Run]) -> Result<Vec<Claim>> {
    let mut gains: BTreeMap<String, (Vec<Vec<f64>>, Vec<String>)> = BTreeMap::new();
    for run in runs {
        let Ok(choice) = run.read_csv("data/mask_transformation_choice.csv") else { return Ok(vec![]) };
        let table = ByImage::read(run, "data/mask_transformation_by_image.csv")?;
        let column = |name: &str| frame::numbers(&choice, name);
        for ((sigma, n), beta) in column("sigma")?.iter().zip(column("n")?).zip(column("beta")?) {
            let of = |n: f64, beta: f64| table.0.get(&format!("{sigma}/{n}/{beta}")).with_context(|| format!("σ = {sigma}, n = {n}, β = {beta}"));
            let gain = of(n, beta)?.iter().zip(of(1., 0.)?).map(|(a, b)| 100. * (a - b)).collect();
            let entry = gains.entry(sigma.to_string()).or_default();
            entry.0.push(gain);
            entry.1.push(format!("n = {n}, β = {beta}"));
        }
    }
    gains
        .into_iter()
        .map(|(sigma, (gains, chosen))| {
            let (interval, seeds) = over_images(&gains)?;
            let verdict = above_zero(&interval, &seeds);
            let text = format!("mask transformation makes the network robust, σ = {sigma}");
            Ok(claim(
                &text,
                "gain on test faces of the setting chosen on validation faces [points]",
                interval,
                seeds,
                verdict,
                format!("chosen: {}", chosen.join("; ")),
            ))
        })
        .collect()
}

/// Mean masks' correlation among attributes (Table 4).
fn attributes(run: &Run) -> Result<Matrix> {
    Ok(Matrix::from_rows(&frame::rows(&run.read_csv("data/attribute_correlation.csv")?, 1)?))
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// How high a pair's correlation stands among all pairs.
fn sharing(runs: &[&Run], a: &str, b: &str) -> Result<Claim> {
    let (a, b) = (attribute_index(a)?, attribute_index(b)?);
    let mut shares = vec![];
    for run in runs {
        let rho = attributes(run)?;
        let reach = pairs(rho.rows()).filter(|&(i, j)| rho.get(i, j) >= rho.get(a, b)).count();
        shares.push(100. * reach as f64 / pairs(rho.rows()).count() as f64);
    }
    let verdict = up_to(&shares, 5.);
    let names = foresee_celeba::ATTRIBUTES;
    let text = format!("{} shares channels with {}", names[a], names[b]);
    let statistic = "share of all pairs whose mean masks correlate at least as much [%] (holds up to 5), range over seeds";
    Ok(claim(&text, statistic, over_seeds(&shares), shares, verdict, String::new()))
}

/// Do mean masks correlate as labels do?
fn neighbours(runs: &[&Run]) -> Result<Claim> {
    let (mut rhos, mut ps) = (vec![], vec![]);
    for run in runs {
        let data = faces::reopen(&run.manifest.data, &run.folder, run.manifest.config.data.split.into())?;
        let train = data.split(Split::Train)?;
        let labels: Vec<Vec<f64>> = (0..foresee_celeba::ATTRIBUTES.len())
            .map(|k| train.iter().map(|&face| f64::from(u8::from(data.labels(face).has(k)))).collect())
            .collect();
        let agreement = mantel(&attributes(run)?, &row_correlation(&Matrix::from_rows(&labels))?, RESAMPLES, 0)?;
        rhos.push(agreement.rho);
        ps.push(agreement.p);
    }
    let verdict = up_to(&ps, 0.05);
    let why = format!("p of Mantel's test by seed: {}", ps.iter().map(|p| format!("{p:.4}")).collect::<Vec<_>>().join(", "));
    let statistic = "rank correlation between mean masks' and labels' correlation over 780 pairs, range over seeds";
    Ok(claim("attributes with similar masks occur together (Table 4)", statistic, over_seeds(&rhos), rhos, verdict, why))
}

/// What a person would put together.
const GROUPS: [(&str, &[&str]); 5] = [
    ("hair colour", &["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]),
    ("beard", &["5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"]),
    ("make-up", &["Heavy_Makeup", "Wearing_Lipstick", "Rosy_Cheeks", "Attractive"]),
    ("mouth", &["Mouth_Slightly_Open", "Smiling", "High_Cheekbones", "Big_Lips"]),
    ("hair shape", &["Bald", "Bangs", "Receding_Hairline", "Straight_Hair", "Wavy_Hair"]),
];

/// Is the correlation of mean masks higher inside of groups than between them?
fn groups(runs: &[&Run]) -> Result<Claim> {
    let member: BTreeMap<usize, usize> = GROUPS
        .iter()
        .enumerate()
        .flat_map(|(g, (_, names))| names.iter().map(move |name| (name, g)))
        .map(|(name, g)| Ok((attribute_index(name)?, g)))
        .collect::<Result<_>>()?;
    let named: Vec<usize> = member.keys().copied().collect();
    let same: Vec<Vec<f64>> = named.iter().map(|a| named.iter().map(|b| f64::from(u8::from(member[a] == member[b]))).collect()).collect();
    let (mut differences, mut ps, mut parts) = (vec![], vec![], vec![vec![]; GROUPS.len()]);
    for run in runs {
        let rho = attributes(run)?;
        let of = |g: Option<usize>| {
            let chosen = |&(i, j): &(usize, usize)| {
                let (a, b) = (member[&named[i]], member[&named[j]]);
                g.map_or(a != b, |g| a == g && b == g)
            };
            let values: Vec<f64> = pairs(named.len()).filter(chosen).map(|(i, j)| rho.get(named[i], named[j])).collect();
            (values.iter().sum::<f64>(), values.len() as f64)
        };
        let (between, n) = of(None);
        let inside: Vec<(f64, f64)> = (0..GROUPS.len()).map(|g| of(Some(g))).collect();
        parts.iter_mut().zip(&inside).for_each(|(part, (sum, n))| part.push(sum / n - between / of(None).1));
        let (sum, count) = inside.iter().fold((0., 0.), |(s, c), (sum, n)| (s + sum, c + n));
        differences.push(sum / count - between / n);
        let table: Vec<Vec<f64>> = named.iter().map(|&a| named.iter().map(|&b| rho.get(a, b)).collect()).collect();
        ps.push(mantel(&Matrix::from_rows(&table), &Matrix::from_rows(&same), RESAMPLES, 0)?.p);
    }
    let verdict = up_to(&ps, 0.05);
    let by_group: Vec<String> = GROUPS.iter().zip(&parts).map(|((name, _), values)| format!("{name} {:+.2}", over_seeds(values).estimate)).collect();
    let p: Vec<String> = ps.iter().map(|p| format!("{p:.4}")).collect();
    let why = format!("{}; p of Mantel's test by seed: {}", by_group.join(", "), p.join(", "));
    let statistic = "correlation of mean masks inside of groups minus between them, range over seeds";
    Ok(claim("attributes of one kind have similar masks (Table 4)", statistic, over_seeds(&differences), differences, verdict, why))
}
